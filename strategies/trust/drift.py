"""Who leaves the course by more than noise explains: drifters and sleepers that woke.

Residuals are summed over windows, so that a small shift shows once it has lasted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from strategies.trust.history import History
from strategies.trust.residuals import Residuals, residuals
from strategies.trust.settings import BoolArray, FloatArray, TrustSettings

WORST = 0.15
"""Share of the clinics, at least one, taken out before the mean is formed anew: 3 of 20."""
FADE = 0.95
"""What is left of a clinic's strain for each round in which it was not asked."""
AGAINST = 2.9
"""How many deviations a clinic may go against the course: one honest clinic in 500."""
_FROM = 4
_LEAST = 1e-12


@dataclass(frozen=True)
class Windows:
    """Residuals summed over each clinic's last L = 1, 2, 4, ... uploads, and over all of them.

    Attributes
    ----------
    sums : ndarray, shape (W, V, d)
        ``S = sum res / sd``.
    variance : ndarray, shape (W, V)
        ``L + (sum h / sd)^2``, of one coordinate of an honest S.
    full : ndarray of bool, shape (W, V)
        Who has L uploads, of all at least 4; who was not asked since is judged by the last ones
        it made.
    weight : ndarray, shape (V,)
        How much of it is left after the rounds in which a clinic was not asked: an unlucky one
        is asked again some day.
    """

    sums: FloatArray
    variance: FloatArray
    full: BoolArray
    weight: FloatArray


def windows(found: Residuals, sizes: FloatArray, settings: TrustSettings) -> Windows:
    """Return the windows, from round 4; none before.

    Parameters
    ----------
    found : Residuals
    sizes : ndarray, shape (V,)
        m.
    settings : TrustSettings
    """
    rounds, clinics, dimension = found.values.shape
    count = rounds.bit_length() if rounds >= _FROM else 0
    if not count:
        nothing = np.zeros((0, clinics))
        full = nothing.astype(np.bool_)
        return Windows(np.zeros((0, clinics, dimension)), nothing, full, np.ones(clinics))
    backwards = found.counted[::-1]
    uploads = np.add.accumulate(backwards, axis=0)  # 1 from the latest upload on
    absent = np.argmax(backwards, axis=0)  # rounds since the latest upload
    lengths = 2 ** np.arange(count)
    reach = uploads >= lengths[:, None, None]
    full = reach[:, -1]
    reach = np.concatenate([reach, (uploads >= uploads[-1])[None]])
    full = np.concatenate([full, (uploads[-1] >= _FROM)[None]])
    # Up to the L-th upload from the end, or all there are.
    last = np.where(full, np.argmax(reach, axis=1), rounds - 1)
    who = np.arange(clinics)
    sums = np.add.accumulate(found.values[::-1], axis=0)[last, who]
    allowance = settings.gate_spread * settings.clip_norm * np.sqrt(sizes) / found.noise
    each = np.where(backwards, allowance[::-1], 0.0)
    bias = np.add.accumulate(each, axis=0)[last, who]
    variance = np.maximum(uploads[last, who] + bias**2, 1.0)
    return Windows(sums, variance, full, FADE**absent)


def strain(found: Windows, centre: FloatArray) -> FloatArray:
    """Return how far clinics strayed in any window, shape (V,); above 1 noise does not explain it.

    ``||S||^2`` in units of ``1.06 chi2_d(1 - 1e-4) v``, and, because whoever wants to harm has to
    go there, ``<S, M> / ||M||`` in units of ``-2.9 sqrt(v)``, squared.

    Parameters
    ----------
    found : Windows
    centre : ndarray, shape (d,)
        M.
    """
    sums, variance = found.sums, found.variance
    course = centre / max(float(np.sqrt(np.add.reduce(centre**2))), _LEAST)
    bound = 1.06 * float(chdtri(sums.shape[-1], 1e-4))
    energy = np.add.reduce(sums**2, axis=-1) / bound
    against = np.maximum(-np.add.reduce(sums * course, axis=-1), 0.0)
    ratio = np.maximum(energy, against**2 / AGAINST**2) / variance
    worst: FloatArray = np.max(np.where(found.full, ratio * found.weight, 0.0), axis=0, initial=0.0)
    return worst


def drift_gate(
    history: History, honest: FloatArray, centre: FloatArray, settings: TrustSettings
) -> BoolArray:
    """Return the clinics that :func:`strain` more than the noise explains, shape (V,).

    The worst, 3 of 20, are taken out of the mean, which they pulled their way, and the others are
    looked at again, until nobody is left or half of the clinics are out.

    Parameters
    ----------
    history : History
    honest : ndarray, shape (V,)
        p.
    centre : ndarray, shape (d,)
        M.
    settings : TrustSettings
    """
    shut = np.zeros(honest.shape, dtype=np.bool_)
    if history.rounds.size < _FROM:
        return shut
    at_once = max(1, int(WORST * honest.size))
    while np.count_nonzero(shut) + at_once <= honest.size / 2:
        left = residuals(history, np.where(shut, 0.0, honest), centre, settings)
        strained = strain(windows(left, history.sizes, settings), centre)
        excess = np.where(shut, 0.0, strained)
        worst = np.argsort(-excess, kind="stable")[:at_once]
        if excess[worst[0]] <= 1.0:
            break
        shut[worst[excess[worst] > 1.0]] = True
    return shut
