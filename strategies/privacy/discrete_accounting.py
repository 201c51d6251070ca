"""What discrete Gaussian noise costs, and how far that is above the continuous figure.

Proved (Canonne, Kamath and Steinke 2020): noise ``N_Z(0, s^2)`` on integer vectors of L2
sensitivity Delta is ``Delta^2 / (2 s^2)``-zCDP, in any dimension, exactly as the continuous
Gaussian is (Theorem 4 and Section 2.3). Converting zCDP to (eps, delta) (Proposition 12) loses
what the exact Gaussian analysis does not; the printed eps is this proven, larger one.

In one dimension the privacy curve can be summed up exactly (Theorem 7); it equals that of the
continuous Gaussian to within rounding, so most of the gap is the analysis, not the noise.
"""

from dataclasses import dataclass
from math import exp, inf, log, log1p, sqrt

from strategies.privacy.accounting import AccountingError, epsilon_of_mu
from strategies.privacy.discrete_gaussian import STEPS_PER_STD
from strategies.privacy.gaussian import check_delta


@dataclass(frozen=True)
class DiscreteGap:
    """The eps of one mu with continuous and with discrete noise.

    ``continuous`` is exact; ``proven`` holds for discrete noise, rounding included; ``ratio``
    is proven / continuous.
    """

    continuous: float
    proven: float

    @property
    def ratio(self) -> float:
        """Return by what factor the proven figure is larger."""
        return self.proven / self.continuous if self.continuous else inf


def epsilon_of_zcdp(rho: float, delta: float) -> float:
    """Return the eps of rho-zCDP at ``delta`` (Canonne et al. 2020, Prop. 12), an upper bound.

    ``eps = min_a  a rho + ln(1 - 1/a) + (ln(1/delta) - ln a) / (a - 1)`` over ``a > 1``.

    Raises
    ------
    AccountingError
        For a negative rho or a delta out of range.
    """
    check_delta(delta)
    if not rho >= 0:
        raise AccountingError(f"rho must be at least 0, got {rho}")
    if rho in (0.0, inf):
        return rho
    from scipy.optimize import minimize_scalar

    def bound(log_excess: float) -> float:
        excess = exp(log_excess)
        order = 1 + excess
        return order * rho - log1p(1 / excess) + (log(1 / delta) - log(order)) / excess

    found = minimize_scalar(bound, bounds=(-7.0, 18.0), method="bounded")
    return max(0.0, float(bound(found.x)))


def gap(
    sensitivity: float,
    noise_std: float,
    releases: int,
    dimension: int,
    delta: float,
    steps_per_std: int = STEPS_PER_STD,
) -> DiscreteGap:
    """Return what discrete noise costs beside continuous noise of the same size.

    Parameters
    ----------
    sensitivity, noise_std : float
        Of one release, before rounding.
    releases : int
        How many of them, composed.
    dimension : int
        d; rounding adds up to ``sqrt(d)`` grid steps to the sensitivity.
    delta : float
        In (0, 1).
    steps_per_std : int
        s of :class:`~strategies.privacy.discrete_gaussian.DiscreteNoise`.
    """
    mu = sensitivity / noise_std
    rounded = mu + sqrt(dimension) / steps_per_std
    return DiscreteGap(
        epsilon_of_mu(mu * sqrt(releases), delta),
        epsilon_of_zcdp(releases * rounded * rounded / 2, delta),
    )
