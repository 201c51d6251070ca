"""The mechanisms as they stand in a comparison: one fixed configuration each, over all eps.

A contender turns one cut of a table into the final broadcast models of whole federated runs,
all eps at once, with the noise streams of the message path: ``SeededNoise(seed, purpose,
clinic)`` at rounds 1 to T.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.learning.features import FeatureMap
from strategies.learning.linear_svm import descend
from strategies.privacy import certified, dp_gd
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD, poisson_mask
from strategies.privacy.global_dp import GlobalDP, clip
from strategies.privacy.gradients import merge
from strategies.privacy.units import FloatArray
from strategies.randomness import Purpose, SeededNoise, generator

Bounds = tuple[float, ...]


@dataclass(frozen=True)
class Cohort:
    """The shards of one run, by unit of privacy.

    Parameters
    ----------
    signed : ndarray, shape (clinics, units, records, d)
        Records times labels, padded with zeros.
    count : ndarray of int, shape (clinics,)
        Units of each clinic.
    seed : int
        Seed of the run's noise.
    """

    signed: FloatArray
    count: NDArray[np.int64]
    seed: int

    @property
    def shares(self) -> FloatArray:
        """Return pi_i, by units: under replace-one only their number is public."""
        shares: FloatArray = self.count / self.count.sum()
        return shares

    @property
    def flat(self) -> tuple[FloatArray, NDArray[np.int64]]:
        """Return the shards by record, shape (clinics, rows, d), and each clinic's records."""
        rows = self.signed.reshape(len(self.signed), -1, self.signed.shape[-1])
        real = np.any(rows != 0.0, axis=-1)
        counted: NDArray[np.int64] = np.add.reduce(real, axis=-1)
        packed = np.argsort(~real, axis=-1, kind="stable")[:, : counted.max()]
        return np.take_along_axis(rows, packed[..., None], axis=1), counted

    def normals(self, round_: int) -> FloatArray:
        """Return every clinic's draws of one round, shape (clinics, d)."""
        dimension = self.signed.shape[-1]
        return np.stack(
            [
                SeededNoise(self.seed, Purpose.CLINIC_NOISE, clinic).standard_normal(
                    dimension, round_
                )
                for clinic in range(len(self.count))
            ]
        )


Run = Callable[[Cohort, Sequence[float], float], FloatArray]


@dataclass(frozen=True)
class Contender:
    """One mechanism of a comparison.

    Parameters
    ----------
    name : str
        As ``--privacy`` or ``--preset`` names it.
    features : callable
        Feature map for public attribute bounds.
    run : callable
        ``(cohort, epsilons, delta) -> final models (epsilons, d)``.
    """

    name: str
    features: Callable[[Bounds, Bounds], FeatureMap]
    run: Run


def run_dp_gd(cohort: Cohort, epsilons: Sequence[float], delta: float) -> FloatArray:
    """Run dp-gd for each eps on the same noise draws."""
    return _release_runs(cohort, [DPGradientDescent(epsilon, delta) for epsilon in epsilons])


def run_certified(cohort: Cohort, epsilons: Sequence[float], delta: float) -> FloatArray:
    """Run certified model release for each eps on the same noise draws."""
    return _release_runs(cohort, [CertifiedRelease(epsilon, delta) for epsilon in epsilons])


def run_dp_sgd(cohort: Cohort, epsilons: Sequence[float], delta: float) -> FloatArray:
    """Run dp-sgd for each eps on the same noise and sampling draws."""
    mechanisms = [DPSGD(epsilon, delta) for epsilon in epsilons]
    clinics, units = cohort.signed.shape[:2]
    dimension = cohort.signed.shape[-1]
    models = np.zeros((len(mechanisms), dimension))
    for round_ in range(1, mechanisms[0].rounds + 1):
        noise, batches = (
            [generator(cohort.seed, purpose, clinic, round_) for clinic in range(clinics)]
            for purpose in (Purpose.CLINIC_NOISE, Purpose.BATCHES)
        )
        steps = mechanisms[0].steps
        normals = np.stack([rng.standard_normal((steps, dimension)) for rng in noise], axis=1)
        taken = np.zeros((steps, clinics, units))
        for clinic, rng in enumerate(batches):
            size = int(cohort.count[clinic])
            mask = poisson_mask(mechanisms[0], size, int(rng.integers(2**63)))
            taken[:, clinic, :size] = mask
        for index, mechanism in enumerate(mechanisms):
            uploads = mechanism.upload(models[index], cohort.signed, cohort.count, normals, taken)
            models[index] = merge(uploads, cohort.shares)
    return models


def run_none(cohort: Cohort, epsilons: Sequence[float], delta: float) -> FloatArray:
    """Run a converged federation without noise; eps and delta are not used."""
    rows, count = cohort.flat
    shares, model = count / count.sum(), np.zeros(rows.shape[-1])
    sizes = count.astype(np.float64)
    for _ in range(60):
        start = np.broadcast_to(model, (len(rows), len(model)))
        model = merge(descend(start, rows, sizes, learning_rate=0.3, steps=5, l2=1e-3), shares)
    return np.tile(model, (len(epsilons), 1))


def global_dp_run(reading: str, rounds: int, exposures: int, rate: float, delta: float) -> Run:
    """Return a run of the paper's protocol with one preset; its own delta is used."""

    def run(cohort: Cohort, epsilons: Sequence[float], _delta: float) -> FloatArray:
        protocols = [
            GlobalDP(epsilon, delta, 0.5, rounds, exposures, reading) for epsilon in epsilons
        ]
        rows, count = cohort.flat
        sizes, smallest = [int(size) for size in count], int(count.min())
        shares = count / count.sum()
        upload_std = np.array([item.upload_noise_std(smallest) for item in protocols])
        top_up = np.array([item.broadcast_noise_std(smallest, sizes) for item in protocols])
        server = SeededNoise(cohort.seed, Purpose.SERVER_NOISE)
        models = np.zeros((len(protocols), rows.shape[-1]))
        for round_ in range(1, rounds + 1):
            starts = np.broadcast_to(models[:, None, :], (len(models), *rows.shape[::2]))
            trained = descend(
                starts, rows, count.astype(np.float64), learning_rate=rate, steps=5, l2=1e-3
            )
            noise = upload_std[:, None, None] * cohort.normals(round_)
            models = merge(clip(trained, 0.5) + noise, shares)
            models = models + top_up[:, None] * server.standard_normal(rows.shape[-1], round_)
        return models

    return run


def _release_runs(
    cohort: Cohort, mechanisms: Sequence[DPGradientDescent | CertifiedRelease]
) -> FloatArray:
    models = np.zeros((len(mechanisms), cohort.signed.shape[-1]))
    for round_ in range(1, mechanisms[0].rounds + 1):
        normals = cohort.normals(round_)
        for index, mechanism in enumerate(mechanisms):
            uploads = mechanism.upload(models[index], cohort.signed, cohort.count, normals)
            models[index] = merge(uploads, cohort.shares)
    return models


def _scaled(low: Bounds, high: Bounds) -> FeatureMap:
    return FeatureMap("scaled", low, high)


CONTENDERS: dict[str, Contender] = {
    item.name: item
    for item in (
        Contender("none", certified.features, run_none),
        Contender("paper-std", _scaled, global_dp_run("std", 100, 1, 0.001, 1e-2)),
        Contender("paper-variance", _scaled, global_dp_run("variance", 10, 10, 0.01, 1e-5)),
        Contender("certified", certified.features, run_certified),
        Contender("dp-gd", dp_gd.features, run_dp_gd),
        Contender("dp-sgd", dp_gd.features, run_dp_sgd),
    )
}
