"""The digital twin: a range x azimuth x Doppler grid of cubes, fused from delivered scenes."""
