"""What hostile clinics see: their own shards, and in a simulation each other's.

Attacks are functions of update directions (:mod:`strategies.trust.attacks`). A direction is
``u = (upload - broadcast) m / eta`` under dp-gd, the noised sum of clipped gradients, and
``upload - broadcast`` under every other mechanism. What part of it is noise is found by running
the clinic's own mechanism twice, once with no noise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from flwr.app import ConfigRecord
from numpy.typing import NDArray

from clients.clinic import Clinic
from clients.noise_mod import noise_source
from clients.private_training import private_upload
from strategies.learning.linear_svm import FloatArray
from strategies.privacy.global_dp import GlobalDP, clip
from strategies.randomness import NoiseSource
from strategies.settings import CERTIFIED_PRIVACY, Settings
from strategies.trust.attacks import Sight
from strategies.wrappers.global_differential_privacy import from_config
from strategies.wrappers.protocol import UPLOAD_NUMBER

Source = Callable[[Clinic], NoiseSource]


class Constant:
    """Draws that are all the same: 0 leaves the noise out, 1 shows its standard deviation."""

    private = False

    def __init__(self, value: float) -> None:
        self._value = value

    def standard_normal(self, size: int, round_: int) -> NDArray[np.float64]:
        """Return ``size`` times the value."""
        return np.full(size, self._value)


def _nothing(_: Clinic) -> NoiseSource:
    return Constant(0.0)


def _one(_: Clinic) -> NoiseSource:
    return Constant(1.0)


@dataclass(frozen=True)
class Round:
    """One round as the server asked for it.

    Attributes
    ----------
    number : int
        The first is 1.
    settings : Settings
        The run's, with noise that repeats: attackers need no protection from each other.
    calibration : GlobalDP or None
        Of global-dp, with the smallest shard, as the request states them.
    smallest : int
        m of that calibration.
    nth : int
        Which of a member's uploads the request asks for, where its noise depends on that.
    """

    number: int
    settings: Settings
    calibration: GlobalDP | None = None
    smallest: int = 1
    nth: int = 1

    @classmethod
    def asked(cls, settings: Settings, number: int, config: ConfigRecord) -> "Round":
        """Return the round that a train request describes."""
        calm = settings if settings.noise == "seeded" else settings.changed(noise="seeded")
        if settings.privacy != "global-dp":
            return cls(number, calm, nth=int(cast(int, config.get(UPLOAD_NUMBER, number))))
        return cls(number, calm, *from_config(config))

    def at_start(self) -> "Round":
        """Return the first round with the same calibration."""
        return replace(self, number=1, nth=1)

    def upload(self, clinic: Clinic, weights: FloatArray, noise: NoiseSource) -> FloatArray:
        """Return what the mechanism of the run uploads for a clinic."""
        if self.settings.privacy in CERTIFIED_PRIVACY:
            return private_upload(clinic, self.settings, weights, self.number, noise, self.nth)
        trained = clinic.train(weights, self.settings, self.number)
        if self.calibration is None:
            return trained
        std = self.calibration.upload_noise_std(self.smallest)
        draws = noise.standard_normal(len(weights), self.number)
        return clip(trained, self.calibration.clip_norm) + std * draws

    def scale(self, clinic: Clinic) -> float:
        """Return by what ``upload - broadcast`` is multiplied to be the clinic's direction."""
        if self.settings.privacy != "dp-gd":
            return 1.0
        return len(clinic.units) / self.settings.learning_rate


def sight_of(
    clinics: Sequence[Clinic], now: Round, weights: FloatArray, course: FloatArray
) -> Sight:
    """Return what a coalition knows in a round, with no past.

    Parameters
    ----------
    clinics : sequence of Clinic
        The f members, ascending.
    now : Round
        The round to attack.
    weights : ndarray, shape (d,)
        Its broadcast model.
    course : ndarray, shape (d,)
        See :func:`course_of`.
    """

    def agreed(clinic: Clinic) -> NoiseSource:
        return noise_source("seeded", now.settings.seed, clinic.partition)

    honest = _directions(clinics, now, weights, _nothing)
    noised = _directions(clinics, now, weights, agreed)
    return Sight(
        round_=now.number,
        honest=honest,
        poisoned=_directions([clinic.flipped for clinic in clinics], now, weights, _nothing),
        noise=noised - honest,
        noise_std=_noise_stds(clinics, now, weights, honest, noised - honest),
        others=noised,
        course=course,
        past=np.empty((0, *honest.shape)),
        clinics=now.settings.clients,
    )


def course_of(clinics: Sequence[Clinic], first: Round, dimension: int) -> FloatArray:
    """Return the mean direction of the members at the untrained model, without noise, (d,)."""
    found = _directions(clinics, first, np.zeros(dimension), _nothing)
    mean: FloatArray = np.add.reduce(found, axis=0) / len(found)
    return mean


def _directions(
    clinics: Sequence[Clinic], now: Round, weights: FloatArray, source: Source
) -> FloatArray:
    return np.array(
        [
            (now.upload(clinic, weights, source(clinic)) - weights) * now.scale(clinic)
            for clinic in clinics
        ]
    )


def _noise_stds(
    clinics: Sequence[Clinic],
    now: Round,
    weights: FloatArray,
    honest: FloatArray,
    noise: FloatArray,
) -> FloatArray:
    """Return the standard deviation of each direction's noise, shape (f,)."""
    if not now.settings.private:
        return np.zeros(len(clinics))
    stds: FloatArray
    if now.settings.privacy == "dp-sgd":  # noise of several steps, which also moves the gradients
        stds = np.sqrt(np.mean(noise**2, axis=1))
        return stds
    ones = _directions(clinics, now, weights, _one)
    stds = np.mean(ones - honest, axis=1)
    return stds
