"""Federations under attack and noise on arrays, without messages: what the tables are made of.

dp-gd with local noise (one clipped full-batch step a round), some clinics malicious, and a rule
that merges. A run is a function of its seed: cut, noise, attackers and their draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, log, sqrt

import numpy as np

from strategies.privacy.gradients import pull_sum
from strategies.trust.attacks import Sight, attack_named
from strategies.trust.budget import FIRST_SHARE, noise_schedule
from strategies.trust.evidence import shorten
from strategies.trust.schedules import Schedule
from strategies.trust.settings import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Scene:
    """The shards of one federation.

    Attributes
    ----------
    signed : ndarray, shape (V, units, records, d)
        Records times labels, padded with zeros.
    count : ndarray of int, shape (V,)
        m.
    test : ndarray, shape (n, d)
        Held-out records times labels.
    """

    signed: FloatArray
    count: IntArray
    test: FloatArray


@dataclass(frozen=True)
class Plan:
    """What is played.

    Attributes
    ----------
    mu : float
        Of a clinic's whole run; infinite without noise.
    rounds : int
        T.
    attackers : int
        f; which clinics they are is drawn.
    attack : str
        Name in ``ATTACKS``.
    schedule : Schedule
    first_share : float
        Share of mu^2 for the first release.
    clip_norm, learning_rate : float
        C and eta of dp-gd.
    """

    mu: float = inf
    rounds: int = 10
    attackers: int = 6
    attack: str = "sign-flip"
    schedule: Schedule = field(default_factory=Schedule)
    first_share: float = FIRST_SHARE
    clip_norm: float = 0.3
    learning_rate: float = 3.0

    def changed(self, **values: object) -> Plan:
        """Return a copy with ``values`` replaced."""
        return replace(self, **values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Merged:
    """What a rule makes of a round.

    Attributes
    ----------
    direction : ndarray, shape (d,)
        Descent direction per unit.
    trusted : ndarray of bool, shape (n,)
        Whom the rule believes, after the round.
    """

    direction: FloatArray
    trusted: BoolArray


Merge = Callable[[int, Sequence[str], FloatArray, FloatArray, FloatArray], Merged]
"""``(round, identities, uploads (n, d), sizes (n,), noise (n,)) -> Merged``."""


@dataclass(frozen=True)
class Outcome:
    """How a federation ended.

    Attributes
    ----------
    accuracy : float
        Of the last broadcast on the held-out records.
    honest_out : float
        Share of honest clinics that are not trusted at the end.
    found : float
        Share of attackers that are not trusted at the end; NaN without attackers.
    """

    accuracy: float
    honest_out: float
    found: float


def play(scene: Scene, plan: Plan, merge: Merge, seed: int) -> Outcome:
    """Run a federation in which every clinic uploads in every round."""
    clinics, dimension = len(scene.count), scene.signed.shape[-1]
    cast = Cast(scene, plan, seed)
    sizes = scene.count.astype(np.float64)
    identities = [f"clinic-{clinic:04d}" for clinic in range(clinics)]
    trusted = np.ones(clinics, dtype=np.bool_)
    weights = np.zeros(dimension)
    for round_ in range(1, plan.rounds + 1):
        noise = np.full(clinics, cast.schedule[round_ - 1])
        uploads = cast.uploads(weights, round_, noise)
        found = merge(round_, identities, uploads, sizes, noise)
        weights = weights + plan.learning_rate * found.direction
        trusted = found.trusted
    hostile = cast.hostile
    return Outcome(
        accuracy(scene, weights),
        float(np.mean(~trusted[~hostile])),
        float(np.mean(~trusted[hostile])) if hostile.any() else float("nan"),
    )


def accuracy(scene: Scene, weights: FloatArray) -> float:
    """Return the share of held-out records on the right side."""
    return float(np.mean(scene.test @ weights > 0.0))


class Cast:
    """Clinics and attackers of one run: what each of them uploads.

    Attributes
    ----------
    hostile : ndarray of bool, shape (V,)
    schedule : ndarray, shape (T,)
        Noise of a clinic's first, second, ... upload.
    """

    def __init__(self, scene: Scene, plan: Plan, seed: int) -> None:
        self.scene, self.plan = scene, plan
        clinics = len(scene.count)
        self._rng = np.random.default_rng(np.random.SeedSequence((seed, 7001)))
        self._noise = np.random.default_rng(np.random.SeedSequence((seed, 7002)))
        self.hostile = np.zeros(clinics, dtype=np.bool_)
        self.hostile[self._rng.permutation(clinics)[: plan.attackers]] = True
        self._attack = attack_named(plan.attack)
        self._first = pull_sum(np.zeros(scene.signed.shape[-1]), scene.signed, plan.clip_norm)
        self._past: list[FloatArray] = []
        self._seed = seed
        self.schedule = np.zeros(plan.rounds)
        if plan.mu != inf:
            self.schedule = noise_schedule(
                plan.mu, plan.rounds, plan.first_share, sensitivity=2 * plan.clip_norm
            )

    def uploads(self, weights: FloatArray, round_: int, noise_std: FloatArray) -> FloatArray:
        """Return what all clinics upload, no longer than the norm that is checked."""
        scene, plan = self.scene, self.plan
        honest = pull_sum(weights, scene.signed, plan.clip_norm)
        noise = noise_std[:, None] * self._noise.standard_normal(honest.shape)
        uploads = honest + noise
        if plan.attackers:
            uploads[self.hostile] = self._attacked(weights, round_, honest, noise, noise_std)
        tail = sqrt(honest.shape[-1]) + sqrt(2 * log(1e6))
        return shorten(uploads, plan.clip_norm * scene.count + noise_std * tail)

    def _attacked(
        self,
        weights: FloatArray,
        round_: int,
        honest: FloatArray,
        noise: FloatArray,
        noise_std: FloatArray,
    ) -> FloatArray:
        hostile, plan = self.hostile, self.plan
        own = honest[hostile] + noise[hostile]
        stream = np.random.SeedSequence((self._seed, 7004, plan.schedule.draw(round_)))
        draws = np.random.default_rng(stream).random(len(hostile))[hostile]
        active = np.array([plan.schedule.active(round_, float(draw)) for draw in draws])
        sight = Sight(
            round_=round_,
            honest=honest[hostile],
            poisoned=pull_sum(weights, -self.scene.signed[hostile], plan.clip_norm),
            noise=noise[hostile],
            noise_std=noise_std[hostile],
            others=(honest + noise)[~hostile],
            course=np.add.reduce(self._first[hostile], axis=0) / plan.attackers,
            past=np.array(self._past).reshape(-1, *own.shape),
            clinics=len(hostile),
        )
        sent = np.where(active[:, None], self._attack(sight, self._rng), own)
        self._past.append(sent)
        return sent
