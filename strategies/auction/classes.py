"""Exact winners and all VCG charges of a large market, by classes of equal size.

Offers of one size are interchangeable but for their surplus, so an optimal set takes the best k
of each size. Three facts make this fast (W is the optimum, W_(-i) the optimum without offer i):

- of size c only the best floor(B / c) + 1 offers matter, the last one as a stand-in for a winner
  that is left out;
- the surplus of the best k of a size is concave in k, so two classes combine by a (max,+)
  convolution whose best k moves monotonically with the capacity;
- W_(-i) needs the combination of all classes but one, which divide and conquer over D classes
  gives with D log D convolutions, and then O(1) per winner.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.auction.kernels import combine_classes
from strategies.auction.outcome import BoolArray, IntArray


def solve_classes(
    surplus: IntArray, channels: IntArray, capacity: int, ties: NDArray[np.generic]
) -> tuple[BoolArray, IntArray]:
    """Solve a market of few distinct sizes and charge its winners by VCG.

    Parameters
    ----------
    surplus, channels : ndarray of int64, shape (n,)
        v_i - b_i, above 0, and C_i, within 1..capacity.
    capacity : int
        B.
    ties : ndarray, shape (n,)
        Smaller keys go first among offers of equal size and surplus.

    Returns
    -------
    winners : ndarray of bool, shape (n,)
    charges : ndarray of int64, shape (n,)
        ``W_(-i) - (W - surplus_i)`` for winners, else 0.
    """
    sizes, ranked = _ranked_classes(surplus, channels, capacity, ties)
    starts = np.zeros(len(ranked) + 1, dtype=np.int64)
    np.cumsum([members.size for members in ranked], out=starts[1:])
    order = np.concatenate(ranked)
    taken, charges_in_order = combine_classes(sizes, starts, surplus[order], capacity)
    winners = np.zeros(surplus.size, dtype=np.bool_)
    charges = np.zeros(surplus.size, dtype=np.int64)
    for d, count in enumerate(taken):
        best = slice(starts[d], starts[d] + count)
        winners[order[best]] = True
        charges[order[best]] = charges_in_order[best]
    return winners, charges


def _ranked_classes(
    surplus: IntArray, channels: IntArray, capacity: int, ties: NDArray[np.generic]
) -> tuple[IntArray, list[NDArray[np.intp]]]:
    """Return the distinct sizes and, of each, its useful offers from best to worst."""
    narrow = channels.astype(np.uint16) if capacity < 2**16 else channels
    by_size = np.argsort(narrow, kind="stable")  # a radix sort on 16 bits
    cuts = np.flatnonzero(np.diff(channels[by_size])) + 1
    ranked = []
    sizes = []
    for members in np.split(by_size, cuts):
        size = int(channels[members[0]])
        sizes.append(size)
        ranked.append(_best(members, surplus, ties, capacity // size + 1))
    return np.array(sizes, dtype=np.int64), ranked


def _best(
    members: NDArray[np.intp], surplus: IntArray, ties: NDArray[np.generic], keep: int
) -> NDArray[np.intp]:
    """Return the ``keep`` best members by surplus, then by key, in that order."""
    gains = surplus[members]
    if gains.size > keep:
        floor = np.partition(gains, gains.size - keep)[gains.size - keep]
        members = members[gains >= floor]
        gains = surplus[members]
    ranked = members[np.argsort(-gains)]
    gains = surplus[ranked]
    if (gains[1:] == gains[:-1]).any():
        ranked = members[np.lexsort((ties[members], -surplus[members]))]
    return ranked[:keep]
