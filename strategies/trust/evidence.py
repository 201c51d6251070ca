"""From a noised history to one vector a clinic whose honest mean and variance are known.

In round t a clinic of m units uploads ``u_t = m g_t + N(0, sd_t^2 I)``. With ``g_t`` about
``gamma_t G`` the matched filter ``X = sum a_t u_t / (m A)`` with ``a_t = gamma_t m^2 / sd_t^2``
and ``A = sum a_t gamma_t`` is the best linear estimate of G, with variance ``1 / A``; honest
shards differ by a further h. Divided by A every clinic is on one scale, whatever its shard, its
noise and the rounds in which it was asked; for equal ones it is ``W / A`` of the issue's note.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import chdtri

from strategies.trust.history import History
from strategies.trust.settings import BoolArray, FloatArray, TrustSettings

CLIP_TAIL = 1e-4
"""How likely the noise alone is above what the clipping allows for it."""
LASTING = 0.65
"""Share of h that stays while directions shrink: who is first asked late differs by more of G."""
TURN = 0.7
"""How far a round's honest direction lies from the model ``gamma_t G``, relative to it."""


@dataclass(frozen=True)
class Evidence:
    """What is known of each clinic.

    Attributes
    ----------
    direction : ndarray, shape (V, d)
        X, the estimated mean direction per unit.
    variance : ndarray, shape (V,)
        tau^2 of one coordinate of an honest X; infinite without any upload.
    """

    direction: FloatArray
    variance: FloatArray

    def without(self, shut: BoolArray) -> Evidence:
        """Return the same as if nothing were known of the clinics in ``shut``, shape (V,)."""
        return Evidence(self.direction, np.where(shut, np.inf, self.variance))


def clip_uploads(
    uploads: FloatArray, sizes: FloatArray, noise: FloatArray, settings: TrustSettings
) -> FloatArray:
    """Return uploads no longer than ``.95 m C + sd sqrt(chi2_d(.9999))``.

    Parameters
    ----------
    uploads : ndarray, shape (n, d)
    sizes, noise : ndarray, shape (n,)
    settings : TrustSettings
    """
    reach = sqrt(float(chdtri(uploads.shape[-1], CLIP_TAIL)))
    bound = settings.clip_share * settings.clip_norm * sizes + noise * reach
    return shorten(uploads, bound)


def shorten(vectors: FloatArray, bound: FloatArray) -> FloatArray:
    """Return vectors (n, d) scaled down to a norm of at most ``bound`` (n,)."""
    norms = np.sqrt(np.add.reduce(vectors * vectors, axis=-1))
    clipped: FloatArray = vectors * (bound / np.maximum(np.maximum(norms, bound), 1e-300))[:, None]
    return clipped


def gather(history: History, settings: TrustSettings) -> Evidence:
    """Return the matched filter over all rounds of every clinic."""
    weights, total = _filter(history, settings)
    perceived = history.uploads / history.sizes[:, None]
    direction = np.add.reduce(weights[..., None] * perceived, axis=0)
    lasting = LASTING + (1.0 - LASTING) * settings.decay(history.rounds)[:, None]
    spread = settings.spread(history.sizes) * np.add.reduce(weights * lasting, axis=0)
    with np.errstate(divide="ignore"):
        variance = 1.0 / total + spread**2
    return Evidence(direction, variance)


def level(
    evidence: Evidence,
    history: History,
    honest: FloatArray,
    centre: FloatArray,
    settings: TrustSettings,
) -> Evidence:
    """Return evidence as if all clinics had uploaded in the same rounds.

    ``g_t = gamma_t G`` is a crude model: the direction turns as the federation learns, so that
    who was asked in other rounds seems to point elsewhere. What the honest mean of each round
    differs from the model by, as far as it is more than noise, is taken from everybody's X.

    Parameters
    ----------
    evidence : Evidence
    history : History
    honest : ndarray, shape (V,)
        p of a first fit.
    centre : ndarray, shape (d,)
        Its M.
    settings : TrustSettings
    """
    weights, _ = _filter(history, settings)
    present = history.present
    each = history.sizes / np.where(present, history.noise, 1.0)
    precision = np.where(present, honest * each**2, 0.0)
    total = np.add.reduce(precision, axis=-1)
    pulls = np.add.reduce((precision / history.sizes)[..., None] * history.uploads, axis=1)
    modelled = settings.decay(history.rounds)[:, None] * centre
    doubt = TURN**2 * np.add.reduce(modelled**2, axis=-1) / history.dimension
    known = doubt * total / (doubt * total + 1.0)
    off = known[:, None] * (pulls / np.maximum(total, 1e-300)[:, None] - modelled)
    moved = np.add.reduce(weights[..., None] * off[:, None, :], axis=0)
    return Evidence(evidence.direction - moved, evidence.variance)


def _filter(history: History, settings: TrustSettings) -> tuple[FloatArray, FloatArray]:
    """Return ``a_t / A``, shape (T, V), and A, shape (V,)."""
    present = history.present
    gamma = settings.decay(history.rounds)[:, None]
    each = history.sizes / np.where(present, history.noise, 1.0)
    gain = np.where(present, gamma * each**2, 0.0)
    total = np.add.reduce(gain * gamma, axis=0)
    return gain / np.maximum(total, 1e-300), total
