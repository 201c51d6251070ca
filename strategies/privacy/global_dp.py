"""Global differential privacy by clip-then-noise and server fine-tuning (nominal).

M. Letafati and S. Otoum, "Global Differential Privacy for Distributed Metaverse Healthcare
Systems", eqs. 8-14, as corrected in docs/privacy.md: eq. 10 is used with E where it prints T,
and eq. 13 in the general form that unequal shards need. The eps of this file is the paper's,
*nominal*; :mod:`strategies.privacy.certificate` says what the same noise certifies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log, sqrt

import numpy as np
from numpy.typing import NDArray

READINGS = ("std", "variance")


@dataclass(frozen=True)
class GlobalDP:
    """Public calibration of the protocol.

    Parameters
    ----------
    epsilon, delta : float
        The paper's nominal guarantee; ``epsilon > 0`` finite, ``0 < delta < 1``.
    clip_norm : float
        B, the bound on the norm of an uploaded model (eq. 8).
    rounds : int
        T, how many times the model is broadcast.
    exposures : int
        E <= T, how many uploads an eavesdropper is assumed to overhear.
    reading : str
        Whether N(0, sigma I) of eqs. 10 and 14 reads sigma as ``std`` (eq. 4) or ``variance``.

    Raises
    ------
    ValueError
        With the offending value, when one of these does not hold.
    """

    epsilon: float
    delta: float
    clip_norm: float
    rounds: int
    exposures: int
    reading: str = "std"

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        if not (isfinite(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"epsilon must be a finite number above 0, got {self.epsilon}")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must lie strictly between 0 and 1, got {self.delta}")
        if not (isfinite(self.clip_norm) and self.clip_norm > 0):
            raise ValueError(f"clip norm must be a finite number above 0, got {self.clip_norm}")
        if not 1 <= self.exposures <= self.rounds:
            raise ValueError(
                f"exposures must lie between 1 and the rounds {self.rounds}, got {self.exposures}"
            )
        if self.reading not in READINGS:
            raise ValueError(f"reading must be one of {READINGS}, got {self.reading!r}")

    @property
    def constant(self) -> float:
        """Return c = sqrt(2 ln(1.25 / delta)) of eq. 4."""
        return sqrt(2 * log(1.25 / self.delta))

    def claimed_sensitivity(self, smallest_shard: int) -> float:
        """Return S = 2B/m of eq. 9; *not* a bound for every trainer, see the certificate."""
        return 2 * self.clip_norm / _positive(smallest_shard, "smallest shard")

    def upload_noise_std(self, smallest_shard: int) -> float:
        """Return the standard deviation a clinic adds to each coordinate (eq. 10, sigma_1).

        ``c E S / eps`` itself, or its square root in the variance reading.
        """
        scale = (
            self.constant * self.exposures * self.claimed_sensitivity(smallest_shard) / self.epsilon
        )
        return scale if self.reading == "std" else sqrt(scale)

    def broadcast_noise_std(self, smallest_shard: int, sizes: Sequence[float]) -> float:
        """Return the standard deviation the server tops up (eqs. 13-14, sigma_2).

        Parameters
        ----------
        smallest_shard : int
            m, fixed at enrolment.
        sizes : sequence of float
            |D_i| of the replies that were averaged; pi_i = sizes_i / sum(sizes).

        Notes
        -----
        ``sigma_2^2 = max(0, sigma^2 - sigma_1^2 sum pi_i^2)`` with ``sigma = c T S_b / eps``
        and ``S_b = max_i 2 B pi_i / m``; equal shards give eq. 13. The difference is formed
        from the sizes before any rounding, so it is 0 exactly when
        ``T <= E sqrt(sum pi_i^2) / max pi_i`` (std reading, whole numbers of records).
        """
        if not sizes or min(sizes) <= 0:
            raise ValueError("sizes must be one positive number for each averaged reply")
        counts = _exact(sizes)
        total, largest = sum(counts), max(counts)
        squares = sum(count * count for count in counts)
        unit = self.constant * self.claimed_sensitivity(smallest_shard) / self.epsilon
        if self.reading == "std":
            excess = self.rounds**2 * largest**2 - self.exposures**2 * squares
            return unit * sqrt(excess) / total if excess > 0 else 0.0
        variance = unit * (self.rounds * largest * total - self.exposures * squares) / total**2
        return sqrt(variance) if variance > 0 else 0.0


def clip(weights: NDArray[np.float64], clip_norm: float) -> NDArray[np.float64]:
    """Scale each vector of shape (..., d) into the ball of radius ``clip_norm`` (eq. 8)."""
    norm = np.sqrt(np.add.reduce(weights * weights, axis=-1))
    clipped: NDArray[np.float64] = weights / np.maximum(1.0, norm / clip_norm)[..., None]
    return clipped


def _positive(value: int, name: str) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


def _exact(sizes: Sequence[float]) -> list[int] | list[float]:
    # Python's whole numbers do not round, however many records and rounds there are.
    whole = [int(size) for size in sizes]
    return whole if whole == list(sizes) else [float(size) for size in sizes]
