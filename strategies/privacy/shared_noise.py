"""Noise that the clinics share: the distributed discrete Gaussian under secure aggregation.

P. Kairouz, Z. Liu and T. Steinke, "The Distributed Discrete Gaussian Mechanism for Federated
Learning with Secure Aggregation", ICML 2021 (arXiv:2102.06387). Each clinic clips each unit's
contribution, rounds it onto a grid, and adds discrete Gaussian noise of a standard deviation of
``sigma / sqrt(n_survive - n_collude)``; only the sum is ever seen. Quantisation and noise are one
mechanism here: the grid is chosen so that the theorem gives the eps that was asked for.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp, fsum, inf, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from strategies.privacy.accounting import AccountingError, mu_of_epsilon
from strategies.privacy.discrete_accounting import epsilon_of_zcdp
from strategies.privacy.discrete_gaussian import ExactBits, sample_discrete_gaussian
from strategies.privacy.gaussian import check_delta
from strategies.privacy.rounding import norm_before_rounding, round_rows, rounded_norm

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FINEST, COARSEST = 1 << 20, 1 << 6
"""Grid steps in one clinic's standard deviation: as many as the modulus has room for."""
WRAP = 2.0**-40
"""Bound on the probability that any coordinate of any round wraps around."""
_SLACK = 1 - 1e-9


@lru_cache(maxsize=1024)
def rho_of_epsilon(epsilon: float, delta: float) -> float:
    """Return the largest rho whose rho-zCDP is (eps, delta)-DP, by bisection."""
    low, high = 0.0, 1.0
    while epsilon_of_zcdp(high, delta) <= epsilon:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if epsilon_of_zcdp(middle, delta) <= epsilon else (low, middle)
    return low


def tau(summands: int, steps: int) -> float:
    """Return tau, what a sum of n discrete Gaussians differs from one (Kairouz et al., Thm. 1).

    ``10 sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2 k / (k + 1))``, sigma in grid steps.
    """
    return 10 * fsum(exp(-2 * pi**2 * steps**2 * k / (k + 1)) for k in range(1, summands))


@dataclass(frozen=True)
class Grid:
    """How one round's contributions become integers modulo 2^bits.

    Parameters
    ----------
    width : float
        gamma, one step in the units of a gradient or update.
    steps : int
        Each clinic's noise has this standard deviation, in steps; 0 is none.
    bound : float
        Norm of one unit's contribution after rounding, at most, in steps.
    bits : int
        Of the modulus.
    """

    width: float
    steps: int
    bound: float
    bits: int

    @property
    def noise_std(self) -> float:
        """Return what each clinic adds, in the units of a gradient or update."""
        return self.width * self.steps

    def contribution(self, rows: FloatArray, bits: ExactBits) -> IntArray:
        """Return one clinic's noised integers.

        Parameters
        ----------
        rows : ndarray, shape (units, d)
            Contributions of its units, each clipped to the mechanism's norm.
        bits : ExactBits
            Its randomness: for rounding, then for noise.

        Returns
        -------
        ndarray of int64, shape (d,)
        """
        rounded = round_rows(rows / self.width, self.bound, bits)
        total: IntArray = np.add.reduce(rounded, axis=0)
        if not self.steps:
            return total
        noised: IntArray = total + sample_discrete_gaussian(self.steps, len(total), bits)
        return noised


@dataclass(frozen=True)
class SharedNoise:
    """Public calibration of the mechanism.

    Parameters
    ----------
    epsilon, delta : float
        Guarantee of one unit (replace-one) over the run, against the server and ``colluders``
        clinics, while no more than ``dropouts`` drop out after their keys.
    rounds : int
        T.
    clip_norm : float
        C, bound on one unit's contribution to the sum.
    dimension : int
        d.
    colluders, dropouts : int
        Clinics whose noise is not counted on.
    bits : int
        The modulus is 2^bits.
    largest : int
        Most units of one clinic, public; the modulus must have room for them.

    Raises
    ------
    AccountingError
        With the offending value, when one is out of range.
    """

    epsilon: float
    delta: float
    rounds: int
    clip_norm: float
    dimension: int
    colluders: int = 0
    dropouts: int = 0
    bits: int = 40
    largest: int = 1 << 16

    def __post_init__(self) -> None:
        """Check what no settings check."""
        check_delta(self.delta)
        for name in ("epsilon", "clip_norm", "rounds", "dimension", "largest"):
            if not getattr(self, name) > 0:
                raise AccountingError(f"{name} must be above 0, got {getattr(self, name)}")

    @cached_property
    def rho(self) -> float:
        """Return the zCDP of one round, as asked for."""
        return rho_of_epsilon(self.epsilon, self.delta) / self.rounds

    def counted_on(self, cohort: int) -> int:
        """Return ``n_survive - n_collude``: whose noise a cohort's sum is sure to have.

        Raises
        ------
        AccountingError
            When nobody's is.
        """
        count = cohort - self.dropouts - self.colluders
        if count < 1:
            raise AccountingError(
                f"of {cohort} clinics {self.dropouts} may drop out and {self.colluders} may "
                "collude: nobody's noise is left to count on"
            )
        return count

    @lru_cache(maxsize=64)  # noqa: B019 - few mechanisms, each kept anyway
    def grid(self, cohort: int) -> Grid:
        """Return the grid for a cohort of n clinics.

        The noise of those counted on makes one round ``rho``-zCDP: with sensitivity ``2 bound``
        (replace-one), ``sqrt(2 rho) = 2 bound / (sqrt(n) s) + tau sqrt(d)`` (Theorem 1).

        Raises
        ------
        AccountingError
            When the modulus has no room for sum and noise on a grid that is fine enough.
        """
        counted, root = self.counted_on(cohort), sqrt(self.dimension)
        steps = FINEST
        while steps >= COARSEST:
            share = sqrt(2 * self.rho) - tau(counted, steps) * root
            bound = _SLACK * steps * sqrt(counted) * share / 2
            norm = norm_before_rounding(bound, self.dimension)
            if norm > 0 and self._fits(cohort, steps, bound):
                return Grid(
                    self.clip_norm / norm, steps, rounded_norm(norm, self.dimension), self.bits
                )
            steps //= 2
        raise AccountingError(
            f"2^{self.bits} has no room for the sum of {cohort} clinics of up to {self.largest} "
            f"units in {self.dimension} dimensions: raise --modulus-bits or lower --largest-shard"
        )

    def _fits(self, cohort: int, steps: int, bound: float) -> bool:
        """Return whether the sum wraps around with probability at most ``WRAP`` in the run.

        A sum of n discrete Gaussians is sub-Gaussian with variance n s^2 (Canonne et al. 2020,
        Prop. 25): ``P(|Z| > t s sqrt n) <= 2 exp(-t^2 / 2)`` for each coordinate and round.
        """
        tail = sqrt(2 * log(2 * self.dimension * self.rounds / WRAP))
        largest = cohort * self.largest * max(bound, 1.0) + tail * steps * sqrt(cohort)
        return largest < 2.0 ** (self.bits - 1)

    def round_rho(self, cohort: int, survivors: int, colluders: int | None = None) -> float:
        """Return the zCDP of one opened round with the noise that was really there.

        Parameters
        ----------
        cohort : int
            For how many the noise was scaled.
        survivors : int
            How many inputs the sum holds.
        colluders : int, optional
            How many of them tell the server their noise; as assumed by default.

        Returns
        -------
        float
            Infinite when nobody's noise is left.
        """
        left = survivors - (self.colluders if colluders is None else colluders)
        if left < 1:
            return inf
        grid = self.grid(cohort)
        root = 2 * grid.bound / (sqrt(left) * grid.steps) + tau(left, grid.steps) * sqrt(
            self.dimension
        )
        return root * root / 2

    @property
    def mu_for_root(self) -> float:
        """Return by what ``sqrt(2 rho)`` is multiplied for a ledger that adds up Gaussian mu.

        At the whole run's rho the ledger then reads what the zCDP conversion proves, which is
        above the exact figure of Gaussian noise of that size.
        """
        return mu_of_epsilon(self.epsilon, self.delta) / sqrt(
            2 * rho_of_epsilon(self.epsilon, self.delta)
        )

    def mu(self, cohort: int, survivors: int) -> float:
        """Return the mu that a clinic's ledger is charged for one opened round.

        Whatever the dimension: a grid makes a round at most ``rho``-zCDP with the noise counted
        on, and rho is inversely proportional to the number of noises in the sum.
        """
        left = survivors - self.colluders
        if left < 1:
            return inf
        rho = self.rho * self.counted_on(cohort) / left
        return self.mu_for_root * sqrt(2 * rho)
