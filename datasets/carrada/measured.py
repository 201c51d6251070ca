"""What was measured on the real annotations, and what the generator aims at.

Bands are ranges 0-8, 8-16, 16-30 and 30-50 m; extents are last minus first index of a box.
"""

from dataclasses import dataclass

BAND_EDGES_M = (8.0, 16.0, 30.0)

FRAMES_PER_SEQUENCE = (157, 330, 1017)
"""Least, median, most."""
ANNOTATED_SHARE_MEDIAN = 0.57
OBJECTS_PER_FRAME = (0.432, 0.445, 0.123)
"""Share of frames with none, one and two objects."""
OBJECTS_BY_CLASS = {"pedestrian": 3239, "cyclist": 1770, "car": 3741}
SCENARIOS = {
    ("car",): 9,
    ("car", "car"): 3,
    ("pedestrian", "pedestrian"): 3,
    ("cyclist", "pedestrian"): 4,
    ("car", "cyclist"): 9,
    ("car", "pedestrian"): 2,
}
"""Sequences by the classes in them, named in alphabetical order."""
SAME_CLASS_FRAMES = 541


@dataclass(frozen=True)
class ClassProfile:
    """Distributions of a class; tuples of quantiles unless said otherwise.

    Parameters
    ----------
    range_m, azimuth_deg
        5 %, median, 95 %.
    speed_mps
        Absolute radial velocity: median, 95 %, most.
    range_extent, doppler_extent
        RD box, bins: median, 95 %.
    rd_extents
        Range and Doppler extent by band, medians.
    angle_extents
        Angle extent of the RA box by band, medians.
    step_m
        Change of range from frame to frame, median.
    ra_pixels
        Pixels of the RA mask: median, 95 %.
    rd_intensity
        Mean dB of its pixels in the RD map.
    """

    range_m: tuple[float, float, float]
    azimuth_deg: tuple[float, float, float]
    speed_mps: tuple[float, float, float]
    range_extent: tuple[int, int]
    doppler_extent: tuple[int, int]
    rd_extents: tuple[tuple[int, int], ...]
    angle_extents: tuple[int, ...]
    step_m: float
    ra_pixels: tuple[int, int]
    rd_intensity: float


PROFILES = {
    "pedestrian": ClassProfile(
        range_m=(4.1, 13.7, 28.3),
        azimuth_deg=(-33.5, -1.8, 43.0),
        speed_mps=(0.84, 2.9, 5.0),
        range_extent=(4, 9),
        doppler_extent=(4, 11),
        rd_extents=((7, 7), (5, 5), (3, 3), (2, 2)),
        angle_extents=(14, 5, 3, 2),
        step_m=0.10,
        ra_pixels=(78, 198),
        rd_intensity=67.6,
    ),
    "cyclist": ClassProfile(
        range_m=(3.2, 13.9, 29.8),
        azimuth_deg=(-48.0, -3.2, 35.0),
        speed_mps=(1.68, 3.15, 5.5),
        range_extent=(6, 12),
        doppler_extent=(6, 17),
        rd_extents=((10, 13), (6, 7), (4, 3), (2, 2)),
        angle_extents=(14, 8, 5, 3),  # "about 7" in all; the fall with range is the others'
        step_m=0.20,
        ra_pixels=(109, 200),
        rd_intensity=67.7,
    ),
    "car": ClassProfile(
        range_m=(3.1, 19.1, 45.0),
        azimuth_deg=(-41.0, 1.8, 47.0),
        speed_mps=(4.4, 9.0, 13.0),
        range_extent=(13, 28),
        doppler_extent=(8, 29),
        rd_extents=((21, 19), (21, 14), (12, 7), (7, 3)),
        angle_extents=(110, 28, 5, 4),
        step_m=0.49,
        ra_pixels=(131, 730),
        rd_intensity=69.4,
    ),
}

RA_OBJECT_INTENSITY = 65.0
BACKGROUND = {"range_doppler": (58.5, 3.7), "range_angle": (56.0, 5.8)}
"""Mean and standard deviation of the maps, dB-like."""
STATIC_COLUMNS = (31, 33)
"""First and last Doppler column of the peak of what does not move."""
