"""How much two payloads agree about a cube: Algorithm 1's pairwise similarity.

For cube k and scenes a, b

    s_k(a, b) = (J_k + F_k) / 2, in [0, 1], symmetric, 1 for equal content.

J_k is the Jaccard index of the masks: of all pixels with their class that either scene has in the
cube, the share that both scenes have. F_k compares objects: with closeness
c(i, j) = exp(-|x_i - x_j|^2 / 2) for equal classes (positions scaled by `SCALES`), 0 otherwise,

    F_k = (sum_{i in a_k} max_{j in b} c(i, j) + sum_{j in b_k} max_{i in a} c(i, j))
          / (|a_k| + |b_k|).

Both count what lies in the cube but look for its partner anywhere in the other scene, so that an
object that crosses a wall between two frames is not taken for one that is missing. Both are 1 if
neither scene has anything in the cube.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datasets.carrada import axes
from datasets.carrada.objects import CLASSES, pixels_in
from datasets.carrada.scene import Scene
from strategies.twin.grid import Grid
from strategies.twin.table import LABEL, POSITION, Floats, Stack, object_table, stack

SCALES = np.array([3.0, 0.2, 1.5])
"""Metres, radians and m/s that count as one unit of distance between objects."""


def similarities(scenes: Sequence[Scene], grid: Grid) -> Floats:
    """Compare all scenes in all cubes.

    Parameters
    ----------
    scenes
        S scenes with both boxes on every object.
    grid
        K cubes.

    Returns
    -------
    numpy.ndarray
        (K, S, S), symmetric, ones on the diagonals.
    """
    return 0.5 * (mask_similarities(scenes, grid) + object_similarities(stack(scenes, grid), grid))


def closeness(one: Floats, other: Floats) -> Floats:
    """Return c(i, j) for two tables of objects: (n, m) in [0, 1]."""
    gaps = (one[:, None, POSITION] - other[None, :, POSITION]) / SCALES
    same = one[:, None, LABEL] == other[None, :, LABEL]
    return np.where(same, np.exp(-0.5 * np.sum(gaps**2, axis=2)), 0.0)


def object_similarities(stacked: Stack, grid: Grid) -> Floats:
    """Return F_k for all pairs of scenes: (K, S, S).

    Parameters
    ----------
    stacked
        Objects of the S scenes.
    grid
        K cubes.
    """
    count, cubes = stacked.scenes, grid.cubes
    close = closeness(stacked.table, stacked.table)
    best = np.zeros((len(close), count))
    for scene in range(count):
        of_scene = stacked.scene == scene
        if of_scene.any():
            best[:, scene] = close[:, of_scene].max(axis=1)
    matched = np.zeros((cubes, count, count))
    np.add.at(matched, (stacked.cube, stacked.scene), best)
    sizes = np.zeros((cubes, count))
    np.add.at(sizes, (stacked.cube, stacked.scene), 1.0)
    return _ratio(matched + matched.transpose(0, 2, 1), sizes[:, :, None] + sizes[:, None, :])


def mask_similarities(scenes: Sequence[Scene], grid: Grid) -> Floats:
    """Return J_k for all pairs of scenes: (K, S, S).

    Parameters
    ----------
    scenes
        S scenes.
    grid
        K cubes.
    """
    masks = np.zeros((len(scenes), axes.RANGE_BINS * axes.ANGLE_BINS), np.uint8)
    for row, scene in zip(masks, scenes, strict=True):
        row[:] = scene.mask.ravel()
    pixels = np.flatnonzero(masks.any(axis=0))
    labels = masks[:, pixels]
    everything = _one_hot(labels)
    inside = _pixel_cubes(scenes, labels, pixels, grid)
    result = np.empty((grid.cubes, len(scenes), len(scenes)))
    for cube in range(grid.cubes):
        here = _one_hot(labels * inside[cube])
        if not here.any():
            result[cube] = 1.0
            continue
        cross = here @ everything.T  # whole numbers below 2^53: exact in any order of summation
        both = here @ here.T
        sizes = here.sum(axis=1)
        shared = cross + cross.T - both
        result[cube] = _ratio(shared, sizes[:, None] + sizes[None, :] - both)
    return result


def _one_hot(labels: NDArray[np.uint8]) -> Floats:
    planes = [labels == label for label in range(1, len(CLASSES))]
    return np.concatenate(planes, axis=1).astype(np.float64)


def _pixel_cubes(
    scenes: Sequence[Scene], labels: NDArray[np.uint8], pixels: NDArray[np.intp], grid: Grid
) -> NDArray[np.bool_]:
    """Return which pixels of which scene lie in which cube: (K, S, pixels).

    A range-angle mask has no Doppler axis: a pixel has that of the objects whose boxes hold it, and
    lies in every Doppler slice if no box claims it.
    """
    rows, columns = np.divmod(pixels, axes.ANGLE_BINS)
    ranges = grid.slices(axes.range_m((axes.RA_TOP - rows).astype(np.float64)), 0)
    azimuths = grid.slices(axes.azimuth_rad(columns.astype(np.float64)), 1)
    column = ranges * grid.shape[1] + azimuths
    doppler = np.zeros((grid.shape[2], *labels.shape), np.bool_)
    for index, scene in enumerate(scenes):
        speeds = grid.slices(object_table(scene.objects)[:, POSITION][:, 2], 2)
        for found, speed in zip(scene.objects, speeds, strict=True):
            if found.ra_box is not None:
                claimed = pixels_in(scene.mask, found.ra_box, found.label).ravel()
                doppler[speed, index] |= claimed[pixels]
    doppler |= ~doppler.any(axis=0)
    columns_of_cubes = np.arange(grid.cubes) // grid.shape[2]
    slices_of_cubes = np.arange(grid.cubes) % grid.shape[2]
    here: NDArray[np.bool_] = (columns_of_cubes[:, None] == column)[:, None, :]
    return here & doppler[slices_of_cubes]


def _ratio(shared: Floats, total: Floats) -> Floats:
    return np.divide(shared, total, out=np.ones_like(total), where=total > 0)
