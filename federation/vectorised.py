"""The numeric core of a run over every clinic and epsilon at once, for sweeps and figures.

The same numbers as the message path, to the last bit: the same seeded streams, the same
``descend`` and ``clip``, sums in identity order. What the noise levels of a sweep share
(records, unit normal draws) is computed once and broadcast over a leading cell axis.
A seed at a time: one seed's arrays fit the processor's cache, several seeds' do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Self

import numpy as np

from federation.cohort import Cohort, cohort
from strategies.learning.linear_svm import (
    FloatArray,
    descend,
    draw_batches,
    hinge_loss,
)
from strategies.learning.one_versus_rest import (
    BINARY,
    class_scores,
    predict_classes,
    signed_rows,
)
from strategies.learning.task import Judgement, judge
from strategies.privacy.global_dp import clip
from strategies.randomness import Purpose, SeededNoise, generator
from strategies.settings import Settings, SettingsError

__all__ = ["Cohort", "Outcome", "cohort", "federate"]


@dataclass(frozen=True)
class Outcome:
    """What the cells of one cohort ended with.

    Parameters
    ----------
    weights : ndarray, shape (cells, d)
        The last broadcast model of each cell.
    diagnoses : tuple of Diagnosis or Recognition, length cells
        The same, judged on the held-out set.
    accuracy, loss : ndarray, shape (rounds, cells)
        The same after every round; no rows unless recorded.
    """

    weights: FloatArray
    diagnoses: tuple[Judgement, ...]
    accuracy: FloatArray
    loss: FloatArray


def federate(
    clinics: Cohort, settings: Settings, epsilons: Sequence[float] | None, *, record: bool = False
) -> Outcome:
    """Run the whole federation once for each epsilon.

    Parameters
    ----------
    clinics : Cohort
        Who trains, and what the models are judged on.
    settings : Settings
        Everything but ``epsilon``, ``clients``, ``seed`` and the data settings, which
        ``epsilons`` and ``clinics`` stand for.
    epsilons : sequence of float, or None
        Nominal epsilons of global-dp, one cell each; None is one cell without clip or noise.
    record : bool
        Whether to judge every round's broadcast as well.

    Raises
    ------
    SettingsError
        For settings whose numbers only the message path knows.
    """
    _check_supported(settings)
    levels = _Noise.of(clinics, settings, epsilons) if epsilons is not None else None
    cells = len(epsilons) if epsilons is not None else 1
    total = sum(clinics.sizes)
    shares = np.array([size / total for size in clinics.sizes])[:, None]
    broadcast = np.zeros((cells, clinics.signed.shape[-1]))
    history = []
    for round_ in range(1, settings.rounds + 1):
        uploads = _train(broadcast, clinics, settings, round_)
        if levels is not None:
            uploads = clip(uploads, settings.clip_norm) + levels.at_clinics(round_)
        broadcast = np.add.reduce(uploads * shares, axis=1)
        if levels is not None and levels.server_std.any():
            broadcast = broadcast + levels.at_server(round_)
        if record:
            history.append(_judge(broadcast, clinics, settings.l2))
    diagnoses = tuple(
        judge(model, clinics.test_features, clinics.test_labels, settings.l2, clinics.classes)
        for model in broadcast
    )
    accuracy, loss = np.array(history).reshape(-1, 2, cells).transpose(1, 0, 2)
    return Outcome(broadcast, diagnoses, accuracy, loss)


def _train(broadcast: FloatArray, clinics: Cohort, settings: Settings, round_: int) -> FloatArray:
    """Return the local models of every cell and clinic, shape (cells, V, d)."""
    step = partial(
        descend,
        learning_rate=settings.learning_rate,
        steps=settings.steps,
        l2=settings.l2,
        hinges=clinics.hinges,
    )
    if not settings.batch_size:
        counts = np.asarray(clinics.sizes, dtype=np.float64)
        return step(broadcast[:, None, :], clinics.signed, counts)
    models = []
    for clinic, size in enumerate(clinics.sizes):
        rng = generator(clinics.seed, Purpose.BATCHES, clinic, round_)
        batches = draw_batches(rng, size, settings.steps, settings.batch_size)
        rows = clinics.signed[clinic, : size * clinics.hinges]
        models.append(step(broadcast, rows, size, batches=batches))
    return np.stack(models, axis=1)


@dataclass(frozen=True)
class _Noise:
    """Unit draws of one cohort and the standard deviation of each cell."""

    clinic_std: FloatArray
    server_std: FloatArray
    clinic_draws: FloatArray
    server_draws: FloatArray

    @classmethod
    def of(cls, clinics: Cohort, settings: Settings, epsilons: Sequence[float]) -> Self:
        mechanisms = [settings.changed(epsilon=epsilon).calibration() for epsilon in epsilons]
        sizes, smallest = clinics.sizes, min(clinics.sizes)
        address = (clinics.signed.shape[-1], settings.rounds)
        clinic = [
            _draws(clinics.seed, Purpose.CLINIC_NOISE, i, *address) for i in range(len(sizes))
        ]
        return cls(
            np.array([m.upload_noise_std(smallest) for m in mechanisms]),
            np.array([m.broadcast_noise_std(smallest, sizes) for m in mechanisms]),
            np.stack(clinic, axis=1),
            _draws(clinics.seed, Purpose.SERVER_NOISE, 0, *address),
        )

    def at_clinics(self, round_: int) -> FloatArray:
        """Return what the clinics add in a round, shape (cells, V, d)."""
        noise: FloatArray = self.clinic_std[:, None, None] * self.clinic_draws[round_ - 1]
        return noise

    def at_server(self, round_: int) -> FloatArray:
        """Return what the server adds in a round, shape (cells, d)."""
        noise: FloatArray = self.server_std[:, None] * self.server_draws[round_ - 1]
        return noise


@lru_cache(maxsize=128)
def _draws(seed: int, purpose: Purpose, identity: int, dimension: int, rounds: int) -> FloatArray:
    source = SeededNoise(seed, purpose, identity)
    return np.array([source.standard_normal(dimension, t) for t in range(1, rounds + 1)])


def _judge(models: FloatArray, clinics: Cohort, l2: float) -> tuple[FloatArray, FloatArray]:
    classes = len(clinics.classes)
    signed = signed_rows(clinics.test_features, clinics.test_labels, classes)
    if classes == BINARY:
        scores = clinics.test_features @ models.T
        right = (scores > 0.0) == (clinics.test_labels > 0)[:, None]
        return right.mean(axis=0), hinge_loss(models, signed, l2)
    taken = predict_classes(class_scores(models, clinics.test_features, classes))
    squares = np.add.reduce(models * models, axis=-1)
    loss = classes * hinge_loss(models, signed, 0.0) + 0.5 * l2 * squares
    return (taken == clinics.test_labels).mean(axis=-1), loss


def _check_supported(settings: Settings) -> None:
    if settings.aggregation != "fedavg":
        raise SettingsError(
            f"a vectorised sweep merges by fedavg, not {settings.aggregation}: use compare"
        )
    if settings.noise != "seeded":
        raise SettingsError("a vectorised sweep repeats its noise: leave --noise at seeded")
