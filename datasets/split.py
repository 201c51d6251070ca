"""Holding out a test set, by record or by patient.

A split by record leaks: 645 patients gave the 699 records of BCWD, so some patients lie on both
sides and the test accuracy is flattered (about 0.1-0.7 points). A split by patient does not.
"""

import math

import numpy as np
from numpy.typing import NDArray

from datasets.errors import DataError, shown
from datasets.seeding import Purpose, generator
from datasets.table import Table
from datasets.units import units_of


def holdout(
    table: Table, fraction: float, unit: str, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw a random test set.

    Parameters
    ----------
    table
        n records.
    fraction
        Share of the records to hold out, inside (0, 1).
    unit
        `record`: exactly round(fraction n) records (683 -> 546 + 137). `patient`: whole patients
        (or tracks, or sequences), with a number of records as close to that as these allow.
    seed
        Run seed.

    Returns
    -------
    tuple of numpy.ndarray
        (train, test): sorted int64 row positions, disjoint, covering the table, neither empty.

    Raises
    ------
    DataError
        If the fraction or seed or unit is not usable, or there are fewer than two units.
    """
    if not isinstance(fraction, int | float | np.number) or not 0 < fraction < 1:
        raise DataError(f"held-out fraction {shown(fraction)} must lie between 0 and 1")
    rng = generator(seed, Purpose.HOLDOUT)
    units = units_of(table, unit)
    if len(units) <= 1:
        raise DataError(f"{len(units)} {unit}(s) cannot be split into training and test")
    target = min(max(math.floor(fraction * len(table) + 0.5), 1), len(table) - 1)
    order = rng.permutation(len(units))
    chosen = order[closest_subset(units.sizes[order], target)]
    test = units.rows(chosen)
    train = np.setdiff1d(np.arange(len(table), dtype=np.int64), test, assume_unique=True)
    return train, test


def closest_subset(sizes: NDArray[np.int64], target: int) -> NDArray[np.int64]:
    """Choose units whose sizes add up to as near a target as any proper subset can.

    Units are taken in the order given for as long as they fit; what is then missing is filled from
    the rest by exact subset sum, and only if that leaves a gap is the whole set searched. So units
    of a random order stay a (nearly) random sample.

    Parameters
    ----------
    sizes
        (u,) positive sizes, u >= 2.
    target
        Wanted sum, 1 .. sum(sizes) - 1.

    Returns
    -------
    numpy.ndarray
        Indices of the chosen units: at least one, not all.
    """
    prefix = int(np.searchsorted(np.cumsum(sizes), target, side="right"))
    gap = target - int(sizes[:prefix].sum())
    head = np.arange(prefix)
    rest = prefix + _subset_sum(sizes[prefix:], gap, lowest=0)
    if int(sizes[rest].sum()) == gap:
        return np.concatenate([head, rest])
    return _subset_sum(sizes, target, lowest=1)


def _subset_sum(sizes: NDArray[np.int64], target: int, lowest: int) -> NDArray[np.int64]:
    """Find the subset with the sum nearest to the target, from `lowest` up to sum(sizes) - 1."""
    top = min(target + int(sizes.max()), int(sizes.sum()) - 1)
    first = np.full(top + 1, -1, dtype=np.int64)  # unit by which each sum was first reached
    first[0] = len(sizes)
    for unit, size in enumerate(sizes):
        if size > top:
            continue
        fresh = (first[:-size] >= 0) & (first[size:] < 0)
        first[size:][fresh] = unit
        if first[target] >= 0:
            break
    sums = np.flatnonzero(first >= 0)
    sums = sums[sums >= lowest]
    best = int(sums[np.argmin(np.abs(sums - target))])
    chosen = []
    while best:
        chosen.append(int(first[best]))
        best -= int(sizes[chosen[-1]])
    return np.array(chosen, dtype=np.int64)
