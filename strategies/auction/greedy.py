"""Greedy winner determination with critical payments: truthful in cost, not optimal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.auction.outcome import BoolArray, IntArray


def greedy(
    surplus: IntArray, channels: IntArray, capacity: int, ties: NDArray[np.generic]
) -> tuple[BoolArray, IntArray]:
    """Fill the channels by surplus per channel and charge what keeps each winner in.

    A winner stays one as long as it stands before the first offer j after which, with the
    winner absent, too few channels are left for it: its charge is ``C_i surplus_j / C_j``
    (rounded up to whole micro-credits), 0 if there is no such offer. The rule is monotone in the
    bid, so paying ``value - charge``, the critical value, is truthful in cost.

    Parameters
    ----------
    surplus, channels : ndarray of int64, shape (n,)
        v_i - b_i, above 0, and C_i, within 1..capacity.
    capacity : int
        B.
    ties : ndarray, shape (n,)
        Smaller keys go first among equal densities.

    Returns
    -------
    winners : ndarray of bool, shape (n,)
    charges : ndarray of int64, shape (n,)
    """
    order = _by_density(surplus, channels, ties)
    sizes = channels[order].tolist()
    gains = surplus[order].tolist()
    winners = np.zeros(order.size, dtype=np.bool_)
    charges = np.zeros(order.size, dtype=np.int64)
    left = capacity
    for position, size in enumerate(sizes):
        if size <= left:
            i = order[position]
            winners[i] = True
            charges[i] = _charge(position, left, sizes, gains)
            left -= size
    return winners, charges


def _by_density(
    surplus: IntArray, channels: IntArray, ties: NDArray[np.generic]
) -> NDArray[np.intp]:
    """Order offers by surplus per channel, exactly, then by key."""
    scale = int(channels.max())
    # Different fractions are at least 1 / scale^2 apart: floats tell them apart up to here.
    if scale * scale * int(surplus.max()) < 2**52:
        return np.lexsort((ties, -(surplus / channels)))
    from fractions import Fraction

    gains, sizes, keys = surplus.tolist(), channels.tolist(), ties.tolist()
    exact = sorted(range(len(gains)), key=lambda i: (-Fraction(gains[i], sizes[i]), keys[i]))
    return np.array(exact, dtype=np.intp)


def _charge(position: int, left: int, sizes: list[int], gains: list[int]) -> int:
    """Return the charge of the winner at a position where ``left`` channels were free."""
    own = sizes[position]
    for j in range(position + 1, len(sizes)):
        if sizes[j] <= left:
            left -= sizes[j]
            if left < own:
                return -(-own * gains[j] // sizes[j])
    return 0
