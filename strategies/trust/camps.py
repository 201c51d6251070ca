"""Colluders who hide in the noise: several clinics that stray the same way.

One clinic that shifts its updates by half a deviation cannot be told from an unlucky one; six
that shift alike can. Over a window of rounds the honest sums of residuals lie around one
centre, colluders around another, both unknown; two camps are believed only when they explain
the sums much better than one.
"""

from __future__ import annotations

from math import log

import numpy as np

from strategies.trust.drift import Windows
from strategies.trust.settings import BoolArray, FloatArray

CAMP = 0.15
"""Prior of belonging to the other camp."""
_GAIN, _GAIN_EACH = 6.0, 0.95
"""Log-likelihood that a second camp must gain, and more for each dimension: honest clinics reach
it in one window of 1,000 (simulated with 10 to 50 clinics and 4 to 30 dimensions)."""
_STEPS, _STARTS = 7, 10
_PAIR = 2
_HALF = 0.5
_PRIOR = log(CAMP) - log(1.0 - CAMP)


def camp_gate(found: Windows, honest: FloatArray) -> BoolArray:
    """Return who belongs to a second camp in any window, shape (V,).

    Parameters
    ----------
    found : Windows
        Sums of residuals.
    honest : ndarray, shape (V,)
        p; the camp with less of it is the other one. Clinics with p = 0 are left out.
    """
    shut = np.zeros(honest.shape, dtype=np.bool_)
    used = found.full & (honest > 0)
    enough = np.add.reduce(used, axis=-1) > 2 * _PAIR
    if not enough.any():
        return shut
    used = used[enough]
    other, gain = second_camp(found.sums[enough], found.variance[enough], used)
    sure = (other > _HALF) & used
    sizes = np.add.reduce(sure, axis=-1), np.add.reduce(used & ~sure, axis=-1)
    believed = (gain > _GAIN + _GAIN_EACH * found.sums.shape[-1]) & (np.minimum(*sizes) >= _PAIR)
    for window in np.flatnonzero(believed):
        here = used[window]
        theirs = np.add.reduce((other[window] * honest)[here])
        ours = np.add.reduce(((1.0 - other[window]) * honest)[here])
        shut |= here & ((other[window] < _HALF) if theirs > ours else (other[window] > _HALF))
    return shut


def second_camp(
    sums: FloatArray, variance: FloatArray, used: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return each clinic's posterior of the other camp and what that camp gains.

    EM for ``.85 N(c, v_i) + .15 N(k, v_i)`` from c the weighted mean and k each of the ten
    farthest sums, in all windows at once.

    Parameters
    ----------
    sums : ndarray, shape (W, n, d)
    variance : ndarray, shape (W, n)
    used : ndarray of bool, shape (W, n)
        Whose sums count.

    Returns
    -------
    other : ndarray, shape (W, n)
    gain : ndarray, shape (W,)
        Log-likelihood over that of one camp.
    """
    precision = np.where(used, 1.0 / variance, 0.0)
    own = np.add.reduce(sums * sums, axis=-1)
    alone = _centres(np.ones((len(sums), 1, sums.shape[1])), sums, precision)
    apart = _distance(sums, own, alone)[:, 0] * precision
    single = -0.5 * np.add.reduce(apart, axis=-1)
    farthest = np.argsort(-apart, axis=-1, kind="stable")[:, :_STARTS]
    far = np.take_along_axis(sums, farthest[..., None], axis=1)
    near = np.broadcast_to(alone, far.shape)
    half = 0.5 * precision[:, None, :]
    for _ in range(_STEPS):
        ours = -half * _distance(sums, own, near)
        lead = _PRIOR - half * _distance(sums, own, far) - ours
        each = np.logaddexp(0.0, lead)
        other = np.exp(lead - each)
        near = _centres(1.0 - other, sums, precision)
        far = _centres(other, sums, precision)
    total = np.add.reduce(np.where(used[:, None, :], ours + each, 0.0), axis=-1)
    total = total + log(1.0 - CAMP) * np.add.reduce(used, axis=-1)[:, None]
    best = np.argmax(total, axis=-1)
    window = np.arange(len(sums))
    return other[window, best], total[window, best] - single


def _distance(sums: FloatArray, own: FloatArray, centres: FloatArray) -> FloatArray:
    # A camp is a yes or no in the end: here the order in which BLAS sums does not matter.
    middle = np.add.reduce(centres * centres, axis=-1)[..., None]
    squares: FloatArray = own[:, None, :] + middle - 2.0 * (centres @ sums.transpose(0, 2, 1))
    return squares


def _centres(posterior: FloatArray, sums: FloatArray, precision: FloatArray) -> FloatArray:
    weights = posterior * precision[:, None, :]
    total = np.maximum(np.add.reduce(weights, axis=-1), 1e-12)
    centres: FloatArray = (weights @ sums) / total[..., None]
    return centres
