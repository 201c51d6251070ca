"""What a round adds to accounts; apart from them, for they need SQLAlchemy."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class UploadCost:
    """What one merged upload costs its sender, and a noised rating of the same round.

    Parameters
    ----------
    mu : float, optional
        Gaussian-DP parameter against the server, from a proven sensitivity.
    sampled : tuple, optional
        Of an upload by DP-SGD, whose mu is then only that of the rating: noise multiplier, sample
        rate and steps.
    """

    mu: float | None = None
    sampled: tuple[float, float, int] | None = None


@dataclass(frozen=True)
class Charges:
    """What a round adds to accounts, by identity.

    Parameters
    ----------
    payments : mapping of str to int
        Micro-credits.
    uploads : mapping of str to UploadCost
        Noised uploads that were merged.
    evidence : mapping of str to sequence of (int, int)
        Users for and against in the last slots, oldest first.
    """

    payments: Mapping[str, int] = field(default_factory=dict)
    uploads: Mapping[str, UploadCost] = field(default_factory=dict)
    evidence: Mapping[str, list[tuple[int, int]]] = field(default_factory=dict)
