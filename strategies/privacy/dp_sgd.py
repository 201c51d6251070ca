"""DP-SGD with Poisson sampling in each clinic: calibration and the vectorised core.

Abadi et al., "Deep Learning with Differential Privacy", 2016, Alg. 1: each local step takes
every unit with probability q, sums the clipped gradients of those taken, adds Gaussian noise
and moves. A clinic's T rounds of k steps are accounted together by PLD in the stated relation;
what Opacus prints (add-remove) is kept as information.

In a federation the clinic runs Opacus' engine (:mod:`strategies.privacy.opacus_clinic`);
:meth:`DPSGD.upload` is the same arithmetic over leading axes, for sweeps, and is tested to
give the same weights.
"""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from strategies.privacy.accounting import (
    AccountingError,
    SampledRelease,
    get_epsilon,
    get_noise_multiplier,
)
from strategies.privacy.gaussian import check_delta, check_positive
from strategies.privacy.gradients import pull_sum
from strategies.privacy.units import FloatArray


@dataclass(frozen=True)
class DPSGD:
    """Public calibration of the mechanism; the defaults are one configuration for all eps.

    Features are those of :func:`strategies.privacy.dp_gd.features`.

    Parameters
    ----------
    epsilon, delta : float
        Guarantee of one unit (replace-one) against a curious server over the whole run.
    rounds : int
        T, releases of each clinic.
    steps : int
        k, local steps a round.
    batches : int
        Expected number of batches in one pass: the sampling probability is ``1 / batches``
        (Opacus knows only such rates).
    clip_norm : float
        C, bound on one unit's contribution to a gradient sum.
    learning_rate : float
        Step size on the average gradient of an expected batch.

    Raises
    ------
    AccountingError
        With the offending value, when one is out of range.
    """

    epsilon: float
    delta: float
    rounds: int = 10
    steps: int = 1
    batches: int = 2
    clip_norm: float = 0.3
    learning_rate: float = 3.0

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        check_positive(
            epsilon=self.epsilon, clip_norm=self.clip_norm, learning_rate=self.learning_rate
        )
        check_delta(self.delta)
        for name in ("rounds", "steps", "batches"):
            if getattr(self, name) < 1:
                raise AccountingError(f"{name} must be at least 1, got {getattr(self, name)}")
        if int(1 / (1 / self.batches)) != self.batches:
            raise AccountingError(
                f"batches {self.batches} cannot be told to Opacus, which rounds 1/(1/batches) "
                f"down: use {self.batches + 1}"
            )

    @property
    def sample_rate(self) -> float:
        """Return q."""
        return 1.0 / self.batches

    @cached_property
    def noise_multiplier(self) -> float:
        """Return ``z = sigma / C`` for T k subsampled releases, by PLD under replace-one."""
        return get_noise_multiplier(
            self.epsilon, self.delta, self.rounds * self.steps, self.sample_rate, "pld"
        )

    @property
    def noise_std(self) -> float:
        """Return sigma, added to each coordinate of a gradient sum."""
        return self.noise_multiplier * self.clip_norm

    def spent(self, rounds: int) -> float:
        """Return the eps of the first ``rounds`` rounds at the run's delta (replace-one)."""
        return get_epsilon(
            self.delta, self.noise_multiplier, rounds * self.steps, self.sample_rate, "pld"
        )

    def opacus_epsilon(self) -> float:
        """Return what Opacus' RDP accountant prints for the run (add-remove), as information."""
        return get_epsilon(
            self.delta,
            self.noise_multiplier,
            self.rounds * self.steps,
            self.sample_rate,
            "opacus-rdp",
            "add-remove",
        )

    @property
    def release(self) -> SampledRelease:
        """Return one round's k sampled steps, as the ledger is charged for them."""
        return SampledRelease(self.noise_multiplier, self.sample_rate, self.steps)

    def upload(
        self,
        weights: FloatArray,
        signed: FloatArray,
        count: NDArray[np.int64] | int,
        normals: FloatArray,
        taken: FloatArray,
    ) -> FloatArray:
        """Return what each clinic uploads: the broadcast model after k noisy sampled steps.

        Parameters
        ----------
        weights : ndarray, shape (..., d)
            The broadcast model, broadcastable to the clinics' leading axes.
        signed : ndarray, shape (..., units, records, d)
            Shards by unit, zero rows for padding.
        count : ndarray of int, shape (...), or int
            True number of units of each clinic; public, as replace-one keeps it.
        normals : ndarray, shape (steps, ..., d)
            Independent standard normal draws.
        taken : ndarray, shape (steps, ..., units)
            1 where Poisson sampling took a unit, else 0.

        Returns
        -------
        ndarray, shape (..., d)
        """
        expected = self.sample_rate * np.asarray(count, dtype=np.float64)[..., None]
        for step in range(self.steps):
            total = pull_sum(weights, signed, self.clip_norm, taken[step])
            noisy = total + self.noise_std * normals[step]
            weights = weights + self.learning_rate * (noisy / expected)
        return weights


def poisson_mask(calibration: DPSGD, units: int, sampling_seed: int | None = None) -> FloatArray:
    """Draw which units each of a round's k steps takes.

    Parameters
    ----------
    calibration : DPSGD
        Steps and sampling probability.
    units : int
        Units of the clinic.
    sampling_seed : int, optional
        Repeats the draws, for experiments; without it they come from the operating system's
        CSPRNG, as amplification by sampling needs batches that nobody can guess.

    Returns
    -------
    ndarray, shape (steps, units)
        1 where a unit is taken, else 0.
    """
    shape = (calibration.steps, units)
    if sampling_seed is not None:
        chance = np.random.default_rng(sampling_seed).random(shape)
    else:
        bits = np.frombuffer(os.urandom(8 * calibration.steps * units), dtype=np.uint64)
        chance = (bits >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53
    return (chance < calibration.sample_rate).astype(np.float64)
