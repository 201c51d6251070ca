"""Exact accounting of Gaussian releases: mu-GDP and its (eps, delta).

A release ``f(D) + N(0, sigma^2 I)`` of a function with sensitivity ``Delta`` is mu-GDP with
``mu = Delta / sigma``; releases compose as ``mu = sqrt(sum mu_i^2)``, also when each depends on
those before it (Dong, Roth and Su, "Gaussian Differential Privacy", 2022, Cor. 3.3). The
exact eps of mu-GDP is Balle and Wang, "Improving the Gaussian Mechanism", 2018, Thm. 8, as
computed by ``dp_accounting.gaussian_mechanism`` (imported when first used: it takes 0.9 s).
"""

from collections.abc import Iterable
from functools import lru_cache
from math import fsum, inf, isfinite, isnan, sqrt

import numpy as np


class AccountingError(ValueError):
    """A guarantee that cannot be computed as asked; one line: what, why, what to do."""


@lru_cache(maxsize=4096)
def epsilon_of_mu(mu: float, delta: float) -> float:
    """Return the exact eps at ``delta`` of a mu-GDP guarantee (Balle and Wang, Thm. 8).

    Parameters
    ----------
    mu : float
        ``Delta / sigma`` after composition; 0 says nothing is released, infinity no noise.
    delta : float
        In (0, 1).

    Returns
    -------
    float
        0 for ``mu = 0``, infinity for ``mu = inf``.

    Raises
    ------
    AccountingError
        For a negative or undefined ``mu`` or a ``delta`` out of range.
    """
    check_delta(delta)
    if isnan(mu) or mu < 0:
        raise AccountingError(f"mu must be at least 0, got {mu}: it is a ratio of two norms")
    if mu in (0.0, inf):
        return mu
    from dp_accounting.gaussian_mechanism import get_epsilon_gaussian

    with np.errstate(divide="ignore"):  # log of a difference that rounds to zero: eps is 0
        return float(get_epsilon_gaussian(1.0 / mu, delta))


@lru_cache(maxsize=4096)
def mu_of_epsilon(epsilon: float, delta: float) -> float:
    """Return the largest mu whose exact eps at ``delta`` is ``epsilon``.

    Parameters
    ----------
    epsilon : float
        Above 0; infinity gives infinity.
    delta : float
        In (0, 1).

    Raises
    ------
    AccountingError
        For an ``epsilon`` or ``delta`` out of range.
    """
    check_delta(delta)
    check_epsilon(epsilon)
    if epsilon == inf:
        return inf
    from dp_accounting.gaussian_mechanism import get_sigma_gaussian

    return 1.0 / float(get_sigma_gaussian(epsilon, delta))


def compose(mus: Iterable[float]) -> float:
    """Return the mu of releasing all of ``mus``: the root of the sum of squares."""
    squares = [mu * mu for mu in mus]
    return inf if inf in squares else sqrt(fsum(squares))


def mu_of_release(sensitivity: float, noise_std: float) -> float:
    """Return ``mu = sensitivity / noise_std`` of one release; infinite without noise."""
    if sensitivity < 0 or noise_std < 0:
        raise AccountingError(
            f"sensitivity and noise must be at least 0, got {sensitivity} and {noise_std}"
        )
    if sensitivity == 0:
        return 0.0
    return inf if noise_std == 0 else sensitivity / noise_std


def check_delta(delta: float) -> None:
    """Raise AccountingError unless ``delta`` lies in (0, 1)."""
    if not 0 < delta < 1:
        raise AccountingError(f"delta must lie strictly between 0 and 1, got {delta}")


def check_positive(**values: float) -> None:
    """Raise AccountingError, with its name, at the first value that is not finite and above 0."""
    for name, value in values.items():
        if not (isfinite(value) and value > 0):
            raise AccountingError(f"{name} must be a finite number above 0, got {value}")


def check_epsilon(epsilon: float) -> None:
    """Raise AccountingError unless ``epsilon`` is above 0; infinity is allowed."""
    if isnan(epsilon) or epsilon <= 0:
        raise AccountingError(f"epsilon must be above 0, got {epsilon}: 0 allows no release")
