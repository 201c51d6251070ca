"""Devices that see only some cubes: the part of a scene that they can deliver."""

from dataclasses import replace

import numpy as np

from datasets.carrada.objects import window
from datasets.carrada.scene import Scene
from strategies.twin.grid import Bools, Grid
from strategies.twin.table import POSITION, object_table


def draw_coverage(devices: int, grid: Grid, share: float, rng: np.random.Generator) -> Bools:
    """Draw which cubes each device covers, independently with the given probability: (N, K)."""
    return rng.random((devices, grid.cubes)) < share


def covered_scene(scene: Scene, covered: Bools, grid: Grid) -> Scene:
    """Cut a scene down to the cubes that a device covers.

    Parameters
    ----------
    scene
        The whole frame.
    covered
        (K,) cubes.
    grid
        K cubes.

    Returns
    -------
    Scene
        Objects whose centres lie in these cubes, their pixels, and the cubes as `covers`.
    """
    table = object_table(scene.objects)
    kept = covered[grid.locate(table[:, POSITION])]
    mask = scene.mask.copy()
    for sees in (False, True):  # what it sees stays, even where a box it does not see overlaps
        for found, keep in zip(scene.objects, kept, strict=True):
            if bool(keep) is sees and found.ra_box is not None:
                at = window(found.ra_box)
                own = scene.mask[at] == found.label
                mask[at][own] = found.label if sees else 0
    objects = tuple(found for found, keep in zip(scene.objects, kept, strict=True) if keep)
    return replace(scene, objects=objects, mask=mask, covers=grid.bits_from_cubes(covered))
