"""How a privacy budget is spread over the rounds so that honest clinics show early.

A clinic that poisons k of its records and runs the mechanism honestly is k mu-GDP from an
honest one (group privacy: Dong, Roth and Su, "Gaussian Differential Privacy", 2022, Thm. 2.14),
so more rounds tell no more of it: only mu does. The first release, at w = 0, where the
descent direction is longest, says most about a clinic for each unit of budget.
"""

from __future__ import annotations

from math import isfinite

import numpy as np

from strategies.trust.settings import FloatArray, TrustError

FIRST_SHARE = 0.3
"""Share of mu^2 for the first release: better than .2, .4 or more at eps 1 (BCWD, 25 seeds)."""


def noise_schedule(
    mu_total: float, rounds: int, first_share: float = FIRST_SHARE, *, sensitivity: float = 2.0
) -> FloatArray:
    """Return the noise of each release so that all of them compose to ``mu_total``.

    ``sum_t (sensitivity / sd_t)^2 = mu^2``: the first release has ``first_share`` of it, the
    others the rest in equal parts. A single release has all of it.

    Parameters
    ----------
    mu_total : float
        mu of Gaussian DP over the whole run; infinite means no noise.
    rounds : int
        T, releases of a clinic.
    first_share : float
        In (0, 1); ``1 / rounds`` is equal noise.
    sensitivity : float
        Of one release. The default, 2, gives noise multipliers ``sd / C`` of a sum of
        contributions clipped to C (replace-one); pass ``2 * C`` for standard deviations.

    Returns
    -------
    ndarray, shape (rounds,)

    Raises
    ------
    TrustError
        For a value out of range.
    """
    if not mu_total > 0:
        raise TrustError(f"mu is {mu_total}: it must be above 0 for anything to be released")
    if rounds < 1:
        raise TrustError(f"rounds is {rounds}: it must be at least 1")
    if not 0 < first_share < 1:
        raise TrustError(f"first_share is {first_share}: it must lie between 0 and 1")
    if not (isfinite(sensitivity) and sensitivity > 0):
        raise TrustError(f"sensitivity is {sensitivity}: it must be a finite number above 0")
    shares = np.ones(1)
    if rounds > 1:
        shares = np.full(rounds, (1.0 - first_share) / (rounds - 1))
        shares[0] = first_share
    schedule: FloatArray = sensitivity / (mu_total * np.sqrt(shares))
    return schedule
