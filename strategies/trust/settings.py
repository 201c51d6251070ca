"""The constants of trust under noise, checked."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_MAJORITY = 0.5


class TrustError(ValueError):
    """A trust setting, or an upload handed to a detector, that cannot be used."""


@dataclass(frozen=True)
class TrustSettings:
    """What the detector assumes of honest clinics; the defaults were chosen on BCWD.

    Attributes
    ----------
    clip_norm : float
        C, bound on one unit's contribution to an upload.
    learning_rate : float
        Of the federation; how fast the honest direction shrinks.
    shard_spread : float
        How far one coordinate of an honest sum lies from its expectation, in units of
        ``C sqrt(m)``: shards differ as samples do. 0.223 is 0.35 at m = 27, C = 0.3.
    gate_spread : float
        The same as the drift gate allows for it: 0.32 is 0.5 at m = 27, C = 0.3.
    prior_honest : float
        Prior of the honest component; the rest is shared by flipped, absent and gross.
    gross : float
        Variance of the gross component over that of the others.
    steps : int
        EM steps from each start.
    starts : int
        Most starts; with more clinics than that they are spread over the identities.
    clip_share : float
        Share of ``m C`` that an honest sum may reach.
    threshold : float
        theta: who has R >= theta is trusted.
    """

    clip_norm: float = 0.3
    learning_rate: float = 3.0
    shard_spread: float = 0.223
    gate_spread: float = 0.32
    prior_honest: float = 0.7
    gross: float = 9.0
    steps: int = 6
    starts: int = 33
    clip_share: float = 0.95
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values outside the model.

        Raises
        ------
        TrustError
            With one line: what, why, what to do.
        """
        for name in ("clip_norm", "learning_rate", "gross", "clip_share"):
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise TrustError(f"{name} is {value}: it must be a finite number above 0")
        for name in ("shard_spread", "gate_spread"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise TrustError(f"{name} is {value}: it must be a finite number, at least 0")
        if not _MAJORITY < self.prior_honest < 1:
            raise TrustError(
                f"prior_honest is {self.prior_honest}: it must lie between 0.5 and 1, as nothing "
                "can be told when the honest are no majority"
            )
        if self.steps < 1 or self.starts < 1:
            raise TrustError(f"{self.steps} steps from {self.starts} starts: both must be above 0")
        if not 0 <= self.threshold <= _MAJORITY:
            raise TrustError(
                f"theta {self.threshold} is outside 0..0.5: a newcomer has 0.5, so above it "
                "nobody could start"
            )

    def spread(self, sizes: FloatArray) -> FloatArray:
        """Return h, the standard deviation of one coordinate of an honest shard's mean.

        Parameters
        ----------
        sizes : ndarray, shape (...)
            m, units of each clinic.
        """
        found: FloatArray = self.shard_spread * self.clip_norm / np.sqrt(sizes)
        return found

    def decay(self, rounds: IntArray) -> FloatArray:
        """Return gamma, the expected size of the direction relative to that at w = 0.

        Parameters
        ----------
        rounds : ndarray of int, shape (...)
            Rounds, the first is 1.
        """
        shrunk: FloatArray = 0.2 + 0.8 * np.exp(-self.learning_rate * (rounds - 1.0) / 3.0)
        return shrunk
