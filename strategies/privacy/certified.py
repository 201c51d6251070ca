"""Certified model release: the paper's upload with a sensitivity that holds.

A clinic takes k full-batch gradient steps on a smoothed hinge from the broadcast model, clips
the result to norm B and adds Gaussian noise. The smoothed hinge of width h,

    l(z) = 0 for z >= 1;  (1 - z)^2 / (2h) for 1 - h < z < 1;  1 - z - h/2 below,

is convex with ``l'' <= 1/h``, so one record of norm at most C has smoothness ``beta = C^2 / h``
and gradients of norm at most C. With ``eta <= 2 / beta`` every step is non-expansive and the
sensitivity is ``min(2B, 2 eta k C / m)``: see
:meth:`~strategies.privacy.certificate.SensitivityCertificate.smooth`.

With the unit ``patient`` the loss averages over patients, each the mean of its records' losses:
the same bounds hold with m the number of patients.

With K classes a record has K hinges, rows in orthogonal blocks
(:mod:`strategies.learning.one_versus_rest`), and its loss is their mean. The gradient, 1/K times a
sum of K orthogonal vectors of norm at most C, has norm at most ``G = C / sqrt(K)``; the Hessian is
block diagonal, ``beta = C^2 / (K h)``. Means over the records of a unit keep both bounds.
"""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from strategies.learning.features import FeatureMap
from strategies.privacy.accounting import AccountingError, mu_of_epsilon
from strategies.privacy.certificate import SensitivityCertificate, smallest_proven
from strategies.privacy.gaussian import check_delta, check_positive
from strategies.privacy.global_dp import clip
from strategies.privacy.units import FloatArray


def features(low: tuple[float, ...], high: tuple[float, ...]) -> FeatureMap:
    """Return the feature map of the one configuration: ``2 log10 x - 1`` with bias 1."""
    return FeatureMap("log", low, high)


@dataclass(frozen=True)
class CertifiedRelease:
    """Public calibration of the mechanism; the defaults are one configuration for all eps.

    Parameters
    ----------
    epsilon, delta : float
        Guarantee of one unit (replace-one) against a curious server over the whole run.
    rounds : int
        T, releases of each clinic.
    steps : int
        k, full-batch gradient steps a round.
    learning_rate : float
        eta, at most ``2 / beta``.
    feature_bound : float
        C; longer feature vectors, bias included, are scaled down to it.
    smoothing : float
        h, width of the smoothed corner of the hinge.
    clip_norm : float
        B, bound on the norm of an uploaded model.
    hinges : int
        K, rows of each record: 1 for two classes.

    Raises
    ------
    AccountingError
        With the offending value, when one is out of range.
    CertificateError
        When eta is above ``2 / beta``.
    """

    epsilon: float
    delta: float
    rounds: int = 3
    steps: int = 10
    learning_rate: float = 0.5
    feature_bound: float = 0.7
    smoothing: float = 0.5
    clip_norm: float = 10.0
    hinges: int = 1

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        check_positive(
            epsilon=self.epsilon,
            learning_rate=self.learning_rate,
            feature_bound=self.feature_bound,
            smoothing=self.smoothing,
            clip_norm=self.clip_norm,
        )
        check_delta(self.delta)
        if self.rounds < 1 or self.steps < 1:
            raise AccountingError(
                f"rounds and steps must be at least 1, got {self.rounds} and {self.steps}"
            )
        if self.hinges < 1:
            raise AccountingError(f"hinges must be at least 1, got {self.hinges}")
        self.certificate(1)

    @property
    def smoothness(self) -> float:
        """Return beta = C^2 / (K h) of one record's loss."""
        return self.feature_bound**2 / self.smoothing / self.hinges

    @property
    def gradient_bound(self) -> float:
        """Return G = C / sqrt(K) of one record's loss."""
        return self.feature_bound / sqrt(self.hinges)

    def certificate(self, units: int) -> SensitivityCertificate:
        """Return the smallest proven sensitivity of a clinic with ``units`` units."""
        steps = self.learning_rate, self.steps, self.gradient_bound
        return smallest_proven(
            [
                SensitivityCertificate.smooth(*steps, units, smoothness=self.smoothness),
                SensitivityCertificate.drift(*steps),
                SensitivityCertificate.worst_case(self.clip_norm),
            ]
        )

    @cached_property
    def upload_mu(self) -> float:
        """Return the mu of one upload: T of them add up to the target."""
        return mu_of_epsilon(self.epsilon, self.delta) / sqrt(self.rounds)

    def noise_std(self, units: int) -> float:
        """Return sigma of a clinic with ``units`` units: its sensitivity over ``upload_mu``."""
        return self.certificate(units).value / self.upload_mu

    def train(
        self, weights: FloatArray, signed: FloatArray, count: NDArray[np.int64] | int
    ) -> FloatArray:
        """Take the k certified steps and clip; shapes as in :meth:`upload`."""
        rows = clip(signed, self.feature_bound)
        records = np.add.reduce(np.any(rows != 0.0, axis=-1), axis=-1)[..., None]
        share = 1.0 / np.maximum(records, 1)
        size = np.asarray(count, dtype=np.float64)[..., None]
        for _ in range(self.steps):
            margins = np.add.reduce(rows * weights[..., None, None, :], axis=-1)
            slope = np.minimum(np.maximum((1.0 - margins) / self.smoothing, 0.0), 1.0) * share
            pulls = np.add.reduce(rows * slope[..., None], axis=-2)
            weights = weights + self.learning_rate * (np.add.reduce(pulls, axis=-2) / size)
        return clip(weights, self.clip_norm)

    def upload(
        self,
        weights: FloatArray,
        signed: FloatArray,
        count: NDArray[np.int64] | int,
        normals: FloatArray,
    ) -> FloatArray:
        """Return what each clinic uploads: its trained, clipped model with noise.

        Parameters
        ----------
        weights : ndarray, shape (..., d)
            The broadcast model, broadcastable to the clinics' leading axes.
        signed : ndarray, shape (..., units, records, d)
            Shards by unit, zero rows for padding.
        count : ndarray of int, shape (...), or int
            True number of units of each clinic.
        normals : ndarray, shape (..., d)
            Independent standard normal draws.

        Returns
        -------
        ndarray, shape (..., d)
        """
        sizes = np.asarray(count)
        scale = np.array([self.noise_std(int(units)) for units in sizes.ravel()])
        noise = scale.reshape(sizes.shape)[..., None] * normals
        return self.train(weights, signed, count) + noise
