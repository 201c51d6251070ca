"""Measuring a root: the figures of `measured`, for a real or a generated one."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.measured import BAND_EDGES_M
from datasets.carrada.motion import Floats
from datasets.carrada.objects import CLASSES, Frame
from datasets.carrada.reader import Carrada
from datasets.errors import DataError


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class; see `measured.ClassProfile` for what each is."""

    objects: int
    range_m: tuple[float, ...]
    azimuth_deg: tuple[float, ...]
    speed_mps: tuple[float, ...]
    range_extent: tuple[float, ...]
    doppler_extent: tuple[float, ...]
    rd_extents: tuple[tuple[float, ...], ...]
    angle_extents: tuple[float, ...]


@dataclass(frozen=True)
class Figures:
    """Figures of a root.

    Parameters
    ----------
    frames_per_sequence
        Least, median, most.
    frames
        All of them.
    annotated_share_median
        Median over sequences of the share of frames with objects.
    passes
        Fewest and most runs of consecutive annotated frames in a sequence.
    objects_per_frame
        Share of frames with none, one, two objects.
    same_class_frames
        Frames with two objects of one class.
    scenarios
        Sequences by the classes that are in them; a class twice if two are in one frame.
    classes
        By class name, those that occur.
    """

    frames_per_sequence: tuple[int, int, int]
    frames: int
    annotated_share_median: float
    passes: tuple[int, int]
    objects_per_frame: tuple[float, float, float]
    same_class_frames: int
    scenarios: dict[tuple[str, ...], int]
    classes: dict[str, ClassFigures]


def figures(data: Carrada) -> Figures:
    """Measure a root; its masks are not read.

    Parameters
    ----------
    data
        A root with boxes in both views.

    Raises
    ------
    DataError
        If a file is malformed, or an object lacks a view.
    """
    sequences = [[data.frame(name, f) for f in data.frames(name)] for name in data.sequences]
    lengths = [len(frames) for frames in sequences]
    annotated = [np.array([bool(frame.objects) for frame in frames]) for frames in sequences]
    passes = [int(np.sum(np.diff(seen, prepend=False) & seen)) for seen in annotated]
    everything = [frame for frames in sequences for frame in frames]
    counts = np.bincount([len(frame.objects) for frame in everything], minlength=3) / sum(lengths)
    return Figures(
        (min(lengths), int(np.median(lengths)), max(lengths)),
        sum(lengths),
        float(np.median([seen.mean() for seen in annotated])),
        (min(passes), max(passes)),
        (float(counts[0]), float(counts[1]), float(counts[2])),
        sum(max(_labels(frame).values(), default=0) > 1 for frame in everything),
        dict(Counter(_scenario(frames) for frames in sequences)),
        _classes(everything),
    )


def _labels(frame: Frame) -> Counter[str]:
    return Counter(found.name for found in frame.objects)


def _scenario(frames: list[Frame]) -> tuple[str, ...]:
    most: Counter[str] = Counter()
    for frame in frames:
        most |= _labels(frame)
    return tuple(sorted(most.elements()))


def _classes(frames: list[Frame]) -> dict[str, ClassFigures]:
    rows = []
    for frame in frames:
        for found in frame.objects:
            if found.rd_box is None or found.ra_box is None:
                raise DataError(f"{frame.sequence} frame {frame.frame}: has boxes in one view only")
            position = (found.range_m, found.azimuth_rad, found.velocity_mps)
            rows.append((found.label, *position, *found.rd_box, found.ra_box[1], found.ra_box[3]))
    table = np.array(rows, np.float64).reshape(-1, 10)
    return {
        name: _class_figures(table[table[:, 0] == label])
        for label, name in enumerate(CLASSES)
        if np.any(table[:, 0] == label)
    }


def _class_figures(table: Floats) -> ClassFigures:
    ranges, azimuth, speed = table[:, 1], np.rad2deg(table[:, 2]), np.abs(table[:, 3])
    extents = np.stack(
        [table[:, 6] - table[:, 4], table[:, 7] - table[:, 5], table[:, 9] - table[:, 8]], axis=1
    )
    band = np.digitize(ranges, BAND_EDGES_M)
    medians = [_medians(extents[band == b]) for b in range(len(BAND_EDGES_M) + 1)]
    return ClassFigures(
        len(table),
        _quantiles(ranges, 5, 50, 95),
        _quantiles(azimuth, 5, 50, 95),
        _quantiles(speed, 50, 95, 100),
        _quantiles(extents[:, 0], 50, 95),
        _quantiles(extents[:, 1], 50, 95),
        tuple(median[:2] for median in medians),
        tuple(median[2] for median in medians),
    )


def _medians(extents: Floats) -> tuple[float, ...]:
    if not len(extents):
        return (np.nan,) * 3
    return tuple(float(value) for value in np.median(extents, axis=0))


def _quantiles(values: NDArray[np.float64], *percents: int) -> tuple[float, ...]:
    return tuple(float(value) for value in np.percentile(values, percents))
