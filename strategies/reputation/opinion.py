"""Opinions of subjective logic and their fading, as direct sums (eqs. 1-4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.reputation.settings import ReputationSettings

FloatArray = NDArray[np.float64]


class Opinion(NamedTuple):
    """Belief, disbelief and uncertainty, which sum to 1; arrays of one shape."""

    belief: FloatArray
    disbelief: FloatArray
    uncertainty: FloatArray

    def reputation(self, settings: ReputationSettings) -> FloatArray:
        """Return ``R = b + alpha u`` (eq. 1), in the shape of the opinion."""
        return self.belief + settings.base_rate * self.uncertainty


def opinion(positive: ArrayLike, negative: ArrayLike, settings: ReputationSettings) -> Opinion:
    """Turn counts of interactions into an opinion (eq. 2).

    Parameters
    ----------
    positive, negative : array_like, broadcastable
        p and q, at least 0; none of either is vacuous: uncertainty 1.
    settings : ReputationSettings

    Returns
    -------
    Opinion
        Of the broadcast shape.
    """
    for_it = settings.positive_weight * np.asarray(positive, dtype=np.float64)
    against = settings.negative_weight * np.asarray(negative, dtype=np.float64)
    total = for_it + against + settings.uncertainty
    return Opinion(for_it / total, against / total, settings.uncertainty / total)


def fading_weights(settings: ReputationSettings) -> FloatArray:
    """Return ``psi_y = z^(Y - y)``, oldest slot first, shape (Y,)."""
    return settings.fading ** np.arange(settings.window - 1, -1, -1, dtype=np.float64)


def faded(positive: ArrayLike, negative: ArrayLike, settings: ReputationSettings) -> Opinion:
    """Fade opinions over the last Y slots (eq. 3), as the direct sum.

    The weights are normalised by their sum over all Y slots: a slot that has not happened yet is
    vacuous. The mean of ``reputation`` over users is eq. (4).

    Parameters
    ----------
    positive, negative : array_like, shape (slots, ...)
        p and q a slot, oldest first; only the last Y slots count. The usual shape is
        (slots, devices, users).
    settings : ReputationSettings

    Returns
    -------
    Opinion
        Of shape (...).
    """
    recent = opinion(
        np.asarray(positive)[-settings.window :], np.asarray(negative)[-settings.window :], settings
    )
    weights = fading_weights(settings)
    total = weights.sum()
    used = weights[weights.size - recent.belief.shape[0] :]
    missing = (total - used.sum()) / total
    shares = (used / total).reshape(-1, *([1] * (recent.belief.ndim - 1)))
    belief, disbelief, uncertainty = ((shares * part).sum(axis=0) for part in recent)
    return Opinion(belief, disbelief, uncertainty + missing)
