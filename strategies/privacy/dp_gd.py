"""Differentially private gradient descent: noise in each clinic, every round, server untrusted.

Each round a clinic sums its units' clipped hinge gradients at the broadcast model, adds
Gaussian noise and uploads the model after that one step. What the server sees of a clinic is T
Gaussian releases of sensitivity 2C (replace-one), accounted exactly. Broadcasts are computed
from uploads and cost nothing more. Full-batch DP-SGD of Abadi et al., "Deep Learning with
Differential Privacy", 2016, Alg. 1, in the local (per-clinic) trust model.
"""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from strategies.learning.features import FeatureMap
from strategies.privacy.accounting import AccountingError, get_noise_multiplier
from strategies.privacy.gaussian import check_delta, check_positive
from strategies.privacy.gradients import pull_sum
from strategies.privacy.units import FloatArray


def features(low: tuple[float, ...], high: tuple[float, ...]) -> FeatureMap:
    """Return the feature map of the one configuration: ``(2 log10 x - 1) / 3``, bias 0.6."""
    return FeatureMap("log", low, high, bias=0.6, scale=1 / 3)


@dataclass(frozen=True)
class DPGradientDescent:
    """Public calibration of the mechanism; the defaults are one configuration for all eps.

    Parameters
    ----------
    epsilon, delta : float
        Guarantee of one unit (replace-one) against a curious server over the whole run.
    rounds : int
        T, releases of each clinic.
    clip_norm : float
        C, bound on one unit's contribution to a gradient sum.
    learning_rate : float
        Step size on the average gradient.
    first_share : float
        Share of mu^2 for a clinic's first release, the others share the rest equally; 0: all
        releases alike. At w = 0 gradients are longest, so that a release says most there.

    Raises
    ------
    AccountingError
        With the offending value, when one is out of range.
    """

    epsilon: float
    delta: float
    rounds: int = 10
    clip_norm: float = 0.3
    learning_rate: float = 3.0
    first_share: float = 0.0

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        check_positive(
            epsilon=self.epsilon, clip_norm=self.clip_norm, learning_rate=self.learning_rate
        )
        check_delta(self.delta)
        if self.rounds < 1:
            raise AccountingError(f"rounds must be at least 1, got {self.rounds}")
        if not 0 <= self.first_share < 1:
            raise AccountingError(f"first_share must be in 0..1, below 1, got {self.first_share}")

    @cached_property
    def noise_multipliers(self) -> tuple[float, ...]:
        """Return ``z = sigma / C`` of each of a clinic's T full-batch releases, exact."""
        equal = get_noise_multiplier(self.epsilon, self.delta, self.rounds, accountant="gaussian")
        if not self.first_share or self.rounds == 1:
            return (equal,) * self.rounds
        from strategies.trust.budget import noise_schedule  # only where it is asked for

        mu = 2.0 * sqrt(self.rounds) / equal
        schedule = noise_schedule(mu, self.rounds, self.first_share)
        return tuple(float(value) for value in schedule)

    @cached_property
    def noise_stds(self) -> tuple[float, ...]:
        """Return sigma of each release, added to each coordinate of a gradient sum."""
        return tuple(multiplier * self.clip_norm for multiplier in self.noise_multipliers)

    @property
    def noise_std(self) -> float:
        """Return the smallest sigma of any release; all are alike without ``first_share``."""
        return min(self.noise_stds)

    def noise_std_of(self, upload: int) -> float:
        """Return sigma of a clinic's upload of this number, the first is 1.

        Beyond the last the largest: such an upload is no part of the promise and is refused.
        """
        return self.noise_stds[upload - 1] if upload <= self.rounds else max(self.noise_stds)

    def upload_mu_of(self, upload: int) -> float:
        """Return the mu of a clinic's upload of this number: ``2 C / sigma``."""
        return 2.0 * self.clip_norm / self.noise_std_of(upload)

    @property
    def upload_mu(self) -> float:
        """Return the largest mu of any upload; all are alike without ``first_share``."""
        return 2.0 / min(self.noise_multipliers)

    def upload(
        self,
        weights: FloatArray,
        signed: FloatArray,
        count: NDArray[np.int64] | int,
        normals: FloatArray,
        upload: int = 1,
    ) -> FloatArray:
        """Return what each clinic uploads: the broadcast model after one noisy step.

        Parameters
        ----------
        weights : ndarray, shape (..., d)
            The broadcast model, broadcastable to the clinics' leading axes.
        signed : ndarray, shape (..., units, records, d)
            Shards by unit, zero rows for padding.
        count : ndarray of int, shape (...), or int
            True number of units of each clinic; public, as replace-one keeps it.
        normals : ndarray, shape (..., d)
            Independent standard normal draws.
        upload : int
            Which of the clinics' uploads this is, the first is 1.

        Returns
        -------
        ndarray, shape (..., d)
        """
        noisy = pull_sum(weights, signed, self.clip_norm) + self.noise_std_of(upload) * normals
        size = np.asarray(count, dtype=np.float64)[..., None]
        moved: FloatArray = weights + self.learning_rate * (noisy / size)
        return moved
