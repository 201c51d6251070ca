"""Exact discrete Gaussian noise on quantised values, from a CSPRNG.

C. Canonne, G. Kamath and T. Steinke, "The Discrete Gaussian for Differential Privacy", 2020
(arXiv:2004.00010). Gaussian noise in floating point has gaps: which doubles can occur depends
on the value that was noised (Mironov, "On Significance of the Least Significant Bits", 2012).
Here a value is rounded to a grid, noise ``N_Z(0, s^2)`` in whole grid steps is drawn with
integer arithmetic alone, and the sum is exact.

The paper's Algorithms 1-3 are run on whole arrays. Algorithm 3 draws ``Y`` from a discrete
Laplace of scale t and accepts with ``exp(-(|Y| - sigma^2 / t)^2 / (2 sigma^2))``; any t gives
the right law, and with ``t = sigma = s`` a whole number the exponent is
``(|Y| - s)^2 / (2 s^2)``: numerator and denominator stay below 2^63 for ``s <= 2^20``.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from strategies.privacy.accounting import AccountingError

RandomBytes = Callable[[int], bytes]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

STEPS_PER_STD = 1 << 20  # s: the grid is sigma / 2^20, so that rounding adds next to nothing
_LARGEST = 1 << 20


class ExactBits:
    """Uniform integers and Bernoulli draws without floating point.

    Parameters
    ----------
    random_bytes : callable
        Returns that many uniform bytes; the operating system's CSPRNG by default.
    """

    def __init__(self, random_bytes: RandomBytes = os.urandom) -> None:
        self._bytes = random_bytes

    def below(self, bound: int, size: int) -> IntArray:
        """Return ``size`` integers uniform on 0 .. bound - 1, for a bound below 2^63."""
        limit = (1 << 63) // bound * bound  # beyond it a remainder would favour small values
        raw = np.frombuffer(self._bytes(8 * size), dtype=np.uint64) >> np.uint64(1)
        drawn = (raw % np.uint64(bound)).astype(np.int64)
        open_ = np.flatnonzero(raw >= np.uint64(limit))
        while len(open_):
            raw = np.frombuffer(self._bytes(8 * len(open_)), dtype=np.uint64) >> np.uint64(1)
            fits = raw < np.uint64(limit)
            drawn[open_[fits]] = (raw[fits] % np.uint64(bound)).astype(np.int64)
            open_ = open_[~fits]
        return drawn

    def exp_minus(self, numerators: IntArray, denominator: int) -> BoolArray:
        """Return Bernoulli(exp(-n / d)) for each ``n >= 0`` (Algorithm 1)."""
        whole, rest = np.divmod(numerators, denominator)
        alive = self._exp_minus_fraction(rest, denominator)
        left = np.where(alive, whole, 0)
        while left.any():
            active = np.flatnonzero(left)
            one = self._exp_minus_fraction(np.ones(len(active), dtype=np.int64), 1)
            alive[active[~one]] = False
            left[active] = np.where(one, left[active] - 1, 0)
        return alive

    def _exp_minus_fraction(self, numerators: IntArray, denominator: int) -> BoolArray:
        # n / d <= 1: count k while Bernoulli(n / (d k)) succeeds; the parity of k is the answer.
        count = np.ones(len(numerators), dtype=np.int64)
        active = np.arange(len(numerators))
        k = 1
        while len(active):
            success = self.below(denominator * k, len(active)) < numerators[active]
            active = active[success]
            count[active] += 1
            k += 1
        odd: BoolArray = count % 2 == 1
        return odd


def sample_discrete_laplace(scale: int, size: int, bits: ExactBits) -> IntArray:
    """Draw from ``P(x) ~ exp(-|x| / t)`` for a whole ``t = scale`` (Algorithm 2)."""
    drawn = np.empty(size, dtype=np.int64)
    open_ = np.arange(size)
    while len(open_):
        low = bits.below(scale, len(open_))
        kept = bits.exp_minus(low, scale)
        open_now, low = open_[kept], low[kept]
        high = _geometric(len(low), bits)
        value = low + scale * high
        negative = bits.below(2, len(low)) == 1
        good = ~(negative & (value == 0))
        drawn[open_now[good]] = np.where(negative, -value, value)[good]
        open_ = np.concatenate([open_[~kept], open_now[~good]])
    return drawn


def sample_discrete_gaussian(std: int, size: int, bits: ExactBits | None = None) -> IntArray:
    """Draw from ``N_Z(0, s^2)``, ``P(x) ~ exp(-x^2 / (2 s^2))`` (Algorithm 3), exactly.

    Parameters
    ----------
    std : int
        s in grid steps, 1 .. 2^20.
    size : int
        Number of independent draws.
    bits : ExactBits, optional
        Source of randomness; the operating system's CSPRNG by default.

    Raises
    ------
    AccountingError
        For an s out of range.
    """
    if not 1 <= std <= _LARGEST:
        raise AccountingError(f"std must be a whole number in 1..{_LARGEST} steps, got {std}")
    source = bits or ExactBits()
    drawn = np.empty(size, dtype=np.int64)
    open_ = np.arange(size)
    while len(open_):
        value = sample_discrete_laplace(std, len(open_), source)
        # |Y| > 1000 s has probability exp(-1000); capped, the square cannot overflow
        excess = np.minimum(np.abs(np.abs(value) - std), 1000 * std)
        accepted = source.exp_minus(excess * excess, 2 * std * std)
        drawn[open_[accepted]] = value[accepted]
        open_ = open_[~accepted]
    return drawn


@dataclass(frozen=True)
class DiscreteNoise:
    """Quantise a vector and add discrete Gaussian noise of about ``noise_std`` a coordinate.

    Parameters
    ----------
    noise_std : float
        sigma of the continuous mechanism it stands for, above 0.
    steps_per_std : int
        s; the grid is ``noise_std / s``.

    Raises
    ------
    AccountingError
        For a value out of range.
    """

    noise_std: float
    steps_per_std: int = STEPS_PER_STD

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        if not (np.isfinite(self.noise_std) and self.noise_std > 0):
            raise AccountingError(f"noise must be finite and above 0, got {self.noise_std}")
        if not 1 <= self.steps_per_std <= _LARGEST:
            raise AccountingError(
                f"steps per std must lie in 1..{_LARGEST}, got {self.steps_per_std}"
            )

    @property
    def grid(self) -> float:
        """Return the width of one step."""
        return self.noise_std / self.steps_per_std

    def sensitivity(self, sensitivity: float, dimension: int) -> float:
        """Return the L2 sensitivity after rounding: at most ``sqrt(d)`` steps more."""
        return sensitivity + sqrt(dimension) * self.grid

    def add(self, values: NDArray[np.float64], bits: ExactBits | None = None) -> IntArray:
        """Return the noised values (d,) in whole steps; multiply by :attr:`grid` to read them.

        Raises
        ------
        AccountingError
            For values that are not finite or lie beyond 2^40 standard deviations.
        """
        steps = np.rint(np.asarray(values, dtype=np.float64) / self.grid)
        if not np.all(np.abs(steps) < 2.0**60):
            raise AccountingError("values to be quantised must be finite and not huge: clip first")
        noise = sample_discrete_gaussian(self.steps_per_std, steps.size, bits)
        noised: IntArray = steps.astype(np.int64) + noise.reshape(steps.shape)
        return noised


def _geometric(size: int, bits: ExactBits) -> IntArray:
    # Number of successes of Bernoulli(exp(-1)) before the first failure.
    count = np.zeros(size, dtype=np.int64)
    active = np.arange(size)
    while len(active):
        success = bits.exp_minus(np.ones(len(active), dtype=np.int64), 1)
        active = active[success]
        count[active] += 1
    return count
