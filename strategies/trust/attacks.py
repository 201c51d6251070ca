"""What malicious clinics upload, as pure functions of what they can see.

Every attack returns sums of descent directions, as honest clinics upload them; a client turns
one into a model by ``broadcast + eta u / m``. Attackers collude: they see each other's honest
uploads and, in the omniscient attacks, those of everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import ndtri

from strategies.trust.settings import FloatArray, TrustError

Attack = Callable[["Sight", np.random.Generator], FloatArray]

SCALE = 10.0
"""Factor of model replacement."""


@dataclass(frozen=True)
class Sight:
    """What f colluding attackers see before they upload in a round.

    Attributes
    ----------
    round_ : int
        The first is 1.
    honest : ndarray, shape (f, d)
        What each would upload honestly, before noise.
    poisoned : ndarray, shape (f, d)
        The same with the labels of its records flipped.
    noise : ndarray, shape (f, d)
        The noise each is to add.
    noise_std : ndarray, shape (f,)
        Its standard deviation; 0 without privacy.
    others : ndarray, shape (n, d)
        Noised uploads of honest clinics that they see; their own honest uploads (``honest +
        noise``) when they see nobody else's.
    course : ndarray, shape (d,)
        The mean of what each would upload honestly, before noise, at w = 0.
    past : ndarray, shape (T, f, d)
        What they uploaded so far.
    clinics : int
        V, as they believe.
    """

    round_: int
    honest: FloatArray
    poisoned: FloatArray
    noise: FloatArray
    noise_std: FloatArray
    others: FloatArray
    course: FloatArray
    past: FloatArray
    clinics: int

    @property
    def spread(self) -> FloatArray:
        """Return the standard deviation of each coordinate of the others' uploads, (d,)."""
        found: FloatArray = self.others.std(axis=0)
        return found

    @property
    def mean(self) -> FloatArray:
        """Return the mean of the others' uploads, shape (d,)."""
        found: FloatArray = np.add.reduce(self.others, axis=0) / len(self.others)
        return found


def label_flip(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Run the mechanism honestly on records with flipped labels (data poisoning)."""
    return sight.poisoned + sight.noise


def sign_flip(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Climb instead of descending, with the agreed noise."""
    return sight.noise - sight.honest


def scaled(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Upload ten times the reverse: model replacement (Bagdasaryan et al., 2020)."""
    return sight.noise - SCALE * sight.honest


def gaussian(sight: Sight, rng: np.random.Generator) -> FloatArray:
    """Upload noise alone, three times the size of the others' uploads (Blanchard et al., 2017)."""
    size = sqrt(float(np.mean(sight.others**2)))
    drawn: FloatArray = 3.0 * size * rng.standard_normal(sight.honest.shape)
    return drawn


def alie_quantile(clinics: int, attackers: int) -> float:
    """Return z_max of A-Little-Is-Enough: ``Phi^-1((n - f - s) / (n - f))``, at least .3.

    ``s = floor(n / 2 + 1) - f`` honest clinics have to side with the attackers (Baruch et al.,
    "A Little Is Enough", 2019, Alg. 3).
    """
    helpers = clinics // 2 + 1 - attackers
    share = (clinics - attackers - helpers) / max(clinics - attackers, 1)
    return max(0.3, float(ndtri(min(max(share, 0.0), 0.99))))


def alie(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Upload, all of them, ``mean - z std`` with z of at least 1.5 (Baruch et al., 2019).

    Their z_max makes a median side with the attackers; 1.5 is what they use in practice.
    """
    z = max(1.5, alie_quantile(sight.clinics, len(sight.honest)))
    return np.tile(sight.mean - z * sight.spread, (len(sight.honest), 1))


def in_noise_shift(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Hide half a deviation against the course in one's own noise: ALIE that knows of the noise."""
    return sight.honest + sight.noise - 0.5 * sight.spread * np.sign(sight.course)


def inner_product(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Upload, all of them, ``-mean / 2`` (Xie et al., "Fall of Empires", 2020, epsilon .5)."""
    return np.tile(-0.5 * sight.mean, (len(sight.honest), 1))


def inner_product_noised(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Upload minus the mean, with the agreed noise: Xie et al. with epsilon 1."""
    return sight.noise - sight.mean


def free_rider(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Upload the broadcast as it came, with the agreed noise: the model is stale."""
    return sight.noise


def copies(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Upload one poisoned update many times: the same records and noise under many names."""
    return np.tile(sight.noise[0] - sight.honest[0], (len(sight.honest), 1))


def replay(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Upload again and again what was uploaded first, a poisoned update."""
    return sight.past[0] if len(sight.past) else sight.noise - sight.honest


def drift(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Start honestly and leave the course by a fifth of a deviation more in every round."""
    away = 0.2 * (sight.round_ - 1) * sight.spread * np.sign(sight.course)
    return sight.honest + sight.noise - away


def aware(sight: Sight, step: float) -> FloatArray:
    """Go against the course by ``step`` deviations in all a round, with fresh noise."""
    length = float(np.sqrt(np.add.reduce(sight.course**2)))
    shift = step * sight.noise_std[:, None] * sight.course / max(length, 1e-12)
    return sight.honest + sight.noise - shift


def aware_patient(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Stay under the drift gate for ten rounds: .6 deviations a round along the course."""
    return aware(sight, 0.6)


def aware_early(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Use that the drift gate sleeps for three rounds: 2.5 deviations in them, then .4."""
    return aware(sight, 2.5 if 1 < sight.round_ < 4 else 0.4)  # noqa: PLR2004


def aware_late(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Be honest until the last round is near, then go 2.5 deviations against the course."""
    return aware(sight, 2.5 if sight.round_ >= 9 else 0.0)  # noqa: PLR2004


def aware_absent(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Learn half as much as one should: between honest and a free rider."""
    return 0.4 * sight.honest + sight.noise


def aware_split(sight: Sight, _: np.random.Generator) -> FloatArray:
    """Take turns: half of them go 2 deviations against the course, the others rest."""
    turn = (np.arange(len(sight.honest)) + sight.round_) % 2
    away = aware(sight, 2.0)
    return np.where(turn[:, None] == 0, away, sight.honest + sight.noise)


ATTACKS: dict[str, Attack] = {
    "label-flip": label_flip,
    "sign-flip": sign_flip,
    "scaled": scaled,
    "gaussian": gaussian,
    "alie": alie,
    "in-noise-shift": in_noise_shift,
    "ipm": inner_product,
    "ipm-noised": inner_product_noised,
    "free-rider": free_rider,
    "copies": copies,
    "replay": replay,
    "drift": drift,
}
"""The twelve attacks of the tables."""

GATE_AWARE: dict[str, Attack] = {
    "aware-patient": aware_patient,
    "aware-early": aware_early,
    "aware-late": aware_late,
    "aware-absent": aware_absent,
    "aware-split": aware_split,
}
"""Attackers that know the detector and its thresholds, for a run of ten rounds."""


def attack_named(name: str) -> Attack:
    """Return an attack by its name.

    Raises
    ------
    TrustError
        For an unknown name.
    """
    known = {**ATTACKS, **GATE_AWARE}
    if name not in known:
        raise TrustError(f"unknown attack {name!r}: use one of {', '.join(known)}")
    return known[name]
