"""The known-noise likelihood detector: reputation that works on noised updates.

Local noise hides one record, not a clinic. Its variance is public, so that every clinic is
judged by a likelihood over its whole noised history: post-processing, which costs no privacy.
That histories tell what rounds cannot is Karimireddy et al., "Learning from History", 2021, and
Allen-Zhu et al., "Byzantine-Resilient Non-Convex SGD", 2021; to use the known noise is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from strategies.trust.camps import camp_gate
from strategies.trust.detector import Detector, Verdict
from strategies.trust.drift import drift_gate, windows
from strategies.trust.evidence import clip_uploads, gather, level
from strategies.trust.gates import copy_gate, energy_gate, replay_gate, twin_gate, twins_of
from strategies.trust.judgement import Judgement
from strategies.trust.mixture import fit
from strategies.trust.reasons import Reason
from strategies.trust.residuals import residuals
from strategies.trust.settings import BoolArray, FloatArray, IntArray, TrustError


class KnownNoiseDetector(Detector):
    """Judge clinics by all that they uploaded, given the noise they were to add."""

    def update(
        self,
        round_: int,
        identities: Sequence[str],
        uploads: FloatArray,
        sizes: ArrayLike,
        noise_std: ArrayLike,
    ) -> Judgement:
        """Take in a round and judge those who uploaded; the noise must be above 0."""
        if not (np.asarray(noise_std) > 0).all():
            raise TrustError(
                "noise_std must be above 0 for each clinic: without noise use NoiseFreeDetector"
            )
        return super().update(round_, identities, uploads, sizes, noise_std)

    def clipped(self, uploads: FloatArray, sizes: FloatArray, noise: FloatArray) -> FloatArray:
        """Return uploads no longer than ``.95 m C + sd sqrt(chi2_d(.9999))``."""
        return clip_uploads(uploads, sizes, noise, self.settings)

    def _copied_in(self, place: int) -> BoolArray:
        return twins_of(self._history, place)

    def _judge(self, columns: IntArray) -> Verdict:
        del columns
        evidence = gather(self._history, self.settings)
        twins = self._copied_ever() | twin_gate(self._history)
        found = fit(evidence.without(twins), self.settings)
        honest = np.where(twins, 0.0, found.honest)
        if not self._history.present.all():
            evidence = level(evidence, self._history, honest, found.centre, self.settings)
            found = fit(evidence.without(twins), self.settings)
            honest = np.where(twins, 0.0, found.honest)
        left = residuals(self._history, honest, found.centre, self.settings)
        spread = self.settings.spread(self._history.sizes) * self._history.sizes
        shards = np.where(left.counted, spread / left.noise, 0.0)
        gates = {
            Reason.COPY: twins | copy_gate(left),
            Reason.ENERGY: energy_gate(left, shards),
            Reason.REPLAY: replay_gate(left, shards),
        }
        honest = np.where(np.logical_or.reduce(list(gates.values())), 0.0, honest)
        gates[Reason.DRIFT] = drift_gate(self._history, honest, found.centre, self.settings)
        honest = np.where(gates[Reason.DRIFT], 0.0, honest)
        left = residuals(self._history, honest, found.centre, self.settings)
        camps = windows(left, self._history.sizes, self.settings)
        gates[Reason.CAMP] = camp_gate(camps, honest)
        length = np.sqrt(np.add.reduce(found.centre**2))
        return Verdict(found.honest, length / np.sqrt(evidence.variance), gates)
