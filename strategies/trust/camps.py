"""Colluders who hide in the noise: several clinics that stray the same way.

One clinic that shifts its updates by half a deviation cannot be told from an unlucky one; six
that shift alike can. Over a window of rounds the honest sums of residuals lie around one
centre, colluders around another, both unknown; two camps are believed only when they explain
the sums much better than one.
"""

from __future__ import annotations

import numpy as np

from strategies.trust.drift import Window
from strategies.trust.settings import BoolArray, FloatArray

CAMP = 0.15
"""Prior of belonging to the other camp."""
_GAIN, _GAIN_EACH = 6.0, 0.95
"""Log-likelihood that a second camp must gain, and more for each dimension: honest clinics reach
it in one window of 1,000 (simulated with 10 to 50 clinics and 4 to 30 dimensions)."""
_STEPS, _STARTS = 7, 10
_PAIR = 2
_HALF = 0.5


def camp_gate(window: Window, honest: FloatArray) -> BoolArray:
    """Return who belongs to a second camp in a window, shape (V,).

    Parameters
    ----------
    window : Window
        Sums of residuals.
    honest : ndarray, shape (V,)
        p; the camp with less of it is the other one. Clinics with p = 0 are left out.
    """
    shut = np.zeros(honest.shape, dtype=np.bool_)
    used = np.flatnonzero(window.full & (honest > 0))
    if used.size <= 2 * _PAIR:
        return shut
    other, gain = second_camp(window.sums[used], window.variance[used])
    sizes = np.add.reduce(other > _HALF), np.add.reduce(other <= _HALF)
    if gain <= _GAIN + _GAIN_EACH * window.sums.shape[-1] or min(sizes) < _PAIR:
        return shut
    weight = honest[used]
    if np.add.reduce(other * weight) > np.add.reduce((1.0 - other) * weight):
        other = 1.0 - other
    shut[used] = other > _HALF
    return shut


def second_camp(sums: FloatArray, variance: FloatArray) -> tuple[FloatArray, float]:
    """Return each clinic's posterior of the other camp and what that camp gains.

    EM for ``.85 N(c, v_i) + .15 N(k, v_i)`` from c the weighted mean and k each of the ten
    farthest sums.

    Parameters
    ----------
    sums : ndarray, shape (n, d)
    variance : ndarray, shape (n,)

    Returns
    -------
    other : ndarray, shape (n,)
    gain : float
        Log-likelihood over that of one camp.
    """
    precision = 1.0 / variance
    alone = np.add.reduce(precision[:, None] * sums, axis=0) / np.add.reduce(precision)
    single = -0.5 * np.add.reduce(_distance(sums, alone[None, :])[0] * precision)
    farthest = np.argsort(-_distance(sums, alone[None, :])[0] * precision, kind="stable")
    far = sums[farthest[:_STARTS]]
    near = np.broadcast_to(alone, far.shape)
    other = np.zeros((len(far), len(sums)))
    total = np.zeros(len(far))
    for _ in range(_STEPS):
        ours = np.log(1.0 - CAMP) - 0.5 * _distance(sums, near) * precision
        theirs = np.log(CAMP) - 0.5 * _distance(sums, far) * precision
        each = np.logaddexp(ours, theirs)
        total = np.add.reduce(each, axis=-1)
        other = np.exp(theirs - each)
        near, far = _centres(1.0 - other, sums, precision), _centres(other, sums, precision)
    best = int(np.argmax(total))
    return other[best], float(total[best] - single)


def _distance(sums: FloatArray, centres: FloatArray) -> FloatArray:
    # A camp is a yes or no in the end: here the order in which BLAS sums does not matter.
    own, middle = (np.add.reduce(part * part, axis=-1) for part in (sums, centres))
    squares: FloatArray = own + middle[:, None] - 2.0 * (centres @ sums.T)
    return squares


def _centres(posterior: FloatArray, sums: FloatArray, precision: FloatArray) -> FloatArray:
    weights = posterior * precision
    total = np.maximum(np.add.reduce(weights, axis=-1), 1e-12)
    centres: FloatArray = (weights @ sums) / total[:, None]
    return centres
