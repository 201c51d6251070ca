"""Ratings by noised counts: how much more of a class slice is misjudged than is tolerated.

A clinic that rates a model on its own records counts, of each class c, the misjudged beyond the
tolerated share tau: ``x_c = wrong_c - tau n_c``, to which a record of class c adds ``1 - tau`` or
``-tau``. With Gaussian noise of known size this is a release like an upload and composes with the
uploads exactly (:mod:`strategies.privacy.gaussian`); what a clinic makes of it, a complaint or
none, is post-processing. n_c itself is never said.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from strategies.privacy.accounting import AccountingError, mu_of_epsilon
from strategies.privacy.gaussian import check_delta, check_positive
from strategies.privacy.units import FloatArray

BEYOND_NOISE = 2.0
"""Standard deviations of its own noise above which a count is a complaint: a fair slice passes
for a bad one in 2 % of the ratings."""


@dataclass(frozen=True)
class SliceCounts:
    """Public calibration of a clinic's ratings in one run.

    Parameters
    ----------
    epsilon, delta : float
        Guarantee of one unit (replace-one) over all ratings of the run.
    ratings : int
        T, how often a clinic rates.
    tolerated : float
        tau, share of a slice that may be misjudged.

    Raises
    ------
    AccountingError
        With the offending value, when one is out of range.
    """

    epsilon: float
    delta: float
    ratings: int
    tolerated: float = 0.25

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        check_positive(epsilon=self.epsilon)
        check_delta(self.delta)
        if self.ratings < 1:
            raise AccountingError(f"ratings must be at least 1, got {self.ratings}")
        if not 0 < self.tolerated < 1:
            raise AccountingError(f"tolerated must lie in (0, 1), got {self.tolerated}")

    @property
    def sensitivity(self) -> float:
        """Return how far replacing one unit moves the counts, in norm.

        A unit adds a point between ``-tau e_c`` and ``(1 - tau) e_c`` of the classes c of its
        records. Two such points are farthest apart where both are corners: 1 in one class,
        ``sqrt(2) max(tau, 1 - tau)`` between two.
        """
        return max(1.0, sqrt(2.0) * max(self.tolerated, 1.0 - self.tolerated))

    @property
    def rating_mu(self) -> float:
        """Return mu of one rating, so that T of them compose to the promised epsilon."""
        return mu_of_epsilon(self.epsilon, self.delta) / sqrt(self.ratings)

    @property
    def noise_std(self) -> float:
        """Return sigma, added to the count of each class in each rating."""
        return self.sensitivity / self.rating_mu

    def excess(
        self, wrong: NDArray[np.bool_], slices: NDArray[np.int64], units: NDArray[np.int64], k: int
    ) -> FloatArray:
        """Return x of each class, before noise.

        Parameters
        ----------
        wrong : ndarray of bool, shape (n,)
            Records that the model misjudges.
        slices : ndarray of int, shape (n,)
            Class of each record, from 0.
        units : ndarray of int, shape (n,)
            Unit of each record, from 0; a unit of several records counts as their mean.
        k : int
            Classes.

        Returns
        -------
        ndarray, shape (k,)
        """
        each = (wrong - self.tolerated) / np.bincount(units)[units]
        return np.bincount(slices, weights=each, minlength=k).astype(np.float64)

    def complaints(self, excess: FloatArray, normals: FloatArray) -> NDArray[np.bool_]:
        """Return the classes whose noised count is above what noise alone comes to.

        Parameters
        ----------
        excess, normals : ndarray, shape (k,)
            Of :meth:`excess`, and independent standard normal draws.

        Returns
        -------
        ndarray of bool, shape (k,)
        """
        noised = excess + self.noise_std * normals
        return np.asarray(noised > BEYOND_NOISE * self.noise_std)
