"""The objects of a CARRADA root as labelled records: what a learner of object classes trains on.

One record is one annotated object in one frame. Frames are 0.1 s apart, so the records of one
object are near-duplicates: they carry a track, which no honest split may cut.
"""

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.bounds import Bounds
from datasets.carrada import axes
from datasets.carrada.generator import cache_directory, cached_root
from datasets.carrada.intensity import DESCRIPTORS, box_descriptors, descriptors
from datasets.carrada.objects import CLASSES, Frame
from datasets.carrada.reader import Carrada, open_root
from datasets.errors import DataError, check_choice
from datasets.table import Table

ROAD_USERS = CLASSES[1:]
"""Classes in the order of their labels 1, 2, 3."""
FEATURES = (*DESCRIPTORS[:2], "speed_mps", *DESCRIPTORS[3:])
"""As `DESCRIPTORS`, but for the speed: coming or going says nothing of the class."""
BOUNDS: Bounds = (
    (0.0, axes.MAX_RANGE),
    (-axes.MAX_AZIMUTH, axes.MAX_AZIMUTH),
    (0.0, axes.MAX_SPEED),
    (0.0, 64.0),
    (0.0, 64.0),
    (0.0, 128.0),
    (60.0, 80.0),
)
"""What the format allows, known without any record: ends of the axes, extents up to 12.5 m, 64
Doppler and 128 angle bins, dB from the background of the radar maps on. What lies beyond is cut."""
KINDS = ("all", "boxes")
TRACK_GAP = 10
"""Frames (1 s) for which a class may be out of sight on one track."""

_INTENSITIES = 1
"""Version of the cached intensities of generated scenes."""
_SPEED, _INTENSITY = 2, len(FEATURES) - 1


@dataclass(frozen=True)
class _Found:
    """The objects of a root, in the order of its frames."""

    rows: NDArray[np.float64]
    labels: NDArray[np.int8]
    tracks: NDArray[np.int64]
    sequences: NDArray[np.int64]


def load_objects(data: str | Path | None = None, kind: str = "all") -> Table:
    """Return a record for each annotated object of each frame of a root.

    Parameters
    ----------
    data
        A CARRADA root; None for the generated scenes.
    kind
        `all` descriptors of the root: the intensity is left out where it has no radar maps.
        `boxes`: never the intensity.

    Returns
    -------
    Table
        Features named by `FEATURES`, classes pedestrian, cyclist and car. Groups are tracks (a
        class in consecutive frames of a sequence, two of a kind at once are one track), recordings
        are sequences. Objects that are not in both views are left out.

    Raises
    ------
    DataError
        If there is no such root, a file of it is malformed, or a class has no object in it.
    """
    check_choice("kind of descriptors", kind, KINDS)
    root = open_root(data or cached_root())
    found = _objects(root)
    if kind == "all":
        found.rows[:, _INTENSITY] = _intensities(root, len(found.rows), generated=not data)
    columns = range(len(FEATURES))
    if kind == "boxes" or np.isnan(found.rows[:, _INTENSITY]).all():
        columns = range(_INTENSITY)
    rows = found.rows[:, columns]
    whole = ~np.isnan(rows).any(axis=1)
    _check_classes(root, found.labels[whole])
    bounds = BOUNDS[: len(columns)]
    return Table(
        features=np.clip(rows[whole], *np.array(bounds).T),
        labels=found.labels[whole],
        groups=np.unique(found.tracks[whole], return_inverse=True)[1],
        feature_names=FEATURES[: len(columns)],
        classes=ROAD_USERS,
        name="carrada",
        bounds=bounds,
        public_bounds=True,
        recordings=found.sequences[whole],
    )


def _check_classes(root: Carrada, labels: NDArray[np.int8]) -> None:
    for label, name in enumerate(ROAD_USERS, start=1):
        if not (labels == label).any():
            raise DataError(
                f"{root.root}: has no {name}, a learner needs objects of all classes "
                f"({', '.join(ROAD_USERS)}): name another root, or none for generated scenes"
            )


def _frames(root: Carrada, sequence: str) -> list[tuple[int, Frame]]:
    """Return the annotated frames of a sequence with their numbers."""
    frames = [(int(name), root.frame(sequence, name)) for name in root.frames(sequence)]
    return [(number, frame) for number, frame in frames if frame.objects]


def _objects(root: Carrada) -> _Found:
    rows = [np.zeros((0, len(FEATURES)))]
    labels: list[int] = []
    tracks: list[int] = []
    sequences: list[int] = []
    count = 0
    for index, sequence in enumerate(root.sequences):
        last: dict[int, tuple[int, int]] = {}  # label: frame and track in which it was seen
        for number, frame in _frames(root, sequence):
            described = np.full((len(frame.objects), len(FEATURES)), np.nan)
            described[:, :_INTENSITY] = box_descriptors(frame)
            described[:, _SPEED] = np.abs(described[:, _SPEED])
            rows.append(described)
            for found in frame.objects:
                before = last.get(found.label)
                if before is None or number - before[0] > TRACK_GAP:
                    before = number, count
                    count += 1
                track = before[1]
                last[found.label] = number, track
                labels.append(found.label)
                tracks.append(track)
                sequences.append(index)
    return _Found(
        np.concatenate(rows),
        np.array(labels, dtype=np.int8),
        np.array(tracks, dtype=np.int64),
        np.array(sequences, dtype=np.int64),
    )


def _intensities(root: Carrada, objects: int, *, generated: bool) -> NDArray[np.float64]:
    """Return the mean intensity of each object, nan where there is no radar map or no pixel."""
    if not generated:
        return _measure(root, generated=False)
    path = cache_directory() / f"{root.root.name}-intensities-v{_INTENSITIES}.npy"
    try:
        kept = np.load(path, allow_pickle=False)
        if kept.shape == (objects,) and kept.dtype == np.float64:
            return np.asarray(kept)
    except (OSError, ValueError, EOFError):
        pass  # not there yet, or half of it: drawn again
    measured = _measure(root, generated=True)
    _keep(path, measured)
    return measured


def _measure(root: Carrada, *, generated: bool) -> NDArray[np.float64]:
    means: list[float] = []
    for sequence in root.sequences:
        for _, frame in _frames(root, sequence):
            radar = root.radar(sequence, frame.frame, "range_doppler")
            if generated or radar is not None:  # of a real root nothing is drawn
                means.extend(descriptors(frame, radar)[:, -1])
            else:
                means.extend([np.nan] * len(frame.objects))
    return np.array(means)


def _keep(path: Path, values: NDArray[np.float64]) -> None:
    """Write a cache file whole; what cannot be kept is drawn again the next time."""
    with suppress(OSError), tempfile.TemporaryDirectory(dir=path.parent) as aside:
        np.save(Path(aside) / path.name, values)
        (Path(aside) / path.name).rename(path)
