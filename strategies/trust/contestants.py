"""The rules of the tables as what :func:`strategies.trust.prototype.play` asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from strategies.trust.detector import Detector
from strategies.trust.known_noise import KnownNoiseDetector
from strategies.trust.noise_free import NoiseFreeDetector
from strategies.trust.prototype import Merge, Merged
from strategies.trust.rules import RULES, Rule
from strategies.trust.settings import FloatArray


def by_round(name: str, attackers: int) -> Merge:
    """Return a rule that looks at one round alone and is told the number of attackers."""
    rule: Rule = RULES[name]

    def merge(
        _: int, identities: Sequence[str], uploads: FloatArray, sizes: FloatArray, __: FloatArray
    ) -> Merged:
        directions = uploads / sizes[:, None]
        found = rule(directions, sizes / sizes.sum(), attackers)
        return Merged(found, np.ones(len(identities), dtype=np.bool_))

    return merge


def by_detector(detector: Detector) -> Merge:
    """Return the mean weighted by what a detector thinks of each clinic."""

    def merge(
        round_: int,
        identities: Sequence[str],
        uploads: FloatArray,
        sizes: FloatArray,
        noise: FloatArray,
    ) -> Merged:
        judged = detector.update(round_, identities, uploads, sizes, noise)
        kept = detector.clipped(uploads, sizes, noise)
        total = np.add.reduce(judged.honest * sizes)
        pulls = np.add.reduce(kept * judged.honest[:, None], axis=0)
        return Merged(pulls / max(total, 1e-9), judged.trusted(detector.settings.threshold))

    return merge


def likelihood(dimension: int, noisy: bool = True) -> Merge:
    """Return a new likelihood detector: of known noise, or the one without noise."""
    return by_detector(KnownNoiseDetector(dimension) if noisy else NoiseFreeDetector(dimension))
