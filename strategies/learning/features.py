"""Feature maps: raw attributes to the vectors an SVM sees, with the bias as one more feature.

Every map is a fixed function of public bounds, never of the records: a map fitted on the
data would be a release of its own that no guarantee here accounts for.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

FEATURE_MAPS = ("raw", "scaled", "log")


@dataclass(frozen=True)
class FeatureMap:
    """Map attributes in ``[low, high]`` to features and append a constant for the bias.

    Parameters
    ----------
    name : str
        ``raw``: unchanged; ``scaled``: onto [-1, 1], on BCWD ``(x - 5.5) / 4.5``; ``log``:
        ``2 log10(u) - 1`` with ``u = 1 + 9 (x - low) / (high - low)``, on BCWD
        ``2 log10(x) - 1``, also onto [-1, 1].
    low, high : tuple of float
        Public bounds of each attribute, length d; values beyond them are clamped except by
        ``raw``.
    bias : float
        Value of the appended constant feature.
    scale : float
        Every feature but the bias is multiplied by it.

    Raises
    ------
    ValueError
        For an unknown name or bounds that are not ordered.
    """

    name: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    bias: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what would map to nothing."""
        if self.name not in FEATURE_MAPS:
            raise ValueError(f"unknown feature map {self.name!r}: use one of {FEATURE_MAPS}")
        if len(self.low) != len(self.high) or not all(
            lo < hi for lo, hi in zip(self.low, self.high, strict=True)
        ):
            raise ValueError("feature bounds must satisfy low < high for every attribute")

    @property
    def dimension(self) -> int:
        """Length of a feature vector, the bias included."""
        return len(self.low) + 1

    def __call__(self, attributes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map attributes of shape (..., d) to features of shape (..., d + 1)."""
        low, high = np.asarray(self.low), np.asarray(self.high)
        if self.name == "raw":
            mapped = np.asarray(attributes, dtype=np.float64)
        else:
            clamped = np.clip(attributes, low, high)
            if self.name == "scaled":
                mapped = (clamped - (low + high) / 2) / ((high - low) / 2)
            else:
                mapped = 2 * np.log10(1 + 9 * (clamped - low) / (high - low)) - 1
        bias = np.full((*mapped.shape[:-1], 1), self.bias)
        return np.concatenate([mapped * self.scale, bias], axis=-1)

    def norm_bound(self) -> float:
        """Return a bound on the norm of every feature vector, whatever the record.

        Infinite for ``raw``, which does not clamp.
        """
        if self.name == "raw":
            return float("inf")
        return sqrt(len(self.low) * self.scale**2 + self.bias**2)
