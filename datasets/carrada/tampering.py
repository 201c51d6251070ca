"""What dishonest devices and eavesdroppers make of a scene.

The paper's three attacks: stale data (Section III, "reducing service cost"), tampering with the
twin (an object hidden, moved, inserted or re-classed; figure 2 hides a person), and a man in the
middle who alters a payload after the device. Boxes, quantities and mask stay consistent, so that
validation alone does not give an attack away.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from datasets.carrada import axes
from datasets.carrada.measured import PROFILES
from datasets.carrada.objects import CLASSES, Box, RadarObject, pixels_in, window
from datasets.carrada.payload import LIMITS, Limits, Payload, decode, encode
from datasets.carrada.scene import Scene
from datasets.errors import DataError

MIN_MOVE_M = 8.0
"""Least change of range when an object is moved."""

_Pixels = NDArray[np.bool_]


class Tampering(StrEnum):
    """Ways to alter a scene."""

    HIDE = "hide"
    MOVE = "move"
    INSERT = "insert"
    RECLASS = "reclass"


def stale(scene: Scene, older: Scene) -> Scene:
    """Pass an older frame off as this one: its content under the present header.

    Parameters
    ----------
    scene
        What should be delivered.
    older
        What was captured before, of the same sequence.

    Raises
    ------
    DataError
        If it is not older, or of another sequence.
    """
    if older.sequence != scene.sequence or older.captured_ms >= scene.captured_ms:
        raise DataError(
            f"frame {older.frame} of {older.sequence} is not an older one of {scene.sequence} "
            f"than {scene.frame}"
        )
    return scene.with_content(older.objects, older.mask)


def tamper(
    scene: Scene,
    rng: np.random.Generator,
    how: Tampering | None = None,
    target: int | None = None,
    centre: tuple[float, float, float] | None = None,
) -> Scene:
    """Alter one object of a scene.

    Parameters
    ----------
    scene
        What was seen.
    rng
        The attacker's stream.
    how
        What to do; None draws it. In a scene without objects only inserting is left, and in one
        that is full everything else.
    target
        Position of the object to alter; None draws it.
    centre
        Where to insert, as metres, radians and m/s; None draws it.

    Returns
    -------
    Scene
        A scene that `encode` accepts if it accepted the one given.

    Raises
    ------
    DataError
        If `how` asks for what the scene does not allow, or there is no such target.
    """
    allowed = _allowed(scene)
    if how is None:
        how = allowed[int(rng.integers(len(allowed)))]
    if how not in allowed:
        raise DataError(f"cannot {how} in a scene of {len(scene.objects)} objects")
    if how is Tampering.INSERT:
        return insert(scene, rng, centre)
    if target is None:
        target = int(rng.integers(len(scene.objects)))
    if not 0 <= target < len(scene.objects):
        raise DataError(f"no object {target} in a scene of {len(scene.objects)}")
    return _ALTERATIONS[how](scene, rng, target)


def intercept(
    payload: Payload,
    rng: np.random.Generator,
    how: Tampering | None = None,
    limits: Limits = LIMITS,
) -> Payload:
    """Alter a payload on its way: the man in the middle, after the device.

    Parameters
    ----------
    payload
        What the device sent.
    rng
        The attacker's stream.
    how
        As for `tamper`.
    limits
        What the receiver accepts.

    Returns
    -------
    Payload
        A valid payload with the device's header.

    Raises
    ------
    PayloadError
        If the device's payload was not valid.
    """
    scene = decode(payload.mask_png, payload.metadata, limits)
    return encode(tamper(scene, rng, how), limits)


def _allowed(scene: Scene) -> list[Tampering]:
    full = len(scene.objects) >= LIMITS.objects
    return [
        how for how in Tampering if (not full if how is Tampering.INSERT else bool(scene.objects))
    ]


def hide(scene: Scene, rng: np.random.Generator, target: int) -> Scene:
    """Take an object out of the list and the mask."""
    mask = scene.mask.copy()
    mask[_own_pixels(scene, target)] = 0
    return scene.with_content(scene.objects[:target] + scene.objects[target + 1 :], mask)


def reclass(scene: Scene, rng: np.random.Generator, target: int) -> Scene:
    """Call an object by another class."""
    found = scene.objects[target]
    label = (found.label - 1 + int(rng.integers(1, 3))) % 3 + 1
    mask = scene.mask.copy()
    mask[_own_pixels(scene, target)] = label
    return scene.with_content(_replaced(scene, target, replace(found, label=label)), mask)


def move(scene: Scene, rng: np.random.Generator, target: int) -> Scene:
    """Shift an object by at least `MIN_MOVE_M` in range, and to any azimuth."""
    found = scene.objects[target]
    rd_box, ra_box = _both_boxes(found)
    bins = _range_shift(rd_box, rng)
    columns = int(rng.integers(-ra_box[1], axes.ANGLE_BINS - ra_box[3]))
    moved = replace(
        found,
        rd_box=_shifted(rd_box, bins, 0, axes.RD_SHAPE),
        ra_box=_shifted(ra_box, -bins, columns, axes.RA_SHAPE),
    )
    pixels = _own_pixels(scene, target)
    mask = scene.mask.copy()
    mask[pixels] = 0
    rows, cols = np.nonzero(pixels)
    rows, cols = rows - bins, cols + columns
    inside = (rows >= 0) & (rows < axes.RANGE_BINS) & (cols >= 0) & (cols < axes.ANGLE_BINS)
    mask[rows[inside], cols[inside]] = found.label
    return scene.with_content(_replaced(scene, target, moved), mask)


def insert(
    scene: Scene, rng: np.random.Generator, centre: tuple[float, float, float] | None = None
) -> Scene:
    """Add a phantom of a class's usual size.

    Parameters
    ----------
    scene
        What was seen.
    rng
        The attacker's stream.
    centre
        Metres, radians, m/s; None draws it where objects are likely.
    """
    label = int(rng.integers(1, len(CLASSES)))
    profile = PROFILES[CLASSES[label]]
    if centre is None:
        near, _, far = profile.range_m
        left, _, right = np.deg2rad(profile.azimuth_deg)
        speed = profile.speed_mps[1]
        drawn = rng.uniform([near, left, -speed], [far, right, speed])
        centre = (float(drawn[0]), float(drawn[1]), float(drawn[2]))
    heights = (profile.range_extent[0], profile.angle_extents[1], profile.doppler_extent[0])
    ranges = _interval(centre[0] / axes.RANGE_STEP, heights[0], 1, axes.RANGE_BINS)
    angles = _interval(
        centre[1] / axes.ANGLE_STEP + axes.ANGLE_ZERO, heights[1], 0, axes.ANGLE_BINS
    )
    doppler = _interval(
        centre[2] / axes.DOPPLER_STEP + axes.DOPPLER_ZERO, heights[2], 0, axes.DOPPLER_BINS
    )
    ra_box = (axes.RA_TOP - ranges[1], angles[0], axes.RA_TOP - ranges[0], angles[1])
    rd_box = (ranges[0], doppler[0], ranges[1], doppler[1])
    sure = float(np.round(rng.uniform(0.8, 1.0), 4))
    mask = scene.mask.copy()
    mask[window(ra_box)] = label
    return scene.with_content((*scene.objects, RadarObject(label, rd_box, ra_box, sure)), mask)


_ALTERATIONS: dict[Tampering, Callable[[Scene, np.random.Generator, int], Scene]] = {
    Tampering.HIDE: hide,
    Tampering.MOVE: move,
    Tampering.RECLASS: reclass,
}


def _own_pixels(scene: Scene, target: int) -> _Pixels:
    """Pixels of an object that no other object of its class claims as well."""
    found = scene.objects[target]
    own = pixels_in(scene.mask, _both_boxes(found)[1], found.label)
    for index, other in enumerate(scene.objects):
        if index != target and other.label == found.label and other.ra_box is not None:
            own[window(other.ra_box)] = False
    return own


def _both_boxes(found: RadarObject) -> tuple[Box, Box]:
    if found.rd_box is None or found.ra_box is None:
        raise DataError("an object of a scene has no box in one of the views")
    return found.rd_box, found.ra_box


def _replaced(scene: Scene, target: int, found: RadarObject) -> tuple[RadarObject, ...]:
    return (*scene.objects[:target], found, *scene.objects[target + 1 :])


def _range_shift(rd_box: Box, rng: np.random.Generator) -> int:
    """Draw a shift in range bins that keeps the box inside and is long enough."""
    shifts = np.arange(1 - rd_box[0], axes.RANGE_BINS - rd_box[2])
    far = shifts[np.abs(shifts) >= MIN_MOVE_M / axes.RANGE_STEP]
    if not far.size:  # a box that fills the map: as far as it goes
        far = shifts[[np.abs(shifts).argmax()]]
    return int(rng.choice(far))


def _shifted(box: Box, rows: int, columns: int, shape: tuple[int, int]) -> Box:
    by = np.array([rows, columns, rows, columns])
    row, column, last_row, last_column = np.clip(by + box, 0, np.array(shape * 2) - 1).tolist()
    return row, column, last_row, last_column


def _interval(centre: float, extent: int, first: int, size: int) -> tuple[int, int]:
    start = min(max(round(centre - extent / 2), first), size - 1 - extent)
    return start, start + extent
