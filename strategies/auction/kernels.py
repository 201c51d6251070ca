"""Compiled inner loops of the class decomposition. Importing this module imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np

from strategies.auction.outcome import IntArray

_Function = TypeVar("_Function", bound=Callable[..., object])


def _compiled(function: _Function) -> _Function:
    """Compile to machine code, kept on disk between runs."""
    return cast(_Function, numba.njit(cache=True)(function))


@_compiled
def _convolve(
    base: IntArray, totals: IntArray, size: int, best: IntArray, choice: IntArray
) -> None:
    """Add a class to a table: ``best[w] = max_k base[w - k size] + totals[k]``.

    ``totals`` is concave, so within each residue of w modulo ``size`` the best source index does
    not decrease: rows are filled from coarse to fine, each searching between its neighbours.
    """
    capacity = base.size - 1
    most = totals.size - 1
    for residue in range(min(size, capacity + 1)):
        rows = (capacity - residue) // size + 1
        stride = 1
        while stride < rows:
            stride *= 2
        while stride >= 1:
            # The first pass (stride >= rows) fills row 0 alone; later ones the odd multiples.
            first = 0 if stride >= rows else stride
            for t in range(first, rows, 2 * stride):
                low = choice[t - stride] if t >= stride else 0
                high = choice[t + stride] if t + stride < rows else t
                high = min(high, t)
                top = np.int64(-1)
                where = low
                for s in range(low, high + 1):
                    value = base[residue + s * size] + totals[min(t - s, most)]
                    if value > top:
                        top = value
                        where = s
                choice[t] = where
                best[residue + t * size] = top
            stride //= 2


@_compiled
def _forward(sizes: IntArray, starts: IntArray, totals: IntArray, capacity: int) -> IntArray:
    """Return tables (D + 1, B + 1): row d is the best surplus of the first d classes."""
    tables = np.zeros((sizes.size + 1, capacity + 1), dtype=np.int64)
    choice = np.empty(capacity + 1, dtype=np.int64)
    for d in range(sizes.size):
        own = totals[starts[d] + d : starts[d + 1] + d + 1]
        _convolve(tables[d], own, sizes[d], tables[d + 1], choice)
    return tables


@_compiled
def _trace(tables: IntArray, sizes: IntArray, starts: IntArray, totals: IntArray) -> IntArray:
    """Return how many of each class an optimal set takes, shape (D,)."""
    taken = np.zeros(sizes.size, dtype=np.int64)
    left = tables.shape[1] - 1
    for d in range(sizes.size - 1, -1, -1):
        own = totals[starts[d] + d : starts[d + 1] + d + 1]
        k = 0
        while tables[d, left - k * sizes[d]] + own[k] != tables[d + 1, left]:
            k += 1
        taken[d] = k
        left -= k * sizes[d]
    return taken


@_compiled
def _charge_class(
    others: IntArray, totals: IntArray, size: int, taken: int, optimum: int, charges: IntArray
) -> None:
    """Fill the charges of one class's winners, given the best of all other classes.

    Without the winner of rank r the best k of the class are worth ``totals[k]`` for k <= r and
    ``totals[k + 1]`` less its surplus above, so two running maxima serve all ranks.
    """
    capacity = others.size - 1
    members = totals.size - 1
    fits = min(capacity // size, members)
    above = np.full(members + 1, -1, dtype=np.int64)
    for k in range(min(members - 1, fits), 0, -1):
        value = totals[k + 1] + others[capacity - k * size]
        above[k] = max(value, above[k + 1])
    below = np.int64(-1)
    for r in range(taken):
        below = max(below, totals[r] + others[capacity - r * size])
        gain = totals[r + 1] - totals[r]
        without = below
        if r + 1 < members:
            without = max(below, above[r + 1] - gain)
        charges[r] = without - (optimum - gain)


@_compiled
def _charge_all(
    sizes: IntArray,
    starts: IntArray,
    totals: IntArray,
    taken: IntArray,
    optimum: int,
    capacity: int,
) -> IntArray:
    """Walk the tree of class ranges; a leaf's table holds all classes but its own.

    Each stack entry says which range it descends to and which sibling range to add on the way.
    """
    count = sizes.size
    charges = np.zeros(starts[count], dtype=np.int64)
    depth_limit = 2
    while 1 << (depth_limit - 2) < count:
        depth_limit += 1
    tables = np.zeros((depth_limit + 1, capacity + 1), dtype=np.int64)
    spare = np.empty(capacity + 1, dtype=np.int64)
    choice = np.empty(capacity + 1, dtype=np.int64)
    stack = np.empty((2 * depth_limit + 2, 5), dtype=np.int64)
    stack[0] = (0, count, 0, 0, 0)
    height = 1
    while height > 0:
        height -= 1
        low, high, depth, add_low, add_high = stack[height]
        table = tables[depth]
        if depth > 0:
            table[:] = tables[depth - 1]
        for d in range(add_low, add_high):
            own = totals[starts[d] + d : starts[d + 1] + d + 1]
            _convolve(table, own, sizes[d], spare, choice)
            table[:] = spare
        if high - low == 1:
            own = totals[starts[low] + low : starts[high] + low + 1]
            part = charges[starts[low] : starts[high]]
            _charge_class(table, own, sizes[low], taken[low], optimum, part)
            continue
        middle = (low + high) // 2
        stack[height] = (middle, high, depth + 1, low, middle)
        stack[height + 1] = (low, middle, depth + 1, middle, high)
        height += 2
    return charges


@_compiled
def combine_classes(
    sizes: IntArray, starts: IntArray, surplus: IntArray, capacity: int
) -> tuple[IntArray, IntArray]:
    """Solve the knapsack over classes and charge every winner.

    Parameters
    ----------
    sizes : ndarray of int64, shape (D,)
        Distinct sizes.
    starts : ndarray of int64, shape (D + 1,)
        Where each class begins in ``surplus``.
    surplus : ndarray of int64, shape (m,)
        Surplus of the kept offers, by class and from best to worst.
    capacity : int
        B.

    Returns
    -------
    taken : ndarray of int64, shape (D,)
        The optimal set takes the first ``taken[d]`` of class d.
    charges : ndarray of int64, shape (m,)
        VCG charges of those, 0 for the rest.
    """
    count = sizes.size
    totals = np.zeros(surplus.size + count, dtype=np.int64)
    for d in range(count):
        for i in range(starts[d], starts[d + 1]):
            totals[i + d + 1] = totals[i + d] + surplus[i]
    tables = _forward(sizes, starts, totals, capacity)
    taken = _trace(tables, sizes, starts, totals)
    optimum = tables[count, capacity]
    return taken, _charge_all(sizes, starts, totals, taken, optimum, capacity)
