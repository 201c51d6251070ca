"""Writing a CARRADA root that is not CARRADA: the same format, drawn from measured distributions.

Dense masks are not written for all 12,666 frames (4 GB): the frame-oriented annotations hold the
sparse points, from which the reader draws a mask when asked, by the rule that CARRADA's own masks
follow. Each sequence has the dense arrays of a few frames as well.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.carrada import axes
from datasets.carrada.annotations import dilate
from datasets.carrada.measured import PROFILES
from datasets.carrada.motion import timeline
from datasets.carrada.objects import CLASSES, VIEWS, View, paint
from datasets.carrada.plan import FIRST_FRAME, SequencePlan, plan_sequences
from datasets.carrada.shapes import Ints, Shapes, shapes
from datasets.errors import DataError, shown

FORMAT = 1
"""Version of what a seed generates: part of the name in the cache."""
PURPOSE = int.from_bytes(b"carr")
"""Second word of the stream's `SeedSequence`, apart from other rooms' purposes."""
DENSE_FRAMES = 1
"""Annotated frames of each sequence whose dense arrays are written."""

_Json = dict[str, Any]


def cached_root(seed: int = 0, cache: str | Path | None = None) -> Path:
    """Return the generated root of a seed, generating it on first use.

    Parameters
    ----------
    seed
        A non-negative integer; the same seed gives the same bytes.
    cache
        Directory that holds the roots; None for `cache_directory()`.

    Returns
    -------
    pathlib.Path
        A root for `datasets.carrada.reader.open_root`.

    Raises
    ------
    DataError
        If the seed is none, or the cache cannot be written.
    """
    _check_seed(seed)
    parent = Path(cache) if cache is not None else cache_directory()
    root = parent / f"carrada-generated-v{FORMAT}-seed{seed}"
    if root.is_dir():
        return root
    try:
        parent.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed: who looks at the cache sees a whole root or none.
        aside = Path(tempfile.mkdtemp(prefix=f"{root.name}.", dir=parent))
        try:
            write_root(aside, seed)
            _publish(aside, root)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{parent}: generated data cannot be written: {error.strerror}; "
            "set XDG_CACHE_HOME to a directory that can"
        ) from error
    return root


def cache_directory() -> Path:
    """Return the directory of generated data: under $XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "trusted-federation"


def _publish(aside: Path, root: Path) -> None:
    try:
        aside.chmod(0o755)
        aside.rename(root)
    except OSError:
        if not root.is_dir():  # otherwise another process was first, with the same bytes
            raise


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DataError(f"seed {shown(seed)} must be a whole number, 0 or more")


@dataclass
class _Sequence:
    """The files of one sequence while it is put together."""

    plan: SequencePlan
    boxes: dict[View, _Json] = field(default_factory=lambda: {view: {} for view in VIEWS})
    annotations: _Json = field(default_factory=dict)
    instances: list[str] = field(default_factory=list)


def write_root(root: str | Path, seed: int = 0, dense_frames: int = DENSE_FRAMES) -> None:
    """Write a generated root of 30 sequences.

    Parameters
    ----------
    root
        Directory to write into.
    seed
        A non-negative integer; the same seed gives the same bytes.
    dense_frames
        Annotated frames of each sequence whose one-hot arrays are written (328 kB each).

    Raises
    ------
    DataError
        If the seed is none.
    OSError
        If it cannot be written.
    """
    _check_seed(seed)
    rng = np.random.default_rng(np.random.SeedSequence([seed, PURPOSE]))
    sequences = [_Sequence(plan) for plan in plan_sequences(rng)]
    for sequence in sequences:
        sequence.annotations = {frame: {} for frame in sequence.plan.frame_ids}
    for label in range(1, len(CLASSES)):
        _draw_class(sequences, label, rng)
    _write(Path(root), sequences, dense_frames)


def _draw_class(sequences: list[_Sequence], label: int, rng: np.random.Generator) -> None:
    visits = [(s, v) for s in sequences for v in s.plan.visits if v.label == label]
    total = sum(visit.frames for _, visit in visits)
    name = CLASSES[label]
    moved = timeline(total, PROFILES[name], rng)
    shape = shapes(moved, name, rng)
    boxes = {view: _view_boxes(shape.boxes, view).tolist() for view in VIEWS}
    at = 0
    for sequence, visit in visits:
        instance = f"{len(sequence.instances):06d}"
        sequence.instances.append(instance)
        for step in range(visit.frames):
            frame = f"{FIRST_FRAME + visit.first + step:06d}"
            views = {}
            for view in VIEWS:
                box = boxes[view][at + step]
                entry = sequence.boxes[view].setdefault(frame, {"boxes": [], "labels": []})
                entry["boxes"].append(box)
                entry["labels"].append(label)
                sparse = _sparse(shape, at + step, view).tolist()
                views[view] = {"sparse": sparse, "box": box, "label": label}
            sequence.annotations[frame][instance] = views
        at += visit.frames


def _view_boxes(boxes: Ints, view: View) -> Ints:
    """Return (n, 4) boxes of a view from (n, 3, 2) first and last indices."""
    ranges, doppler, angle = boxes[:, 0], boxes[:, 1], boxes[:, 2]
    if view == "range_doppler":
        return np.column_stack([ranges[:, 0], doppler[:, 0], ranges[:, 1], doppler[:, 1]])
    top, bottom = axes.RA_TOP - ranges[:, 1], axes.RA_TOP - ranges[:, 0]
    return np.column_stack([top, angle[:, 0], bottom, angle[:, 1]])


def _sparse(shape: Shapes, index: int, view: View) -> NDArray[np.int_]:
    """Return the (n, 2) sparse points of an object in a view."""
    points = shape.points[index, : shape.counts[index]]
    if view == "range_doppler":
        return points[:, :2]
    return np.column_stack([axes.RA_TOP - points[:, 0], points[:, 2]])


def _write(root: Path, sequences: list[_Sequence], dense_frames: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    names = [sequence.plan.name for sequence in sequences]
    (root / "validated_seqs.txt").write_text("".join(f"{name}\n" for name in names))
    of_frames = {s.plan.name: list(s.plan.frame_ids) for s in sequences}
    _dump(root / "light_dataset_frame_oriented.json", of_frames)
    _dump(root / "annotations_frame_oriented.json", {s.plan.name: s.annotations for s in sequences})
    _dump(root / "data_seq_ref.json", {s.plan.name: _reference(s.plan, s) for s in sequences})
    _dump(root / "instance_exceptions.json", {})
    for sequence in sequences:
        directory = root / sequence.plan.name / "annotations"
        (directory / "box").mkdir(parents=True)
        for view in VIEWS:
            boxes = dict(sorted(sequence.boxes[view].items()))
            _dump(directory / "box" / f"{view}_light.json", boxes)
        annotated = sorted(sequence.boxes["range_doppler"])
        for frame in annotated[len(annotated) // 2 :][:dense_frames]:
            _write_dense(directory / "dense" / frame, sequence.annotations[frame])


def _reference(plan: SequencePlan, sequence: _Sequence) -> _Json:
    starts = [FIRST_FRAME + visit.first for visit in plan.visits]
    ends = [start + v.frames - 1 for start, v in zip(starts, plan.visits, strict=True)]
    order = sorted(range(len(starts)), key=lambda i: (plan.visits[i].label, i))
    return {
        "instances": sequence.instances,
        "labels": [plan.visits[i].label for i in order],
        "ref_frame": [f"{starts[i]:06d}" for i in order],
        "min_frame_boundaries": [f"{starts[i]:06d}" for i in order],
        "max_frame_boundaries": [f"{ends[i]:06d}" for i in order],
        "split": plan.split,
    }


def _write_dense(directory: Path, instances: _Json) -> None:
    directory.mkdir(parents=True)
    for view in VIEWS:
        pixels = [dilate(np.array(i[view]["sparse"]), view) for i in instances.values()]
        labels = [i[view]["label"] for i in instances.values()]
        counts = [len(p) for p in pixels]
        rows, columns = np.concatenate(pixels).T
        mask = paint((rows, columns), np.repeat(labels, counts), view)
        one_hot = np.arange(len(CLASSES))[:, None, None] == mask
        np.save(directory / f"{view}.npy", one_hot.astype(np.uint8))


def _dump(path: Path, value: object) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(value, separators=(",", ":")))
