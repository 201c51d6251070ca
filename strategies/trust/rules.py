"""The rules that robust federations use, each on the uploads of one round alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from strategies.trust.settings import FloatArray, IntArray

Rule = Callable[[FloatArray, FloatArray, int], FloatArray]
"""``(directions per unit (n, d), shares (n,), assumed attackers f) -> direction (d,)``."""


def mean(directions: FloatArray, shares: FloatArray, _: int = 0) -> FloatArray:
    """Return the weighted mean (FedAvg)."""
    total = np.add.reduce(directions * shares[:, None], axis=0)
    found: FloatArray = total / np.add.reduce(shares)
    return found


def coordinate_median(directions: FloatArray, _: FloatArray, __: int = 0) -> FloatArray:
    """Return the median of each coordinate (Yin et al., 2018)."""
    found: FloatArray = np.median(directions, axis=0)
    return found


def geometric_median(directions: FloatArray, shares: FloatArray, _: int = 0) -> FloatArray:
    """Return the point nearest to all by smoothed Weiszfeld steps (Pillutla et al., RFA, 2022)."""
    centre = mean(directions, shares)
    for _step in range(32):
        apart = directions - centre
        distance = np.sqrt(np.add.reduce(apart * apart, axis=-1))
        centre = mean(directions, shares / np.maximum(distance, 1e-6))
    return centre


def krum_order(directions: FloatArray, attackers: int) -> IntArray:
    """Return the uploads' indices by Krum score, the best first (Blanchard et al., 2017).

    The score is the sum of squared distances to the ``n - f - 2`` nearest others.
    """
    count = len(directions)
    apart = directions[:, None, :] - directions[None, :, :]
    distance = np.sort(np.add.reduce(apart * apart, axis=-1), axis=1)
    near = max(1, count - attackers - 2)
    return np.argsort(np.add.reduce(distance[:, 1 : near + 1], axis=1), kind="stable")


def krum(directions: FloatArray, _: FloatArray, attackers: int) -> FloatArray:
    """Return the upload with the best score."""
    best: FloatArray = directions[krum_order(directions, attackers)[0]]
    return best


def multi_krum(directions: FloatArray, shares: FloatArray, attackers: int) -> FloatArray:
    """Return the mean of the ``n - f - 2`` uploads with the best scores."""
    chosen = krum_order(directions, attackers)[: max(1, len(directions) - attackers - 2)]
    return mean(directions[chosen], shares[chosen])


RULES: dict[str, Rule] = {
    "mean": mean,
    "median": coordinate_median,
    "geometric-median": geometric_median,
    "krum": krum,
    "multi-krum": multi_krum,
}
