"""The box files of a sequence: labels and boxes of every annotated frame, both views together."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.files import read_json
from datasets.carrada.objects import CLASSES, FRAME_ID, SHAPES, VIEWS, Box, RadarObject, View
from datasets.errors import DataError, shown

Objects = dict[str, tuple[RadarObject, ...]]
_Entries = dict[str, tuple[list[int], list[Box]]]


def box_files(sequence: Path) -> dict[View, Path]:
    """Return the box file of each view in the directory of a sequence; they need not exist."""
    return {view: sequence / "annotations" / "box" / f"{view}_light.json" for view in VIEWS}


def read_boxes(sequence: Path) -> Objects | None:
    """Read the boxes of a sequence.

    Parameters
    ----------
    sequence
        Directory of the sequence.

    Returns
    -------
    dict or None
        Objects by frame, annotated frames only; None if neither view has a box file.

    Raises
    ------
    DataError
        By file, if it is malformed, or if the two views disagree about a frame.
    """
    files = {view: path for view, path in box_files(sequence).items() if path.exists()}
    entries = {view: _read_view(path, view) for view, path in files.items()}
    if not entries:
        return None
    frames = sorted(set().union(*entries.values()))
    return {frame: _join(entries, files, frame) for frame in frames}


def _join(
    entries: dict[View, _Entries], files: dict[View, Path], frame: str
) -> tuple[RadarObject, ...]:
    labels: list[int] | None = None
    boxes: dict[View, list[Box]] = {}
    for view, frames in entries.items():
        of_view, boxes[view] = frames.get(frame, ([], []))
        if labels is not None and of_view != labels:
            raise DataError(
                f"{files[view]}: frame {frame} has labels {shown(of_view)}, the other view "
                f"{shown(labels)}; the lists must be equal"
            )
        labels = of_view
    rd = boxes.get("range_doppler")
    ra = boxes.get("range_angle")
    return tuple(
        RadarObject(label, rd[i] if rd else None, ra[i] if ra else None)
        for i, label in enumerate(labels or [])
    )


def _read_view(path: Path, view: View) -> _Entries:
    content = read_json(path)
    entries: _Entries = {}
    for frame, entry in content.items():
        where = f"{path}: frame {shown(frame)}"
        if not FRAME_ID.fullmatch(frame):
            raise DataError(f"{where} is not named by six digits")
        if not isinstance(entry, dict) or not {"boxes", "labels"} <= entry.keys():
            raise DataError(f"{where} lacks boxes or labels")
        labels, boxes = entry["labels"], entry["boxes"]
        if not (isinstance(labels, list) and isinstance(boxes, list) and len(labels) == len(boxes)):
            raise DataError(f"{where}: boxes and labels are not lists of equal length")
        entries[frame] = (
            [check_label(label, where) for label in labels],
            [check_box(box, view, where) for box in boxes],
        )
    return entries


def check_label(label: object, where: str) -> int:
    """Return a label if it is 1, 2 or 3; raise `DataError` naming `where` otherwise."""
    if type(label) is not int or not 0 < label < len(CLASSES):
        raise DataError(f"{where}: label {shown(label)} is not 1, 2 or 3")
    return label


def check_box(box: object, view: View, where: str) -> Box:
    """Return a box of four whole numbers, clamped into the map.

    Parameters
    ----------
    box
        `[row, column, row, column]`, or two corners `[[row, column], [row, column]]`.
    view
        Its map.
    where
        File and frame, for the message.

    Raises
    ------
    DataError
        If these are no numbers, or the last corner lies before the first.
    """
    flat = flat_indices(box, where)
    if flat.size != 4:  # noqa: PLR2004 -- two corners
        raise DataError(f"{where}: box {shown(box)} has not four numbers")
    row, column, last_row, last_column = flat.tolist()
    if row > last_row or column > last_column:
        raise DataError(f"{where}: box {shown(box)} ends before it begins")
    height, width = SHAPES[view]
    return (
        _clamp(row, height),
        _clamp(column, width),
        _clamp(last_row, height),
        _clamp(last_column, width),
    )


def _clamp(index: int, size: int) -> int:
    return min(max(index, 0), size - 1)


def flat_indices(value: Any, where: str) -> NDArray[np.int64]:
    """Flatten nested lists of whole numbers.

    Parameters
    ----------
    value
        What the file holds.
    where
        File and frame, for the message.

    Returns
    -------
    numpy.ndarray
        int64, one axis.

    Raises
    ------
    DataError
        If it is ragged, or anything in it is no whole number.
    """
    try:
        numbers = np.asarray(value).reshape(-1)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{where}: {shown(value)} is no list of indices") from error
    if not numbers.size:
        return np.zeros(0, np.int64)
    whole = numbers.dtype.kind in "iu" or (
        numbers.dtype.kind == "f" and bool(np.all(np.mod(numbers, 1) == 0))
    )
    if not whole or np.abs(numbers).max() >= 2**31:
        raise DataError(f"{where}: {shown(value)} is no list of whole numbers")
    return numbers.astype(np.int64)
