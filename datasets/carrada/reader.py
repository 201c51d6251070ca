"""Reading a CARRADA root, real or generated: lazily by sequence, each file parsed once."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.annotations import AnnotationFile, Instances, class_mask
from datasets.carrada.boxes import Objects, box_files, read_boxes
from datasets.carrada.files import read_array, read_json
from datasets.carrada.objects import (
    CLASSES,
    FRAME_ID,
    SEQUENCE_NAME,
    SHAPES,
    VIEWS,
    Frame,
    Mask,
    View,
)
from datasets.errors import DataError, shown
from datasets.files import read_text

SPLITS = ("Train", "Validation", "Test")
RECENT_FRAMES = 256
"""Frames that are kept with their masks, 80 kB each."""
_FRAME_DIRECTORIES = ("range_doppler", "range_angle")


def open_root(path: str | Path) -> "Carrada":
    """Open a CARRADA root.

    Parameters
    ----------
    path
        The directory `Carrada`, or the one that holds it.

    Returns
    -------
    Carrada
        Its sequences; nothing of them is read yet.

    Raises
    ------
    DataError
        If there is no such directory, or none of CARRADA's sequences in it.
    """
    given = Path(path)
    try:
        for root in (given, given / "Carrada"):
            if root.is_dir() and (listed := _sequence_names(root)):
                return Carrada(root, *listed)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read: {error}") from error
    raise DataError(
        f"{path}: is not a CARRADA root, there is no sequence YYYY-MM-DD-HH-MM-SS in it; "
        "give the directory Carrada or the one that holds it"
    )


def _sequence_names(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the sequences that are there and the listed ones that are not."""
    listing = root / "validated_seqs.txt"
    if not listing.exists():
        found = [p.name for p in root.iterdir() if SEQUENCE_NAME.fullmatch(p.name) and p.is_dir()]
        return (tuple(sorted(found)), ()) if found else None
    names = list(dict.fromkeys(read_text(listing, 2**20).split()))
    for name in names:
        if not SEQUENCE_NAME.fullmatch(name):
            raise DataError(f"{listing}: {shown(name)} is not a sequence YYYY-MM-DD-HH-MM-SS")
    there = tuple(name for name in names if (root / name).is_dir())
    if not there:
        raise DataError(f"{listing}: none of the {len(names)} listed sequences is in {root}")
    return there, tuple(name for name in names if name not in there)


class Carrada:
    """The sequences of a root.

    Parameters
    ----------
    root
        The directory of the sequences.
    sequences
        Names of the sequences that are there.
    missing
        Names that are listed as valid but have no directory.
    """

    def __init__(self, root: Path, sequences: tuple[str, ...], missing: tuple[str, ...]) -> None:
        self.root = root
        self.sequences = sequences
        self.missing = missing
        self._frames = self._optional("light_dataset_frame_oriented.json")
        self._reference = self._optional("data_seq_ref.json")
        exceptions = self._optional("instance_exceptions.json") or {}
        self._annotations = AnnotationFile(root, _checked_exceptions(root, exceptions))
        self._listed: dict[str, tuple[str, ...]] = {}
        self._boxes: dict[str, Objects | None] = {}
        # Devices deliver neighbouring frames of one scene: their masks are drawn once.
        self._recent = lru_cache(RECENT_FRAMES)(self._read_frame)

    def frames(self, sequence: str) -> tuple[str, ...]:
        """Return all frames of a sequence, those without objects too.

        Parameters
        ----------
        sequence
            One of `sequences`.

        Returns
        -------
        tuple of str
            Six digits each, in order.

        Raises
        ------
        DataError
            If there is no such sequence, or nothing tells its frames.
        """
        self._check(sequence)
        if sequence not in self._listed:
            self._listed[sequence] = self._list_frames(sequence)
        return self._listed[sequence]

    def frame(self, sequence: str, frame: str | int) -> Frame:
        """Return one frame; its masks are read when they are first asked for.

        Parameters
        ----------
        sequence
            One of `sequences`.
        frame
            Six digits, or the number that they mean.

        Returns
        -------
        Frame
            Its objects, none if it is not annotated.

        Raises
        ------
        DataError
            If there is no such frame, or a file of it is malformed.
        """
        return self._recent(sequence, f"{frame:06d}" if isinstance(frame, int) else frame)

    def _read_frame(self, sequence: str, name: str) -> Frame:
        if name not in self.frames(sequence):
            raise DataError(f"{self.root / sequence}: has no frame {shown(name)}")
        boxes = self._sequence_boxes(sequence)
        if boxes is not None:
            objects = boxes.get(name, ())
        else:
            objects = tuple(i.as_object() for i in self._instances(sequence).get(name, ()))
        load = partial(self._mask, sequence, name, bool(objects))
        return Frame(sequence, name, objects, load)

    def views(self, sequence: str) -> frozenset[View]:
        """Return the views of which a sequence has boxes of its own."""
        self._check(sequence)
        files = box_files(self.root / sequence)
        return frozenset(view for view in VIEWS if files[view].exists())

    def split(self, sequence: str) -> str | None:
        """Return `Train`, `Validation` or `Test`; None where the root does not say."""
        self._check(sequence)
        entry = (self._reference or {}).get(sequence)
        split = entry.get("split") if isinstance(entry, dict) else None
        if split is not None and split not in SPLITS:
            raise DataError(
                f"{self.root / 'data_seq_ref.json'}: split {shown(split)} of {sequence} is none "
                f"of {', '.join(SPLITS)}"
            )
        return split

    def radar(self, sequence: str, frame: str, view: View) -> NDArray[np.float64] | None:
        """Return the processed radar map of a frame, dB-like; None if it is not there.

        Raises
        ------
        DataError
            If the file is there and malformed.
        """
        self._check(sequence)
        path = self.root / sequence / f"{view}_processed" / f"{frame}.npy"
        if not FRAME_ID.fullmatch(frame) or not path.exists():
            return None
        return read_array(path, SHAPES[view], kinds="fiu").astype(np.float64)

    def camera(self, sequence: str, frame: str) -> Path | None:
        """Return the camera image of a frame, None if there is none: tails are missing."""
        self._check(sequence)
        path = self.root / sequence / "camera_images" / f"{frame}.jpg"
        return path if FRAME_ID.fullmatch(frame) and path.is_file() else None

    def _optional(self, name: str) -> dict[str, Any] | None:
        path = self.root / name
        return read_json(path) if path.exists() else None

    def _check(self, sequence: str) -> None:
        if sequence not in self.sequences:
            raise DataError(f"{self.root}: has no sequence {shown(sequence)}")

    def _list_frames(self, sequence: str) -> tuple[str, ...]:
        if self._frames is not None and sequence in self._frames:
            listed = self._frames[sequence]
            source = self.root / "light_dataset_frame_oriented.json"
            if not isinstance(listed, list) or not all(
                isinstance(f, str) and FRAME_ID.fullmatch(f) for f in listed
            ):
                raise DataError(f"{source}: frames of {sequence} are no list of six digits each")
            return tuple(sorted(set(listed)))
        directory = self.root / sequence
        found = _matching(directory / "annotations" / "dense", lambda path: path.name)
        for view in _FRAME_DIRECTORIES:
            for suffix in ("processed", "numpy"):
                found = found or _matching(directory / f"{view}_{suffix}", _npy_stem)
        if not found:
            raise DataError(
                f"{directory}: nothing tells its frames: no light_dataset_frame_oriented.json, "
                "no dense annotations, no radar maps"
            )
        return found

    def _sequence_boxes(self, sequence: str) -> Objects | None:
        if sequence not in self._boxes:
            self._boxes[sequence] = read_boxes(self.root / sequence)
        return self._boxes[sequence]

    def _instances(self, sequence: str) -> Instances:
        return self._annotations.sequence(sequence) or {}

    def _mask(self, sequence: str, frame: str, annotated: bool, view: View) -> Mask | None:
        path = self.root / sequence / "annotations" / "dense" / frame / f"{view}.npy"
        if path.exists():
            return _class_indices(path, view)
        if not annotated:
            return np.zeros(SHAPES[view], np.uint8)
        instances = self._instances(sequence).get(frame)
        return class_mask(instances, view) if instances else None


def _class_indices(path: Path, view: View) -> Mask:
    one_hot = read_array(path, (len(CLASSES), *SHAPES[view]), kinds="buif")
    if not np.all((one_hot == 0) | (one_hot == 1)):
        raise DataError(f"{path}: is not one-hot, it holds values other than 0 and 1")
    mask = np.zeros(SHAPES[view], np.uint8)
    for label in range(len(CLASSES) - 1, 0, -1):
        mask[one_hot[label] != 0] = label
    return mask


def _npy_stem(path: Path) -> str:
    return path.stem if path.suffix == ".npy" else ""


def _matching(directory: Path, name: Callable[[Path], str]) -> tuple[str, ...]:
    if not directory.is_dir():
        return ()
    return tuple(sorted(n for p in directory.iterdir() if FRAME_ID.fullmatch(n := name(p))))


def _checked_exceptions(root: Path, value: dict[str, Any]) -> dict[str, dict[str, str]]:
    for sequence, merged in value.items():
        if not isinstance(merged, dict) or not all(isinstance(m, str) for m in merged.values()):
            raise DataError(
                f"{root / 'instance_exceptions.json'}: {shown(sequence)} is no map of names"
            )
    return value
