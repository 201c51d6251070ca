"""Drawing objects into a coarse raster of each cube, what a user sees of the twin.

Each object is a Gaussian bump on range x azimuth x Doppler in the plane of its class; overlapping
bumps of a class merge by their maximum, so that the order of objects does not matter.
"""

import numpy as np

from datasets.carrada.objects import CLASSES
from strategies.twin.grid import Floats, Grid
from strategies.twin.table import LABEL, POSITION

RESOLUTION = (10, 10, 6)
"""Bins of a cube on range, azimuth and Doppler."""
WIDTHS = (3.0, 0.2, 2.5)
"""Standard deviations of a bump in metres, radians and m/s."""


def raster_shape(grid: Grid) -> tuple[int, int, int, int, int]:
    """Return (K, classes, range bins, azimuth bins, Doppler bins) of a rendering."""
    return grid.cubes, len(CLASSES) - 1, *RESOLUTION


def render(table: Floats, grid: Grid) -> Floats:
    """Draw a table of objects.

    Parameters
    ----------
    table
        (n, 5), columns `table.FIELDS`; rows with label 0 are left out.
    grid
        K cubes; an object close to a wall shows on both sides of it.

    Returns
    -------
    numpy.ndarray
        float64 (K, 3, 10, 10, 6) in [0, 1]: cube, class (pedestrian, cyclist, car), bins.
    """
    return by_cube(render_scene(table, grid), grid)


def render_scene(table: Floats, grid: Grid) -> Floats:
    """Draw a table of objects without cutting it into cubes.

    Parameters
    ----------
    table
        As for `render`.
    grid
        K cubes.

    Returns
    -------
    numpy.ndarray
        float64 (3, range bins, azimuth bins, Doppler bins) of the whole grid.
    """
    sizes = [bins * slices for bins, slices in zip(RESOLUTION, grid.shape, strict=True)]
    scene = np.zeros((len(CLASSES) - 1, *sizes))
    centres = [_bin_centres(grid, axis) for axis in range(3)]
    for label in range(1, len(CLASSES)):
        positions = table[table[:, LABEL] == label, POSITION]
        if not len(positions):
            continue
        bumps = [
            np.exp(-0.5 * ((centres[axis] - positions[:, axis, None]) / WIDTHS[axis]) ** 2)
            for axis in range(3)
        ]
        drawn = bumps[0][:, :, None, None] * bumps[1][:, None, :, None] * bumps[2][:, None, None]
        scene[label - 1] = drawn.max(axis=0)
    return scene


def _bin_centres(grid: Grid, axis: int) -> Floats:
    edges = np.array(grid.edges[axis])
    inside = (np.arange(RESOLUTION[axis]) + 0.5) / RESOLUTION[axis]
    return (edges[:-1, None] + np.diff(edges)[:, None] * inside).ravel()


def by_cube(scene: Floats, grid: Grid) -> Floats:
    """Cut planes (c, range bins, azimuth bins, Doppler bins) into cubes (K, c, 10, 10, 6)."""
    ranges, azimuths, dopplers = grid.shape
    split = scene.reshape(
        scene.shape[0], ranges, RESOLUTION[0], azimuths, RESOLUTION[1], dopplers, RESOLUTION[2]
    )
    return split.transpose(1, 3, 5, 0, 2, 4, 6).reshape(grid.cubes, len(scene), *RESOLUTION)
