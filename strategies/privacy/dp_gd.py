"""Differentially private gradient descent: noise in each clinic, every round, server untrusted.

Each round a clinic sums its units' clipped hinge gradients at the broadcast model, adds
Gaussian noise and uploads the model after that one step. What the server sees of a clinic is T
Gaussian releases of sensitivity 2C (replace-one), accounted exactly. Broadcasts are computed
from uploads and cost nothing more. Full-batch DP-SGD of Abadi et al., "Deep Learning with
Differential Privacy", 2016, Alg. 1, in the local (per-clinic) trust model.
"""

from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from strategies.learning.features import FeatureMap
from strategies.privacy.accounting import AccountingError, get_noise_multiplier
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

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        for name in ("epsilon", "clip_norm", "learning_rate"):
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise AccountingError(f"{name} must be a finite number above 0, got {value}")
        if not 0 < self.delta < 1:
            raise AccountingError(f"delta must lie strictly between 0 and 1, got {self.delta}")
        if self.rounds < 1:
            raise AccountingError(f"rounds must be at least 1, got {self.rounds}")

    @cached_property
    def noise_multiplier(self) -> float:
        """Return ``z = sigma / C`` for T full-batch releases, exact."""
        return get_noise_multiplier(self.epsilon, self.delta, self.rounds, accountant="gaussian")

    @property
    def noise_std(self) -> float:
        """Return sigma, added to each coordinate of a gradient sum."""
        return self.noise_multiplier * self.clip_norm

    @property
    def upload_mu(self) -> float:
        """Return the mu of one upload: ``2 C / sigma``."""
        return 2.0 / self.noise_multiplier

    def upload(
        self,
        weights: FloatArray,
        signed: FloatArray,
        count: NDArray[np.int64] | int,
        normals: FloatArray,
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

        Returns
        -------
        ndarray, shape (..., d)
        """
        noisy = pull_sum(weights, signed, self.clip_norm) + self.noise_std * normals
        size = np.asarray(count, dtype=np.float64)[..., None]
        moved: FloatArray = weights + self.learning_rate * (noisy / size)
        return moved
