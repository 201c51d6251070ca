"""Conditional stochastic rounding onto a grid, and how far it can lengthen a vector.

P. Kairouz, Z. Liu and T. Steinke, "The Distributed Discrete Gaussian Mechanism for Federated
Learning with Secure Aggregation", ICML 2021, section 4.1 and Prop. 4.6: round each coordinate up
or down at random without bias, and again until the norm is within a bound that it keeps with
probability at least ``1 - beta``. The bound is what sensitivity is computed from.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from strategies.privacy.discrete_gaussian import ExactBits

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_UNIT = 1 << 53
_BETA_TERM = 1.0  # sqrt(2 ln(1 / beta)) at the paper's beta = exp(-1/2)


def rounded_norm(norm: float, dimension: int) -> float:
    """Return the largest norm after rounding, both in grid steps.

    ``min(L + sqrt d, sqrt(L^2 + d/4 + sqrt(2 ln 1/beta) (L + sqrt(d)/2)))``, ``beta = e^-1/2``.
    """
    root = sqrt(dimension)
    likely = sqrt(norm * norm + dimension / 4 + _BETA_TERM * (norm + root / 2))
    return min(norm + root, likely)


def norm_before_rounding(bound: float, dimension: int) -> float:
    """Return the largest L with ``rounded_norm(L) <= bound``; negative when there is none."""
    root = sqrt(dimension)
    half = _BETA_TERM / 2
    inside = half * half + bound * bound - dimension / 4 - _BETA_TERM * root / 2
    likely = sqrt(inside) - half if inside >= 0 else -1.0
    return max(bound - root, likely)


def round_rows(values: FloatArray, bound: float, bits: ExactBits) -> IntArray:
    """Return each row rounded at random to whole steps, its norm at most ``bound``.

    Parameters
    ----------
    values : ndarray, shape (n, d)
        Rows in grid steps, each of norm at most L with ``rounded_norm(L, d) <= bound``.
    bound : float
        In grid steps.
    bits : ExactBits
        Source of randomness.
    """
    low = np.floor(values)
    chance = np.rint((values - low) * _UNIT).astype(np.int64)
    rounded = np.empty(values.shape, dtype=np.int64)
    open_ = np.arange(len(values))
    limit = bound * bound
    while len(open_):
        drawn = bits.below(_UNIT, open_.size * values.shape[1]).reshape(-1, values.shape[1])
        tried = low[open_] + (drawn < chance[open_])
        fits = np.add.reduce(tried * tried, axis=1) <= limit
        rounded[open_[fits]] = tried[fits].astype(np.int64)
        open_ = open_[~fits]
    return rounded
