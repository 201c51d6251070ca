"""Users' complaints: what is rendered of a visited cube against what is really there."""

import numpy as np

from strategies.twin.fusion import Twin
from strategies.twin.grid import Bools, Floats, Grid
from strategies.twin.rendering import by_cube, render_scene

THRESHOLD = 0.6
"""Difference above which a user complains; see `differences`."""


def differences(twin: Floats, truth: Floats, grid: Grid) -> Floats:
    """Compare two tables of objects cube by cube.

    The renderings X and Y differ in a bin by the largest |X - Y| over the classes. What counts are
    the peaks of this difference: an object that is wrong near a wall shows on both sides of it, but
    is held against the cube in which it is.

    Parameters
    ----------
    twin, truth
        (n, 5) and (m, 5) objects that are shown and that are there.
    grid
        K cubes.

    Returns
    -------
    numpy.ndarray
        (K,) in [0, 1], the highest peak in each cube: 0 for equal renderings, near 1 for an object
        that is missing, too many, elsewhere or of another class, whatever else is in the cube.
    """
    gap = np.abs(render_scene(twin, grid) - render_scene(truth, grid)).max(axis=0)
    peaks = np.where(gap >= _highest_nearby(gap), gap, 0.0)
    return np.asarray(by_cube(peaks[None], grid).max(axis=(1, 2, 3, 4)))


def _highest_nearby(field: Floats) -> Floats:
    """Return the maximum over each bin and its 26 neighbours."""
    for axis in range(field.ndim):
        lines = np.moveaxis(field, axis, 0)
        highest = lines.copy()
        np.maximum(highest[1:], lines[:-1], out=highest[1:])
        np.maximum(highest[:-1], lines[1:], out=highest[:-1])
        field = np.moveaxis(highest, 0, axis)
    return field


def complaints(
    twin: Twin, truth: Floats, visited: Bools, grid: Grid, threshold: float = THRESHOLD
) -> Bools:
    """Return the cubes that a user complains of.

    Parameters
    ----------
    twin
        What was broadcast.
    truth
        (m, 5) objects of the frame as the user sees it.
    visited
        (K,) cubes that the user visits.
    grid
        K cubes.
    threshold
        Difference above which it complains.

    Returns
    -------
    numpy.ndarray
        (K,) True only where visited and covered; silence on such a cube is a positive.
    """
    shown = visited & twin.covered
    return shown & (differences(twin.table(), truth, grid) > threshold)
