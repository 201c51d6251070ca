"""What honest noise looks like: gates that a clinic passes or not, whatever it learned.

The noise of an honest upload is Gaussian, of known size, fresh in every round and independent
of anybody else's. With the directions' mean taken away what is left of an honest clinic is that
noise and a little more, because shards differ. Thresholds are quantiles of its chi-squared sums.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from strategies.trust.history import History
from strategies.trust.residuals import Residuals
from strategies.trust.settings import BoolArray, FloatArray

_COPIES_FROM, _REPLAY_FROM = 2, 3
_LEAST = 1e-12


def energy_gate(found: Residuals, shards: FloatArray | float = 0.0) -> BoolArray:
    """Return whose residual energy is not that of the noise, shape (V,).

    Outside ``[.8 chi2(1e-6), 1.35 chi2(1 - 1e-5)]`` with d degrees of freedom a round.

    Parameters
    ----------
    found : Residuals
    shards : ndarray, shape (T, V)
        How far honest shards differ, in units of the noise: where the noise is small that is most
        of what is left, and no reason to shut a clinic.
    """
    freedom = found.values.shape[-1] * np.add.reduce(found.counted, axis=0)
    each = np.add.reduce(found.values**2, axis=-1)
    energy = np.add.reduce(each, axis=0)
    excess = np.add.reduce(each / (1.0 + np.square(shards)), axis=0)
    asked = np.maximum(freedom, 1)
    low, high = chdtri(asked, 1 - 1e-6), chdtri(asked, 1e-5)
    outside: BoolArray = (freedom > 0) & ((energy < 0.8 * low) | (excess > 1.35 * high))
    return outside


def twin_gate(history: History) -> BoolArray:
    """Return whose uploads are nearer to another clinic's than two noises can be, shape (V,).

    ``sum ||u_i / s_i - u_j / s_j||^2 / 2`` over the rounds of both is at least chi-squared with d
    degrees of freedom a round, whatever the two learned, and half of it when one of them adds no
    noise. Below half its quantile 1e-6 over the number of pairs one is a copy of the other, and
    nobody who has not seen an upload can make it look copied. No common direction is needed, so
    that copies can be left out before one is looked for.
    """
    present = history.present
    return _near(_scaled(history, slice(None)), present)


def twins_of(history: History, place: int) -> BoolArray:
    """Return the same of one round, by its place in the history: once a copy, a copy for good."""
    chosen = slice(place, place + 1)
    return _near(_scaled(history, chosen), history.present[chosen])


def _scaled(history: History, rounds: slice) -> FloatArray:
    noise = np.where(history.present[rounds], history.noise[rounds], 1.0)
    found: FloatArray = history.uploads[rounds] / (noise * sqrt(2.0))[..., None]
    return found


def _near(scaled: FloatArray, present: BoolArray) -> BoolArray:
    rounds, clinics, dimension = scaled.shape
    product, energy, both = _pairs(scaled, present)
    tail = 1e-6 / max(clinics * (clinics - 1) / 2, 1)
    near = 0.5 * chdtri(dimension * np.maximum(np.arange(rounds + 1), 1), 1.0 - tail)
    if both is None:
        gap = energy[:, None] + (energy - near[rounds])  # all share all rounds
        close = np.asarray(2.0 * product > gap)
    else:
        close = np.asarray((both > 0) & (energy + energy.T - 2.0 * product < near[both]))
    np.fill_diagonal(close, val=False)
    return np.asarray(close.any(axis=1))


def _pairs(
    values: FloatArray, present: BoolArray
) -> tuple[FloatArray, FloatArray, NDArray[np.int64] | None]:
    """Return, over the rounds of both, ``<x_i, x_j>``, ``||x_i||^2`` and how many there are.

    Each has shape (V, V); where everybody is always present the energy is of shape (V,) and the
    number of rounds, the same for all, None. The values are zero where a clinic is not present.
    """
    clinics = values.shape[1]
    flat = values.transpose(1, 0, 2).reshape(clinics, -1)
    # Sums that are only held against a threshold: here the order of BLAS does not matter.
    product = flat @ flat.T
    energy = np.add.reduce(values**2, axis=-1).T
    if present.all():
        return product, np.add.reduce(energy, axis=-1), None
    here = present.T.astype(np.float64)
    return product, energy @ here.T, np.rint(here @ here.T).astype(np.int64)


def copy_gate(found: Residuals) -> BoolArray:
    """Return whose residuals correlate with another clinic's, shape (V,), from round 2.

    Above ``max(.6, 5 / sqrt(dof))`` over the rounds in which both uploaded.
    """
    rounds, clinics, dimension = found.values.shape
    if rounds < _COPIES_FROM or clinics < _COPIES_FROM:
        return np.zeros(clinics, dtype=np.bool_)
    product, energy, both = _pairs(found.values, found.counted)
    if both is None:
        length = np.sqrt(np.maximum(energy, _LEAST))
        bound = max(0.6, 5.0 / sqrt(rounds * dimension)) * length
        alike = np.asarray(product > length[:, None] * bound)
    else:
        length = np.sqrt(np.maximum(energy * energy.T, _LEAST))
        bound = np.maximum(0.6, 5.0 / np.sqrt(np.maximum(both * dimension, 1)))
        alike = np.asarray((product > bound * length) & (both >= _COPIES_FROM))
    np.fill_diagonal(alike, val=False)
    return np.asarray(alike.any(axis=1))


def replay_gate(found: Residuals, shards: FloatArray | float = 0.0) -> BoolArray:
    """Return whose residuals repeat from round to round, shape (V,), from round 3.

    Correlation at lag 1 above ``max(.5, 5 / sqrt(dof))`` of what lasting differences between
    honest shards do not explain: with ``shards`` a, as in :func:`energy_gate`, they correlate by
    ``a^2 / (1 + a^2)``.
    """
    rounds, clinics, dimension = found.values.shape
    if rounds < _REPLAY_FROM:
        return np.zeros(clinics, dtype=np.bool_)
    pairs = found.counted[1:] & found.counted[:-1]
    first = np.where(pairs[..., None], found.values[:-1], 0.0)
    second = np.where(pairs[..., None], found.values[1:], 0.0)
    product, one, other = (
        np.add.reduce(np.add.reduce(part, axis=-1), axis=0)
        for part in (first * second, first**2, second**2)
    )
    count = np.add.reduce(pairs, axis=0)
    correlation = product / np.sqrt(np.maximum(one * other, _LEAST))
    bound = np.maximum(0.5, 5.0 / np.sqrt(np.maximum(count * dimension, 1)))
    lasting = np.max(np.square(shards) * np.ones(found.counted.shape), axis=0)
    bound = bound + (1.0 - bound) * lasting / (1.0 + lasting)
    repeats: BoolArray = (count >= _REPLAY_FROM - 1) & (correlation > bound)
    return repeats
