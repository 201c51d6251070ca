"""Exact knapsack and all leave-one-out optima of a small market, in one table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.auction.outcome import BoolArray, IntArray


def solve_table(
    surplus: IntArray, channels: IntArray, capacity: int, ties: NDArray[np.generic]
) -> tuple[BoolArray, IntArray]:
    """Solve a small market and charge its winners by VCG.

    One dynamic programme runs for n + 1 markets at once: column i of the table leaves offer i
    out, the last column none, so the last row ends up with every W_(-i) and W.

    Parameters
    ----------
    surplus : ndarray of int64, shape (n,)
        v_i - b_i, all above 0.
    channels : ndarray of int64, shape (n,)
        C_i, within 1..capacity.
    capacity : int
        B.
    ties : ndarray, shape (n,)
        Smaller keys are preferred among optimal sets (the set that is first in key order).

    Returns
    -------
    winners : ndarray of bool, shape (n,)
    charges : ndarray of int64, shape (n,)
        ``W_(-i) - (W - surplus_i)`` for winners, else 0.
    """
    n = surplus.size
    best = np.zeros((capacity + 1, n + 1), dtype=np.int64)
    spare = np.empty_like(best)
    for j, (gain, size) in enumerate(zip(surplus.tolist(), channels.tolist(), strict=True)):
        taken = spare[: capacity + 1 - size]
        np.add(best[: capacity + 1 - size], gain, out=taken)
        taken[:, j] = 0  # the market of column j does not have offer j
        np.maximum(best[size:], taken, out=best[size:])
    optimum = best[capacity, n]
    without = best[capacity, :n]
    # An offer whose absence costs something is in every optimal set. If these reach the
    # optimum they are the only optimal set, since every surplus is positive.
    winners: BoolArray = without < optimum
    if surplus[winners].sum() != optimum:
        winners = _first_in_order(surplus, channels, capacity, ties)
    charges = np.where(winners, without - optimum + surplus, 0)
    return winners, charges


def _first_in_order(
    surplus: IntArray, channels: IntArray, capacity: int, ties: NDArray[np.generic]
) -> BoolArray:
    """Return, among optimal sets, the one that takes offers earliest in key order."""
    order = np.argsort(ties, kind="stable")
    n = order.size
    suffix = np.zeros((n + 1, capacity + 1), dtype=np.int64)
    for j in range(n - 1, -1, -1):
        size, value = int(channels[order[j]]), surplus[order[j]]
        suffix[j] = suffix[j + 1]
        np.maximum(
            suffix[j, size:], suffix[j + 1, : capacity + 1 - size] + value, out=suffix[j, size:]
        )
    winners = np.zeros(n, dtype=np.bool_)
    left = capacity
    for j, i in enumerate(order):
        size = int(channels[i])
        if size <= left and suffix[j + 1, left - size] + surplus[i] == suffix[j, left]:
            winners[i] = True
            left -= size
    return winners
