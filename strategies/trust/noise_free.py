"""The detector where updates carry no noise: shards differ, nothing else does.

Without known noise the variance has to be learned from the clinics themselves. EM starts at the
multi-Krum mean, which already lies among the honest; multi-Krum alone is a good default.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from strategies.trust.detector import Detector, Verdict
from strategies.trust.evidence import shorten
from strategies.trust.history import History
from strategies.trust.judgement import Judgement
from strategies.trust.mixture import posterior_of
from strategies.trust.reasons import Reason
from strategies.trust.rules import mean, multi_krum
from strategies.trust.settings import BoolArray, FloatArray, IntArray, TrustSettings

_SAME = 1e-9
_SHRUNK = 3.0
_FEW = 3
_LEAST = 1e-18


class NoiseFreeDetector(Detector):
    """Judge clinics by all that they uploaded without noise; ``noise_std`` is not used."""

    def update(
        self,
        round_: int,
        identities: Sequence[str],
        uploads: FloatArray,
        sizes: ArrayLike,
        noise_std: ArrayLike = 0.0,
    ) -> Judgement:
        """Take in a round and judge those who uploaded; see :meth:`Detector.update`."""
        return super().update(round_, identities, uploads, sizes, 0.0 * np.asarray(noise_std))

    def clipped(self, uploads: FloatArray, sizes: FloatArray, noise: FloatArray) -> FloatArray:
        """Return uploads no longer, per unit, than twice their median length."""
        del noise
        lengths = _lengths(uploads / sizes[:, None])
        bound = 2.0 * float(np.median(lengths)) if len(lengths) else 0.0
        return shorten(uploads, bound * sizes)

    def _judge(self, columns: IntArray) -> Verdict:
        del columns
        direction = gather(self._history, self.settings)
        gates: dict[Reason, BoolArray] = {
            Reason.COPY: self._copied_ever(),
            Reason.REPLAY: _repeats(self._history),
            Reason.ZERO: np.asarray(~self._history.uploads.any(axis=(0, 2))),
        }
        # Whoever a gate shut is left out: six equal uploads are what multi-Krum likes best.
        left = ~np.logical_or.reduce(list(gates.values()))
        honest, separation = np.zeros(left.shape), 0.0
        if left.any():
            honest[left], separation = fit_unknown(direction[left], self.settings)
        return Verdict(honest, np.full(honest.shape, separation), gates)

    def _copied_in(self, place: int) -> BoolArray:
        return _copies_of(self._history, place)


def gather(history: History, settings: TrustSettings) -> FloatArray:
    """Return ``X = sum u_t / (m sum gamma_t)``, shape (V, d): all rounds count alike, a_t = 1."""
    expected = np.where(history.present, settings.decay(history.rounds)[:, None], 0.0)
    total = np.add.reduce(expected, axis=0) * history.sizes
    found: FloatArray = np.add.reduce(history.uploads, axis=0) / total[:, None]
    return found


def fit_unknown(direction: FloatArray, settings: TrustSettings) -> tuple[FloatArray, float]:
    """Run EM from the multi-Krum mean with ``v = 2 median ||X - M||^2 / d``.

    Multi-Krum is asked for as many attackers as it can stand, ``f = (V - 3) / 2``.

    Parameters
    ----------
    direction : ndarray, shape (V, d)
    settings : TrustSettings

    Returns
    -------
    honest : ndarray, shape (V,)
        p.
    separation : float
        ``||M|| / sqrt(v)``.
    """
    clinics, dimension = direction.shape
    centre = multi_krum(direction, np.full(clinics, 1.0 / clinics), max(0, (clinics - _FEW) // 2))
    honest, variance = np.full(clinics, settings.prior_honest), 1.0
    for step in range(settings.steps + 1):
        if step:
            centre = mean(direction, honest)
        apart = direction - centre
        typical = float(np.median(np.add.reduce(apart * apart, axis=-1)))
        variance = max(2.0 * typical / dimension, _LEAST)
        each = np.full((1, clinics), variance)
        honest = posterior_of(centre[None, :], direction, each, settings)[0][0]
    return honest, float(np.sqrt(np.add.reduce(centre**2) / variance))


def _copies_of(history: History, place: int) -> BoolArray:
    """Return who uploaded the same as another clinic in a round, by its place; zeros aside."""
    columns = np.flatnonzero(history.present[place])
    perceived = history.uploads[place, columns] / history.sizes[columns, None]
    apart = perceived[:, None, :] - perceived[None, :, :]
    distance = np.sqrt(np.add.reduce(apart * apart, axis=-1))
    length = _lengths(perceived)
    same = (distance <= _SAME * length[:, None]) & (length > 0)[:, None]
    np.fill_diagonal(same, val=False)
    found = np.zeros(history.sizes.size, dtype=np.bool_)
    found[columns] = same.any(axis=1)
    return found


def _repeats(history: History) -> BoolArray:
    """Return who uploaded what it uploaded when updates were three times as long.

    A repeat alone can be honest: the records within the margin may stay the same for rounds.
    """
    present = history.present
    perceived = history.uploads / history.sizes[:, None]
    lengths = _lengths(perceived)
    typical = np.array([np.median(row[here]) for row, here in zip(lengths, present, strict=True)])
    early = typical >= _SHRUNK * typical[-1]
    change = _lengths(perceived - perceived[-1])
    same = (change <= _SAME * lengths[-1]) & present & present[-1] & (lengths[-1] > 0)
    repeats: BoolArray = (same & early[:, None]).any(axis=0)
    return repeats


def _lengths(vectors: FloatArray) -> FloatArray:
    found: FloatArray = np.sqrt(np.add.reduce(vectors * vectors, axis=-1))
    return found
