"""Clipped per-unit hinge gradients, over any leading axes (seeds, eps, clinics).

Sums run in order over an axis that is never the innermost one, as in
:mod:`strategies.learning.linear_svm`, so that one clinic alone and a thousand stacked give the
same bits.
"""

import numpy as np

from strategies.privacy.units import FloatArray


def unit_pulls(weights: FloatArray, signed: FloatArray, clip_norm: float) -> FloatArray:
    """Return each unit's negative hinge subgradient, clipped to ``clip_norm``.

    ``sum_r y_r x_r [y_r <w, x_r> < 1]`` over the records of a unit, then scaled into the ball
    of radius C (Abadi et al., "Deep Learning with Differential Privacy", 2016, Alg. 1).

    Parameters
    ----------
    weights : ndarray, shape (..., d)
        The model.
    signed : ndarray, shape (..., units, records, d)
        Records times their labels, zero rows for padding.
    clip_norm : float
        C, bound on one unit's contribution.

    Returns
    -------
    ndarray, shape (..., units, d)
    """
    margins = np.add.reduce(signed * weights[..., None, None, :], axis=-1)
    violating = margins < 1.0
    pulls: FloatArray = np.add.reduce(signed * violating[..., None], axis=-2)
    norms = np.sqrt(np.add.reduce(pulls * pulls, axis=-1))
    clipped: FloatArray = pulls * (clip_norm / np.maximum(norms, clip_norm))[..., None]
    return clipped


def pull_sum(
    weights: FloatArray, signed: FloatArray, clip_norm: float, taken: FloatArray | None = None
) -> FloatArray:
    """Return the sum of the clipped pulls, shape (..., d); its sensitivity is 2C (replace-one).

    Parameters
    ----------
    weights, signed, clip_norm
        As in :func:`unit_pulls`.
    taken : ndarray, shape (..., units), optional
        1 for each unit that Poisson sampling took into this step, 0 for the others.
    """
    pulls = unit_pulls(weights, signed, clip_norm)
    if taken is not None:
        pulls = pulls * taken[..., None]
    total: FloatArray = np.add.reduce(pulls, axis=-2)
    return total


def merge(uploads: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the weighted average ``sum_i pi_i w_i`` (eq. 6) of uploads (..., clinics, d)."""
    merged: FloatArray = np.add.reduce(uploads * shares[..., None], axis=-2)
    return merged
