"""Objects as rows of float64, the form in which they are fused, broadcast and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.objects import CLASSES, RadarObject
from datasets.carrada.scene import Scene
from strategies.twin.errors import TwinError
from strategies.twin.grid import Grid

Floats = NDArray[np.float64]

FIELDS = ("label", "range_m", "azimuth_rad", "doppler_mps", "confidence")
"""Columns of a table of objects; label 0 is an empty row."""
LABEL, CONFIDENCE = 0, 4
POSITION = slice(1, 4)


def object_table(objects: Sequence[RadarObject]) -> Floats:
    """Return the objects as a table.

    Parameters
    ----------
    objects
        Objects with both boxes.

    Returns
    -------
    numpy.ndarray
        (n, 5), columns `FIELDS`.

    Raises
    ------
    TwinError
        If an object lacks a view.
    """
    rows = [
        (found.label, found.range_m, found.azimuth_rad, found.velocity_mps, found.confidence)
        for found in objects
    ]
    if any(value is None for row in rows for value in row):
        raise TwinError("an object has a box in one view only, the twin needs both")
    return np.array(rows, np.float64).reshape(len(rows), len(FIELDS))


@dataclass(frozen=True)
class Stack:
    """The objects of several scenes in one table.

    Parameters
    ----------
    table
        (n, 5), columns `FIELDS`.
    scene
        (n,) index of the scene of each row, ascending.
    cube
        (n,) cube of each row.
    scenes
        How many scenes there are, S; some may have no row.
    """

    table: Floats
    scene: NDArray[np.intp]
    cube: NDArray[np.intp]
    scenes: int


def stack(scenes: Sequence[Scene], grid: Grid) -> Stack:
    """Put the objects of scenes into one table."""
    tables = [object_table(scene.objects) for scene in scenes]
    table = np.concatenate([np.zeros((0, len(FIELDS))), *tables])
    owner = np.repeat(np.arange(len(tables)), [len(rows) for rows in tables])
    return Stack(table, owner, grid.locate(table[:, POSITION]), len(tables))


def check_table(table: Floats) -> None:
    """Refuse a table with labels other than 0..3 or values that are not finite.

    Raises
    ------
    TwinError
        In these cases.
    """
    if not np.all(np.isfinite(table)):
        raise TwinError("a broadcast twin holds values that are not finite")
    if not np.all(np.isin(table[..., LABEL], np.arange(len(CLASSES)))):
        raise TwinError("a broadcast twin holds labels other than 0..3")
