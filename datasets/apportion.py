"""Placing indivisible units on shards: target sizes, balanced placement, repair."""

import heapq
from bisect import insort

import numpy as np
from numpy.typing import NDArray

from datasets.errors import DataError


def shard_sizes(rows: int, weights: NDArray[np.float64], minimum: int) -> NDArray[np.int64]:
    """Divide rows in proportion to weights, none below the minimum, by largest remainder.

    Parameters
    ----------
    rows
        Rows to divide, at least `minimum` for each weight.
    weights
        (V,) positive weights.
    minimum
        Smallest size of a shard.

    Returns
    -------
    numpy.ndarray
        (V,) int64 sizes with sum `rows`. Shards that proportion would leave below the minimum get
        exactly that, the others share the rest.
    """
    sizes = np.full(len(weights), minimum, dtype=np.int64)
    free = np.ones(len(weights), dtype=bool)
    while free.any():
        left = rows - minimum * int((~free).sum())
        share = _largest_remainder(left, weights[free])
        if (share >= minimum).all():
            sizes[free] = share
            break
        free[np.flatnonzero(free)[share < minimum]] = False
    return sizes


def _largest_remainder(rows: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    scaled = weights / weights.max()
    quota = rows * (scaled / scaled.sum())
    share: NDArray[np.int64] = np.floor(quota).astype(np.int64)
    extra = np.argsort(share - quota, kind="stable")[: rows - int(share.sum())]
    share[extra] += 1
    return share


def place(
    sizes: NDArray[np.int64], targets: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Place units at random so that shards come as near their target sizes as a greedy rule gets.

    Parameters
    ----------
    sizes
        (u,) rows of each unit.
    targets
        (V,) wanted rows of each shard; the sums agree.
    rng
        Decides the order of units.

    Returns
    -------
    numpy.ndarray
        (u,) int64, the shard of each unit. Exact where every unit is one row; otherwise larger
        units first, each to the shard that lacks most.
    """
    order = rng.permutation(len(sizes))
    owner = np.empty(len(sizes), dtype=np.int64)
    if (sizes == 1).all():
        owner[order] = np.repeat(np.arange(len(targets)), targets)
        return owner
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacking = [(-int(target), shard) for shard, target in enumerate(targets)]
    heapq.heapify(lacking)
    for unit in order:
        need, shard = lacking[0]
        owner[unit] = shard
        heapq.heapreplace(lacking, (need + int(sizes[unit]), shard))
    return owner


def repair(
    owner: NDArray[np.int64], sizes: NDArray[np.int64], shards: int, minimum: int
) -> NDArray[np.int64]:
    """Bring every shard to the minimum by moving units out of the largest shards.

    Deterministic: the smallest shard receives the smallest unit of the largest shard that stays at
    the minimum without it, until all have enough.

    Parameters
    ----------
    owner
        (u,) the shard of each unit.
    sizes
        (u,) rows of each unit.
    shards
        Number of shards V.
    minimum
        Smallest number of rows.

    Returns
    -------
    numpy.ndarray
        (u,) the repaired owners; no unit moves if none has to.

    Raises
    ------
    DataError
        If no shard can spare a unit. With units of one row this cannot happen while
        V * minimum <= u.
    """
    loads = np.bincount(owner, weights=sizes, minlength=shards).astype(np.int64)
    if loads.min() >= minimum:
        return owner
    owner = owner.copy()
    by_size = np.argsort(-sizes, kind="stable")
    held = [list(by_size[owner[by_size] == shard]) for shard in range(shards)]
    spare = np.array([sizes[units[-1]] if units else minimum for units in held])
    while loads.min() < minimum:
        needy = int(loads.argmin())
        able = loads - spare >= minimum
        if not able.any():
            raise DataError(f"no whole unit can be spared to give each shard {minimum} rows")
        donor = int(np.where(able, loads, -1).argmax())
        unit = held[donor].pop()  # the smallest; the donor keeps at least one unit
        insort(held[needy], unit, key=lambda one: -int(sizes[one]))
        owner[unit] = needy
        loads[donor] -= sizes[unit]
        loads[needy] += sizes[unit]
        spare[[donor, needy]] = sizes[held[donor][-1]], sizes[held[needy][-1]]
    return owner
