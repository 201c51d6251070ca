"""What a generated object looks like to the radar: sparse points first, boxes from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.carrada import axes
from datasets.carrada.measured import PROFILES, ClassProfile
from datasets.carrada.motion import Floats, Timeline

Ints = NDArray[np.int_]

_BAND_CENTRES_M = np.array([5.0, 11.5, 22.0, 38.0])
_MEMORY = 0.7
"""Correlation of the logarithm of an extent from frame to frame; measured about 0.7."""
_SHARED = 0.5
"""Share of an extent's variance that all axes have in common."""
_FEWEST_POINTS = {"pedestrian": 7, "cyclist": 8, "car": 5}
"""Sparse points of a small object; chosen for the measured pixels of the masks."""
_LIFT = {"pedestrian": 1.0, "cyclist": 1.08, "car": 1.0}
"""On extents, so that the median over all bands is met too after rounding."""
_AREA_PER_POINT = 90
"""Bins of the RA box for each further point."""
_MOST_POINTS = 48
_LARGEST = np.array([90, axes.DOPPLER_BINS - 2, 150])
"""Extents that still fit the maps wherever the object is."""
_WITHIN_BANDS = 0.45
"""Share of the logarithm of 95 % / median that is not due to range; 1 / 1.645 would be all."""


@dataclass(frozen=True)
class Shapes:
    """The shape of an object in each frame of its timeline.

    Parameters
    ----------
    points
        (n, `_MOST_POINTS`, 3) range bin, Doppler column, RA column of the sparse points.
    counts
        (n,) how many of them are there; they lie first.
    boxes
        (n, 3, 2) first and last index of range bin, Doppler column, RA column.
    """

    points: Ints
    counts: Ints
    boxes: Ints


def shapes(timeline: Timeline, name: str, rng: np.random.Generator) -> Shapes:
    """Draw the shapes of a class along its timeline.

    Parameters
    ----------
    timeline
        Where the objects are, n frames.
    name
        The class.
    rng
        Stream of the class.
    """
    extents = _extents(timeline, PROFILES[name], _LIFT[name], rng)
    # A single point's box is widened by 1 on each side: extent 2, like that of three bins.
    degenerate = (extents == 2) & (rng.random(extents.shape) < 0.5)  # noqa: PLR2004
    spans = np.where(degenerate, 0, extents)
    size = np.array([axes.RANGE_BINS, axes.DOPPLER_BINS, axes.ANGLE_BINS])
    first_bin = np.array([1, 0, 0])  # range bin 0 would be RA row 256
    centres = np.column_stack(
        [
            timeline.range_m / axes.RANGE_STEP,
            timeline.velocity_mps / axes.DOPPLER_STEP + axes.DOPPLER_ZERO,
            timeline.azimuth_rad / axes.ANGLE_STEP + axes.ANGLE_ZERO,
        ]
    )
    starts = np.rint(centres - spans / 2).astype(np.int_)
    starts = np.clip(starts, first_bin, size - 1 - spans)
    relative = rng.random((len(spans), _MOST_POINTS, 3))
    for axis in range(3):  # each axis has a point at either end: the box is tight
        relative[:, axis, axis], relative[:, axis + 1, axis] = 0.0, 1.0
    points = starts[:, None, :] + np.rint(relative * spans[:, None, :]).astype(np.int_)
    boxes = np.stack([starts - (spans == 0), starts + spans + (spans == 0)], axis=2)
    boxes = np.clip(boxes, first_bin[:, None], size[:, None] - 1)
    return Shapes(points, _counts(spans, _FEWEST_POINTS[name]), boxes)


def _extents(
    timeline: Timeline, profile: ClassProfile, lift: float, rng: np.random.Generator
) -> Ints:
    """Draw last minus first index on range, Doppler and angle, (n, 3), at least 1."""
    rd = np.array(profile.rd_extents, np.float64)
    by_band = np.column_stack([rd, profile.angle_extents])
    medians = np.column_stack(
        [np.interp(timeline.range_m, _BAND_CENTRES_M, np.log(column)) for column in by_band.T]
    )
    frames = timeline.range_m.size
    spread = np.array([_spread(profile.range_extent), _spread(profile.doppler_extent), 0.4])
    shared = _autoregressive(frames, 1, rng)
    own = _autoregressive(frames, 3, rng)
    noise = np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * own
    extents = np.rint(lift * np.exp(medians + spread * noise)).astype(np.int_)
    clipped: Ints = np.clip(extents, 1, _LARGEST)
    return clipped


def _spread(quantiles: tuple[int, int]) -> float:
    """Return the spread of log extents within a band, from the median and 95 % over all bands."""
    return _WITHIN_BANDS * float(np.log(quantiles[1] / quantiles[0]))


def _autoregressive(frames: int, columns: int, rng: np.random.Generator) -> Floats:
    """Draw AR(1) series of median 0 and unit variance, as a moving average: vectorised."""
    weights = _MEMORY ** np.arange(12)
    weights /= np.sqrt(np.sum(weights**2))
    white = rng.standard_normal((columns, frames + weights.size - 1))
    series = np.stack([np.convolve(row, weights, mode="valid") for row in white], axis=1)
    standard: Floats = (series - np.median(series, axis=0)) / np.std(series, axis=0)
    return standard


def _counts(spans: Ints, fewest: int) -> Ints:
    """Points by the area of the RA box, which sets how many pixels the mask has."""
    area = (spans[:, 0] + 1) * (spans[:, 2] + 1)
    counts: Ints = np.minimum(fewest + area // _AREA_PER_POINT, _MOST_POINTS)
    return counts
