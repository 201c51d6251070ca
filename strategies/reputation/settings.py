"""The constants of the reputation model, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

TRUST_TOLERANCE = 1e-9
_SUM_TOLERANCE = 1e-9


class ReputationError(ValueError):
    """A reputation setting or an evidence array that cannot be used."""


@dataclass(frozen=True)
class ReputationSettings:
    """Constants of eqs. (1)-(4); the paper leaves all but kappa open.

    Attributes
    ----------
    positive_weight, negative_weight : float
        omega_1 and omega_2, which sum to 1.
    uncertainty : float
        kappa, the weight of having seen nothing.
    base_rate : float
        alpha, what uncertainty counts for; also the reputation of a newcomer.
    fading : float
        z in (0, 1): evidence of one slot ago weighs z.
    threshold : float
        theta: devices with R >= theta are trusted.
    window : int
        Y, slots remembered.
    """

    positive_weight: float = 0.4
    negative_weight: float = 0.6
    uncertainty: float = 1.0
    base_rate: float = 0.5
    fading: float = 0.8
    threshold: float = 0.5
    window: int = 50

    def __post_init__(self) -> None:
        """Refuse values outside the model.

        Raises
        ------
        ReputationError
            With one line: what, why, what to do.
        """
        omegas = (self.positive_weight, self.negative_weight)
        if min(omegas) <= 0 or abs(sum(omegas) - 1) > _SUM_TOLERANCE:
            raise ReputationError(
                f"weights omega {omegas[0]} and {omegas[1]} must be positive and sum to 1: "
                "use for example 0.4 and 0.6"
            )
        if not 0 < self.uncertainty < float("inf"):
            raise ReputationError(f"kappa is {self.uncertainty}: it must be above 0; use 1")
        if not 0 <= self.base_rate <= 1:
            raise ReputationError(f"alpha is {self.base_rate}: it must lie in 0..1")
        if not 0 < self.fading < 1:
            raise ReputationError(f"fading z is {self.fading}: it must lie between 0 and 1")
        if self.window < 1:
            raise ReputationError(f"window is {self.window} slots: it must be at least 1")
        if not 0 <= self.threshold <= self.base_rate:
            raise ReputationError(
                f"theta {self.threshold} is outside 0..alpha = {self.base_rate}: a newcomer's "
                "reputation is alpha, so above it nobody could start; lower theta or raise alpha"
            )

    def trusts(self, reputation: ArrayLike) -> NDArray[np.bool_]:
        """Return where ``R >= theta``, within 1e-9 so that a newcomer's rounding cannot matter."""
        return np.asarray(np.asarray(reputation) >= self.threshold - TRUST_TOLERANCE)
