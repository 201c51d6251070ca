"""Bins of the radar maps and the quantities they stand for.

Range-Doppler (RD) maps are (256, 64): row = range bin, nearest first. Range-angle (RA) maps are
(256, 256): row = 256 - range bin, farthest first.
"""

from typing import overload

import numpy as np
from numpy.typing import NDArray

RANGE_BINS = 256
DOPPLER_BINS = 64
ANGLE_BINS = 256
RD_SHAPE = (RANGE_BINS, DOPPLER_BINS)
RA_SHAPE = (RANGE_BINS, ANGLE_BINS)

RANGE_STEP = 0.1953125
"""Metres per range bin."""
DOPPLER_STEP = 0.41968030701528203
"""Metres per second per Doppler bin."""
ANGLE_STEP = 0.01227184630308513
"""Radians per angle bin."""
DOPPLER_ZERO = 32
ANGLE_ZERO = 128
RA_TOP = 256
"""RA row = RA_TOP - range bin, so range bin 0 would be row 256: indices are clamped."""

MAX_RANGE = RANGE_STEP * RANGE_BINS
MAX_SPEED = DOPPLER_STEP * DOPPLER_ZERO
MAX_AZIMUTH = ANGLE_STEP * ANGLE_ZERO
FRAME_SECONDS = 0.1

Floats = NDArray[np.float64]


@overload
def range_m(range_bin: float) -> float: ...
@overload
def range_m(range_bin: Floats) -> Floats: ...
def range_m(range_bin: float | Floats) -> float | Floats:
    """Turn a range bin (an RD row, halves allowed) into metres."""
    return range_bin * RANGE_STEP


@overload
def velocity_mps(column: float) -> float: ...
@overload
def velocity_mps(column: Floats) -> Floats: ...
def velocity_mps(column: float | Floats) -> float | Floats:
    """Turn an RD column into the radial velocity in m/s, positive when approaching."""
    return (column - DOPPLER_ZERO) * DOPPLER_STEP


@overload
def azimuth_rad(column: float) -> float: ...
@overload
def azimuth_rad(column: Floats) -> Floats: ...
def azimuth_rad(column: float | Floats) -> float | Floats:
    """Turn an RA column into the azimuth in radians, negative to the left."""
    return (column - ANGLE_ZERO) * ANGLE_STEP
