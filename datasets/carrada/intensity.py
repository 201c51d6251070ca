"""Radar intensities of generated frames, and descriptors of objects, on demand.

Real roots may hold processed radar maps; a generated root holds none, its maps are drawn here from
the measured distributions, the same map whenever the same frame is asked for.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.measured import (
    BACKGROUND,
    PROFILES,
    RA_OBJECT_INTENSITY,
    STATIC_COLUMNS,
)
from datasets.carrada.objects import SHAPES, Frame, View
from datasets.errors import DataError

Floats = NDArray[np.float64]

DESCRIPTORS = (
    "range_m",
    "azimuth_rad",
    "velocity_mps",
    "range_extent",
    "doppler_extent",
    "angle_extent",
    "intensity_db",
)
"""Columns of `descriptors`; extents in bins, last minus first index of the box."""

_PURPOSE = int.from_bytes(b"cint")
_OBJECT_SPREAD = 3.0
_STATIC_PEAK = 8.0


def radar_map(frame: Frame, view: View, seed: int = 0) -> Floats:
    """Draw the radar map of a frame.

    Background with the measured mean and spread, a peak of what does not move in the middle Doppler
    columns, and the frame's objects at the intensity of their class.

    Parameters
    ----------
    frame
        A frame whose mask of the view is there.
    view
        Which map.
    seed
        A non-negative integer; another one draws another map.

    Returns
    -------
    numpy.ndarray
        float64, shape of the view, dB-like.

    Raises
    ------
    DataError
        If the frame has no mask in this view.
    """
    mask = frame.mask(view)
    if mask is None:
        raise DataError(f"{frame.sequence} frame {frame.frame}: has no {view} mask to draw from")
    address = zlib.crc32(f"{frame.sequence}/{frame.frame}/{view}".encode())
    rng = np.random.default_rng(np.random.SeedSequence([seed, _PURPOSE, address]))
    mean, spread = BACKGROUND[view]
    drawn = rng.standard_normal(SHAPES[view])
    intensity = mean + spread * drawn
    if view == "range_doppler":
        first, last = STATIC_COLUMNS
        intensity[:, first : last + 1] += _STATIC_PEAK
    objects = mask > 0
    levels = np.array([0.0, *(_level(name, view) for name in PROFILES)])
    intensity[objects] = levels[mask[objects]] + _OBJECT_SPREAD * drawn[objects]
    return intensity


def _level(name: str, view: View) -> float:
    return PROFILES[name].rd_intensity if view == "range_doppler" else RA_OBJECT_INTENSITY


def object_intensities(
    frame: Frame, index: int, view: View = "range_doppler", radar: Floats | None = None
) -> Floats:
    """Return the intensities of an object's pixels.

    Parameters
    ----------
    frame
        A frame with masks.
    index
        Position of the object in it.
    view
        Which map.
    radar
        The radar map, as `Carrada.radar` reads a real one; None draws it.

    Returns
    -------
    numpy.ndarray
        dB-like, one value a pixel; empty if the object has no pixel of its own.

    Raises
    ------
    DataError
        If the frame has no mask in this view.
    """
    mask = frame.object_mask(index, view)
    if mask is None:
        raise DataError(f"{frame.sequence} frame {frame.frame}: object {index} has no {view} mask")
    return (radar_map(frame, view) if radar is None else radar)[mask]


def descriptors(frame: Frame, radar: Floats | None = None) -> Floats:
    """Describe each object of a frame by `DESCRIPTORS`.

    Parameters
    ----------
    frame
        A frame; what it does not have is nan.
    radar
        Its range-Doppler map; None draws it where there is a mask.

    Returns
    -------
    numpy.ndarray
        (objects, 7), the labels are in `frame.objects`.
    """
    rows = np.full((len(frame.objects), len(DESCRIPTORS)), np.nan)
    if rows.size and radar is None and frame.rd_mask is not None:
        radar = radar_map(frame, "range_doppler")
    rows[:, :-1] = box_descriptors(frame)
    for index, row in enumerate(rows):
        mask = frame.object_mask(index, "range_doppler")
        if radar is not None and mask is not None and mask.any():
            row[-1] = radar[mask].mean()
    return rows


def box_descriptors(frame: Frame) -> Floats:
    """Describe each object of a frame by what its boxes tell: all but the intensity.

    Parameters
    ----------
    frame
        A frame; what it does not have is nan.

    Returns
    -------
    numpy.ndarray
        (objects, 6), the columns of `DESCRIPTORS` without the last.
    """
    rows = np.full((len(frame.objects), len(DESCRIPTORS) - 1), np.nan)
    for row, found in zip(rows, frame.objects, strict=True):
        quantities = (found.range_m, found.azimuth_rad, found.velocity_mps)
        row[:3] = [np.nan if value is None else value for value in quantities]
        if found.rd_box is not None:
            row[3:5] = np.subtract(found.rd_box[2:], found.rd_box[:2])
        if found.ra_box is not None:
            row[5] = found.ra_box[3] - found.ra_box[1]
    return rows
