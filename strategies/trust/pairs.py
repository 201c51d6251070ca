"""Every clinic beside every other, a block at a time: V^2 numbers never stand in memory at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.trust.settings import BoolArray, FloatArray

_ROWS = 96
"""Clinics of a block: what is computed for it stays in the processor's cache."""


@dataclass(frozen=True)
class Block:
    """Some clinics i beside those j that come no earlier, over the rounds of both.

    Attributes
    ----------
    product : ndarray, shape (rows, columns)
        ``<x_i, x_j>``.
    one, other : ndarray, shape (rows, columns)
        ``||x_i||^2`` and ``||x_j||^2``; of shape (rows,) and (columns,) where ``both`` is None.
    both : ndarray of int, shape (rows, columns), or None
        In how many rounds both are present; None: in all.
    """

    product: FloatArray
    one: FloatArray
    other: FloatArray
    both: NDArray[np.int64] | None


def in_a_pair(
    values: FloatArray, present: BoolArray, judged: Callable[[Block], BoolArray]
) -> BoolArray:
    """Return who is in any pair of different clinics that is judged to be one, shape (V,).

    Parameters
    ----------
    values : ndarray, shape (T, V, d)
        Zero where a clinic is not present.
    present : ndarray of bool, shape (T, V)
    judged : callable
        Returns of each pair of a block whether it is one, shape (rows, columns); symmetric.
    """
    clinics = values.shape[1]
    flat = values.transpose(1, 0, 2).reshape(clinics, -1)
    energy = np.add.reduce(values**2, axis=-1).T
    here = None if present.all() else present.T.astype(np.float64)
    total = np.add.reduce(energy, axis=-1)
    found = np.zeros(clinics, dtype=np.bool_)
    for start in range(0, clinics, _ROWS):
        rows, rest = slice(start, start + _ROWS), slice(start, None)
        # Sums that are only held against a threshold: here the order of BLAS does not matter.
        product = flat[rows] @ flat[rest].T
        if here is None:
            block = Block(product, total[rows], total[rest], None)
        else:
            both = np.rint(here[rows] @ here[rest].T).astype(np.int64)
            one, other = energy[rows] @ here[rest].T, here[rows] @ energy[rest].T
            block = Block(product, one, other, both)
        pairs = judged(block)
        np.fill_diagonal(pairs, val=False)
        if pairs.any():
            found[rows] |= pairs.any(axis=1)
            found[rest] |= pairs.any(axis=0)
    return found
