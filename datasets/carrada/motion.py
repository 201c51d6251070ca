"""How generated objects move: range, radial velocity and azimuth along one timeline per class.

The visits of a class are cut from one long timeline whose range sweeps to and fro through the
measured quantiles, so that the pooled distribution fits whatever the seed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.carrada import axes
from datasets.carrada.measured import ClassProfile

Floats = NDArray[np.float64]

_KNOTS = np.linspace(0.0, 1.0, 41)
_LEVELS = np.array([0.0, 0.05, 0.5, 0.95, 1.0])
_NEAREST_M = 1.5
_WIDEST_DEG = 62.0
_SPEED_WINDOW = 25
_AZIMUTH_WINDOW = 61
_CALIBRATIONS = 4
_NORMAL_P95 = 1.645
_SWEEP_SPREAD = 0.25
"""Standard deviation of log speed that the slopes of the range quantiles bring."""


@dataclass(frozen=True)
class Timeline:
    """Where an object is in each frame: metres, m/s (positive: approaching), radians; (n,)."""

    range_m: Floats
    velocity_mps: Floats
    azimuth_rad: Floats


def timeline(frames: int, profile: ClassProfile, rng: np.random.Generator) -> Timeline:
    """Draw the timeline of a class.

    Parameters
    ----------
    frames
        Its length, n.
    profile
        Measured distributions of the class.
    rng
        Stream of the class.
    """
    near, middle, far = profile.range_m
    farthest = min(1.12 * far, axes.MAX_RANGE - 1.0)
    ranges = np.array([_NEAREST_M, near, middle, far, farthest])
    median, p95, top = profile.speed_mps
    # A sweep alone spreads speeds by the quantile slopes; the rest of the tail is the object's.
    spread = np.sqrt((np.log(p95 / median) / _NORMAL_P95) ** 2 - _SWEEP_SPREAD**2)
    progress = np.cumsum(np.exp(spread * smooth_noise(frames, _SPEED_WINDOW, rng)))
    start = rng.random()
    sweeps = frames * median * axes.FRAME_SECONDS / (far - near)
    for _ in range(_CALIBRATIONS):
        path = _triangle(start + sweeps * progress / progress[-1])
        range_m = np.interp(uniformed(path), _LEVELS, ranges)
        velocity = -np.gradient(range_m) / axes.FRAME_SECONDS
        sweeps *= median / np.median(np.abs(velocity))
    left, centre, right = profile.azimuth_deg
    angles = np.array([-_WIDEST_DEG, left, centre, right, _WIDEST_DEG])
    across = uniformed(smooth_noise(frames, _AZIMUTH_WINDOW, rng))
    return Timeline(
        range_m,
        np.clip(velocity, -top, top),
        np.deg2rad(np.interp(across, _LEVELS, angles)),
    )


def smooth_noise(count: int, window: int, rng: np.random.Generator) -> Floats:
    """Draw a stationary Gaussian series of unit variance, smoothed by a Hann window.

    Parameters
    ----------
    count
        Its length.
    window
        Length of the window, the time over which the series forgets.
    rng
        Stream.
    """
    kernel = np.hanning(window + 2)[1:-1]
    kernel /= np.sqrt(np.sum(kernel**2))
    return np.convolve(rng.standard_normal(count + window - 1), kernel, mode="valid")


def uniformed(series: Floats) -> Floats:
    """Stretch a series so that its values are spread evenly over [0, 1], order kept."""
    return np.interp(series, np.quantile(series, _KNOTS), _KNOTS)


def _triangle(phase: Floats) -> Floats:
    """Sweep 0 -> 1 -> 0 with period 2."""
    return 1.0 - np.abs(np.mod(phase, 2.0) - 1.0)
