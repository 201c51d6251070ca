"""What a detector says of the clinics: how likely honest, an opinion, a reputation, a reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.trust.reasons import Reason
from strategies.trust.settings import BoolArray, FloatArray

BASE_RATE = 0.5
_DISTANCE = 8.0


@dataclass(frozen=True)
class Judgement:
    """A verdict on each clinic of a round, in the order in which they were passed.

    The opinion is one of subjective logic (Josang, "Subjective Logic", 2016).

    Attributes
    ----------
    identities : tuple of str
    honest : ndarray, shape (n,)
        p, 0 for a clinic that a gate shut: what its weight is multiplied by.
    belief, disbelief, uncertainty : ndarray, shape (n,)
        They sum to 1; a newcomer is all uncertainty.
    reasons : tuple of Reason
        Why a clinic is below one half; empty for the others.
    """

    identities: tuple[str, ...]
    honest: FloatArray
    belief: FloatArray
    disbelief: FloatArray
    uncertainty: FloatArray
    reasons: tuple[Reason, ...]

    @property
    def reputation(self) -> FloatArray:
        """Return ``R = b + u / 2``, shape (n,)."""
        found: FloatArray = self.belief + BASE_RATE * self.uncertainty
        return found

    def trusted(self, threshold: float = 0.5) -> BoolArray:
        """Return where ``R >= theta``, shape (n,)."""
        return np.asarray(self.reputation >= threshold - 1e-9)


def judge(
    identities: tuple[str, ...],
    honest: FloatArray,
    separation: FloatArray,
    reasons: tuple[Reason, ...],
) -> Judgement:
    """Form opinions: ``u = exp(-D^2 / 8)``, ``b = p (1 - u)``, ``d = (1 - p) (1 - u)``.

    Parameters
    ----------
    identities : tuple of str
    honest : ndarray, shape (n,)
        p.
    separation : ndarray, shape (n,)
        ``D = ||M|| / tau``, how many deviations honest lies from absent.
    reasons : tuple of Reason
    """
    unsure = np.exp(-(separation**2) / _DISTANCE)
    return Judgement(
        identities, honest, honest * (1 - unsure), (1 - honest) * (1 - unsure), unsure, reasons
    )
