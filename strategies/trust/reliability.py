"""How reliably a clinic answers: breaches lower a reputation and fade."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from strategies.trust.settings import FloatArray

FADING = 0.8
"""What evidence of one round ago still weighs."""
FORGOTTEN = 0.05
"""Evidence that has faded below it is dropped, so that an excluded newcomer is asked again."""
REJECTED = 10.0
"""Silences that a reply weighs which no honest client sends: a newcomer is out for 24 rounds."""


class Reliability:
    """Kept and broken deals of each clinic, as fading counts.

    The factor on a reputation is ``1 - b / (g + b + 1)`` with g deals kept and b broken: one breach
    halves a newcomer's reputation and shuts it out for 14 rounds, a clinic with a record of its
    own stays in for three in a row.
    """

    def __init__(self) -> None:
        self._counts: dict[str, tuple[float, float]] = {}

    def note(
        self, kept: Sequence[str], broken: Sequence[str], hostile: Collection[str] = ()
    ) -> None:
        """Let a round pass in which some kept to their deals and others did not.

        Parameters
        ----------
        kept, broken : sequence of str
            Who sent something usable, and who was asked and did not.
        hostile : collection of str
            Whose reply was rejected, of those who broke their deals: anybody may be cut off, but
            no honest client sends that.
        """
        faded = {}
        for name, (good, bad) in self._counts.items():
            left = bad * FADING
            faded[name] = (good * FADING, left if left >= FORGOTTEN else 0.0)
        for name in kept:
            good, bad = faded.get(name, (0.0, 0.0))
            faded[name] = (good + 1.0, bad)
        for name in broken:
            good, bad = faded.get(name, (0.0, 0.0))
            faded[name] = (good, bad + (REJECTED if name in hostile else 1.0))
        self._counts = faded

    def of(self, names: Sequence[str]) -> FloatArray:
        """Return the factor of clinics, shape (n,); 1 for who never broke a deal."""
        counts = [self._counts.get(name, (0.0, 0.0)) for name in names]
        return np.array([1.0 - bad / (good + bad + 1.0) for good, bad in counts])

    def state(self) -> dict[str, list[float]]:
        """Return the counts of each clinic, for a checkpoint."""
        return {name: [good, bad] for name, (good, bad) in self._counts.items()}

    def restore(self, state: Mapping[str, Sequence[float]]) -> None:
        """Continue from what :meth:`state` returned."""
        self._counts = {name: (float(good), float(bad)) for name, (good, bad) in state.items()}
