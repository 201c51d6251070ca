"""Privacy mechanisms: clip-then-noise, its calibration and what it certifies."""
