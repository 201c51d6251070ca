"""Who is honest, when honest clinics scatter around a common direction by a known variance.

A mixture of four Gaussians: honest N(M, v), flipped N(-M, v), absent N(0, v), gross N(M, 9 v).
Only M is unknown. EM from many starts, because one alone can lock onto the attackers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from strategies.trust.evidence import Evidence
from strategies.trust.settings import FloatArray, TrustSettings

_LEAST = 1e-12


@dataclass(frozen=True)
class Fit:
    """The mixture that explains the evidence best.

    Attributes
    ----------
    honest : ndarray, shape (V,)
        p, posterior of the honest component.
    centre : ndarray, shape (d,)
        M.
    likelihood : float
        Log-likelihood of the evidence.
    majority : bool
        Whether at least half of the clinics are honest by it; else no such fit was found.
    """

    honest: FloatArray
    centre: FloatArray
    likelihood: float
    majority: bool


def fit(evidence: Evidence, settings: TrustSettings) -> Fit:
    """Run EM from the coordinate median and from each clinic and keep the best.

    Among the fits in which at least half are honest the most likely one. Two camps of one size
    cannot be told apart: when no fit has a majority the one with the most honest is returned and
    ``majority`` is false.
    """
    known = np.isfinite(evidence.variance)
    direction, variance = evidence.direction[known], evidence.variance[known]
    honest = np.full(known.size, settings.prior_honest)
    if not known.any():
        return Fit(honest, np.zeros(direction.shape[-1]), 0.0, majority=True)
    centres = _starts(direction, settings)
    posterior = np.full((len(centres), len(direction)), settings.prior_honest)
    for step in range(settings.steps + 1):
        if step:
            centres = _centres(posterior, direction, variance)
        # v = tau^2 + var M, which for equal clinics is tau^2 (1 + 1 / sum p)
        total = variance + 1.0 / _precision(posterior, variance)[:, None]
        posterior, rest = _posteriors(centres, direction, total, settings)
    likelihood = _likelihood(rest, total, direction.shape[-1], settings)
    support = np.add.reduce(posterior, axis=-1)
    majority = support >= len(direction) / 2
    best = int(np.argmax(np.where(majority, likelihood, -np.inf) if majority.any() else support))
    honest[known] = posterior[best]
    return Fit(honest, centres[best], float(likelihood[best]), bool(majority.any()))


def _starts(direction: FloatArray, settings: TrustSettings) -> FloatArray:
    each = direction
    if len(each) >= settings.starts:
        each = each[np.linspace(0, len(each) - 1, settings.starts - 1).astype(np.int64)]
    # The coordinate median, without what np.median takes to handle more than this.
    low, high = (len(direction) - 1) // 2, len(direction) // 2
    middle = np.partition(direction, (low, high), axis=0)[[low, high]]
    return np.concatenate([(middle[:1] + middle[1:]) / 2.0, each])


def _precision(posterior: FloatArray, variance: FloatArray) -> FloatArray:
    found: FloatArray = np.maximum(np.add.reduce(posterior / variance, axis=-1), _LEAST)
    return found


def _centres(posterior: FloatArray, direction: FloatArray, variance: FloatArray) -> FloatArray:
    # Clinic by clinic, in order, and with the clinics outermost, where numpy is fastest.
    weights = np.ascontiguousarray((posterior / variance).T)
    pulls = np.add.reduce(weights[:, :, None] * direction[:, None, :], axis=0)
    centres: FloatArray = pulls / _precision(posterior, variance)[:, None]
    return centres


def posterior_of(
    centres: FloatArray, direction: FloatArray, variance: FloatArray, settings: TrustSettings
) -> tuple[FloatArray, FloatArray]:
    """Return each clinic's posterior of being honest and the log-likelihood of each start.

    Parameters
    ----------
    centres : ndarray, shape (starts, d)
        M.
    direction : ndarray, shape (V, d)
    variance : ndarray, shape (starts, V)
        v.
    settings : TrustSettings

    Returns
    -------
    posterior : ndarray, shape (starts, V)
    likelihood : ndarray, shape (starts,)
    """
    posterior, rest = _posteriors(centres, direction, variance, settings)
    return posterior, _likelihood(rest, variance, direction.shape[-1], settings)


def _posteriors(
    centres: FloatArray, direction: FloatArray, variance: FloatArray, settings: TrustSettings
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Return the posteriors, and what the likelihood needs besides."""
    dimension = direction.shape[-1]
    other = (1.0 - settings.prior_honest) / 3.0
    own = np.add.reduce(direction * direction, axis=-1)
    middle = np.add.reduce(centres * centres, axis=-1)[:, None]
    # Sums over the first axis: in order, fast, and not left to BLAS, for p is a weight.
    across = np.add.reduce(direction.T[:, None, :] * centres.T[:, :, None], axis=0)
    half = -0.5 / variance
    near = (own + middle - 2.0 * across) * half
    log_odds = log(other / settings.prior_honest)
    against = np.empty((3, *near.shape))
    np.multiply(own + middle + 2.0 * across, half, out=against[0])
    np.multiply(own, half, out=against[1])
    np.subtract(near / settings.gross, 0.5 * dimension * log(settings.gross), out=against[2])
    # All against the honest component, the largest taken out first so that nothing overflows.
    against += log_odds - near
    top = np.maximum(np.maximum.reduce(against, axis=0), 0.0)
    honest = np.exp(-top)
    against -= top
    total = honest + np.add.reduce(np.exp(against, out=against), axis=0)
    posterior: FloatArray = honest / total
    return posterior, (near + top, total)


def _likelihood(
    rest: tuple[FloatArray, FloatArray],
    variance: FloatArray,
    dimension: int,
    settings: TrustSettings,
) -> FloatArray:
    largest, total = rest
    constant = log(settings.prior_honest) - 0.5 * dimension * np.log(variance)
    found: FloatArray = np.add.reduce(largest + np.log(total) + constant, axis=-1)
    return found
