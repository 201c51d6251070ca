"""The frame-oriented annotations: instances with boxes, sparse points and dense pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.boxes import check_box, check_label, flat_indices
from datasets.carrada.files import MAX_ANNOTATION_JSON, read_json
from datasets.carrada.objects import (
    DILATION,
    FRAME_ID,
    SHAPES,
    VIEWS,
    Box,
    Mask,
    RadarObject,
    View,
    paint,
)
from datasets.errors import DataError, shown

FILE = "annotations_frame_oriented.json"

Pixels = NDArray[np.intp]
"""(n, 2) rows and columns inside the map."""

_OFFSETS = np.stack(
    np.meshgrid(np.arange(-DILATION, DILATION + 1), np.arange(-DILATION, DILATION + 1)), axis=-1
).reshape(-1, 2)
"""All that is nearer than 3 to a point: the 5 x 5 square, whose corners are at sqrt(8)."""


@dataclass(frozen=True)
class Instance:
    """One object with its pixels, both by view; a view that is not there has no entry."""

    name: str
    label: int
    boxes: dict[View, Box]
    pixels: dict[View, Pixels]

    def as_object(self) -> RadarObject:
        """Return the object without its pixels."""
        return RadarObject(
            self.label, self.boxes.get("range_doppler"), self.boxes.get("range_angle")
        )


Instances = dict[str, tuple[Instance, ...]]


class AnnotationFile:
    """`annotations_frame_oriented.json` of a root, parsed when it is first asked for.

    Parameters
    ----------
    root
        The CARRADA root.
    exceptions
        Merged instance name by raw one, for each sequence.
    """

    def __init__(self, root: Path, exceptions: dict[str, dict[str, str]]) -> None:
        self._path = root / FILE
        self._exceptions = exceptions
        self._raw: dict[str, Any] | None = None
        self._sequences: dict[str, Instances] = {}

    def sequence(self, name: str) -> Instances | None:
        """Return the instances of a sequence by frame; None if the file says nothing of it.

        Raises
        ------
        DataError
            By file and frame, if the file is malformed.
        """
        if name in self._sequences:
            return self._sequences[name]
        if self._raw is None:
            exists = self._path.exists()
            self._raw = read_json(self._path, MAX_ANNOTATION_JSON) if exists else {}
        if name not in self._raw:
            return None
        frames = self._raw.pop(name)  # the lists take ten times the memory of the arrays
        if not isinstance(frames, dict):
            raise DataError(f"{self._path}: sequence {name} is no object")
        self._sequences[name] = {
            frame: self._instances(name, frame, entry) for frame, entry in frames.items()
        }
        return self._sequences[name]

    def _instances(self, sequence: str, frame: str, entry: Any) -> tuple[Instance, ...]:
        where = f"{self._path}: {sequence} frame {shown(frame)}"
        if not FRAME_ID.fullmatch(frame) or not isinstance(entry, dict):
            raise DataError(f"{where}: want six digits and an object of instances")
        merged: dict[str, Instance] = {}
        for raw, views in entry.items():
            name = str(self._exceptions.get(sequence, {}).get(raw, raw))
            instance = _instance(name, views, f"{where} instance {shown(raw)}")
            merged[name] = _merge(merged[name], instance, where) if name in merged else instance
        return tuple(merged.values())


def _instance(name: str, views: Any, where: str) -> Instance:
    if not isinstance(views, dict):
        raise DataError(f"{where} is no object")
    labels: set[int] = set()
    boxes: dict[View, Box] = {}
    pixels: dict[View, Pixels] = {}
    for view in VIEWS:
        entry = views.get(view)
        if not entry:
            continue
        if not isinstance(entry, dict) or "label" not in entry:
            raise DataError(f"{where}: {view} has no label")
        labels.add(check_label(entry["label"], where))
        if entry.get("box"):
            boxes[view] = check_box(entry["box"], view, where)
        found = _pixels(entry, view, where)
        if found is not None:
            pixels[view] = found
    if len(labels) != 1:
        raise DataError(f"{where}: want one label in both views, not {sorted(labels)}")
    return Instance(name, labels.pop(), boxes, pixels)


def _pixels(entry: dict[str, Any], view: View, where: str) -> Pixels | None:
    if entry.get("dense"):
        return _inside(_pairs(entry["dense"], where), view)
    if entry.get("sparse"):
        return dilate(_inside(_pairs(entry["sparse"], where), view), view)
    return None


def _pairs(value: Any, where: str) -> Pixels:
    flat = flat_indices(value, where)
    if flat.size % 2:
        raise DataError(f"{where}: an odd count of pixel indices")
    return flat.reshape(-1, 2)


def _inside(pixels: Pixels, view: View) -> Pixels:
    return np.clip(pixels, 0, np.array(SHAPES[view]) - 1)


def dilate(points: Pixels, view: View) -> Pixels:
    """Return the dense pixels of sparse points: all that are nearer than 3 to one of them.

    Parameters
    ----------
    points
        (n, 2) rows and columns.
    view
        Their map; what lies outside of it is left out.

    Returns
    -------
    numpy.ndarray
        (m, 2), a pixel may occur more than once.
    """
    near = (points[:, None, :] + _OFFSETS).reshape(-1, 2)
    inside = np.all((near >= 0) & (near < SHAPES[view]), axis=1)
    return near[inside]


def _merge(one: Instance, other: Instance, where: str) -> Instance:
    if one.label != other.label:
        raise DataError(f"{where}: instances merged as {shown(one.name)} differ in label")
    boxes = dict(one.boxes)
    for view, box in other.boxes.items():
        boxes[view] = _hull(boxes[view], box) if view in boxes else box
    pixels = dict(one.pixels)
    for view, more in other.pixels.items():
        pixels[view] = np.concatenate([pixels[view], more]) if view in pixels else more
    return Instance(one.name, one.label, boxes, pixels)


def _hull(one: Box, other: Box) -> Box:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def class_mask(instances: tuple[Instance, ...], view: View) -> Mask | None:
    """Draw the instances of a frame into a class mask; None if one of them has no pixels.

    Parameters
    ----------
    instances
        The instances; none of them gives a mask of background.
    view
        Which map.
    """
    if any(view not in instance.pixels for instance in instances):
        return None
    pixels = list(_labelled(instances, view))
    everything = np.concatenate(pixels) if pixels else np.zeros((0, 3), np.intp)
    return paint((everything[:, 0], everything[:, 1]), everything[:, 2], view)


def _labelled(instances: tuple[Instance, ...], view: View) -> Iterator[NDArray[np.intp]]:
    for instance in instances:
        pixels = instance.pixels[view]
        yield np.column_stack([pixels, np.full(len(pixels), instance.label)])
