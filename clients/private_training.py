"""Local training by a mechanism whose eps is proven: what leaves is already noised.

The noise is part of each mechanism's step, so that it cannot be left out by leaving out a mod;
the broadcast model in, the upload out.
"""

import numpy as np

from clients.clinic import Clinic
from strategies.learning.linear_svm import FloatArray
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.discrete_gaussian import DiscreteNoise
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.gradients import pull_sum
from strategies.privacy.mechanisms import mechanism_of
from strategies.randomness import NoiseSource, Purpose, generator
from strategies.settings import Settings


def private_upload(
    clinic: Clinic,
    settings: Settings,
    weights: FloatArray,
    server_round: int,
    noise: NoiseSource,
    upload: int = 1,
) -> FloatArray:
    """Return a clinic's upload under ``certified``, ``dp-gd`` or ``dp-sgd``.

    Parameters
    ----------
    clinic : Clinic
        The shard, by unit of privacy.
    settings : Settings
        The mechanism's calibration.
    weights : ndarray, shape (d,)
        The broadcast model.
    server_round : int
        Addresses the seeded streams.
    noise : NoiseSource
        Standard normal draws; with ``--noise discrete`` integers on a grid are drawn instead.
    upload : int
        Which of its uploads in this run it is, the first is 1: dp-gd may add less noise to it.
    """
    mechanism = mechanism_of(settings)
    units = clinic.units
    if isinstance(mechanism, DPSGD):
        return _sampled(mechanism, clinic, settings, weights, server_round, noise)
    if settings.noise == "discrete":
        return _on_a_grid(mechanism, units, weights)
    normals = noise.standard_normal(len(weights), server_round)
    if isinstance(mechanism, DPGradientDescent):
        return mechanism.upload(weights, units, len(units), normals, upload)
    return mechanism.upload(weights, units, len(units), normals)


def _on_a_grid(
    mechanism: DPGradientDescent | CertifiedRelease, units: FloatArray, weights: FloatArray
) -> FloatArray:
    if isinstance(mechanism, CertifiedRelease):
        return _discrete(
            mechanism.train(weights, units, len(units)), mechanism.noise_std(len(units))
        )
    noised = _discrete(pull_sum(weights, units, mechanism.clip_norm), mechanism.noise_std)
    return weights + mechanism.learning_rate * (noised / float(len(units)))


def _discrete(values: FloatArray, std: float) -> FloatArray:
    noise = DiscreteNoise(std)
    noised: FloatArray = noise.add(values) * np.float64(noise.grid)
    return noised


def _sampled(
    mechanism: DPSGD,
    clinic: Clinic,
    settings: Settings,
    weights: FloatArray,
    server_round: int,
    noise: NoiseSource,
) -> FloatArray:
    from strategies.privacy.opacus_clinic import train_round  # imports torch: seconds

    sampling = None  # the operating system's CSPRNG
    if not noise.private:
        rng = generator(settings.seed, Purpose.BATCHES, clinic.partition, server_round)
        sampling = int(rng.integers(2**63))
    draws = _Draws(noise, len(weights), mechanism.steps, server_round)
    return train_round(mechanism, weights, clinic.units, draws, sampling)


class _Draws:
    """One round's standard normal draws, handed out step by step."""

    def __init__(self, noise: NoiseSource, dimension: int, steps: int, server_round: int) -> None:
        self._left = noise.standard_normal(dimension * steps, server_round)

    def __call__(self, size: int) -> FloatArray:
        drawn, self._left = self._left[:size], self._left[size:]
        return drawn
