"""Who leaves the course by more than noise explains: drifters and sleepers that woke.

Residuals are summed over windows, so that a small shift shows once it has lasted.
"""

from __future__ import annotations

from collections.abc import Iterator
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
class Window:
    """Residuals summed over each clinic's last L uploads.

    Attributes
    ----------
    sums : ndarray, shape (V, d)
        ``S = sum res / sd``.
    variance : ndarray, shape (V,)
        ``L + (sum h / sd)^2``, of one coordinate of an honest S.
    full : ndarray of bool, shape (V,)
        Who has L uploads; who was not asked since is judged by the last ones it made.
    weight : ndarray, shape (V,)
        How much of it is left after the rounds in which a clinic was not asked: an unlucky one
        is asked again some day.
    """

    sums: FloatArray
    variance: FloatArray
    full: BoolArray
    weight: FloatArray


def windows(found: Residuals, sizes: FloatArray, settings: TrustSettings) -> Iterator[Window]:
    """Yield the windows over each clinic's last L = 1, 2, 4, ... uploads, from round 4.

    Parameters
    ----------
    found : Residuals
    sizes : ndarray, shape (V,)
        m.
    settings : TrustSettings
    """
    rounds = len(found.values)
    ago = np.add.accumulate(found.counted[::-1], axis=0)[::-1]  # 1 for the latest upload
    allowance = settings.gate_spread * settings.clip_norm * np.sqrt(sizes) / found.noise
    absent = np.argmax(found.counted[::-1], axis=0)  # rounds since the latest upload
    length = 1
    while rounds >= _FROM and length <= rounds:
        used = found.counted & (ago <= length)
        count = np.add.reduce(used, axis=0)
        sums = np.add.reduce(np.where(used[..., None], found.values, 0.0), axis=0)
        bias = np.add.reduce(np.where(used, allowance, 0.0), axis=0)
        variance = np.maximum(count + bias**2, 1.0)
        yield Window(sums, variance, count == length, FADE**absent)
        length *= 2


def strain(window: Window, centre: FloatArray) -> FloatArray:
    """Return how far clinics strayed in a window, shape (V,); above 1 noise does not explain it.

    ``||S||^2`` in units of ``1.06 chi2_d(1 - 1e-4) v``, and, because whoever wants to harm has to
    go there, ``<S, M> / ||M||`` in units of ``-2.9 sqrt(v)``, squared.

    Parameters
    ----------
    window : Window
    centre : ndarray, shape (d,)
        M.
    """
    sums, variance = window.sums, window.variance
    course = centre / max(float(np.sqrt(np.add.reduce(centre**2))), _LEAST)
    bound = 1.06 * float(chdtri(sums.shape[-1], 1e-4))
    energy = np.add.reduce(sums**2, axis=-1) / (bound * variance)
    against = np.maximum(-np.add.reduce(sums * course, axis=-1), 0.0)
    ratio = np.maximum(energy, against**2 / (AGAINST**2 * variance))
    return np.where(window.full, ratio * window.weight, 0.0)


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
    at_once = max(1, int(WORST * honest.size))
    while np.count_nonzero(shut) + at_once <= honest.size / 2:
        left = residuals(history, np.where(shut, 0.0, honest), centre, settings)
        strains = [strain(item, centre) for item in windows(left, history.sizes, settings)]
        excess = np.where(shut, 0.0, np.max([np.zeros(shut.shape), *strains], axis=0))
        worst = np.argsort(-excess, kind="stable")[:at_once]
        if excess[worst[0]] <= 1.0:
            break
        shut[worst[excess[worst] > 1.0]] = True
    return shut
