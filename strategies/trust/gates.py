"""What honest noise looks like: gates that a clinic passes or not, whatever it learned.

The noise of an honest upload is Gaussian, of known size, fresh in every round and independent
of anybody else's. With the directions' mean taken away what is left of an honest clinic is that
noise and a little more, because shards differ. Thresholds are quantiles of its chi-squared sums.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.special import chdtri

from strategies.trust.history import History
from strategies.trust.pairs import Block, in_a_pair
from strategies.trust.residuals import Residuals
from strategies.trust.settings import BoolArray, FloatArray

_COPIES_FROM, _REPLAY_FROM = 2, 3
_FREEDOM = 25
"""Up to here ``5 / sqrt(dof)`` is at least 1, which no correlation exceeds."""
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
    return _near(history, slice(None))


def twins_of(history: History, place: int) -> BoolArray:
    """Return the same of one round, by its place in the history: once a copy, a copy for good."""
    return _near(history, slice(place, place + 1))


def _near(history: History, rounds: slice) -> BoolArray:
    present, clinics = history.present[rounds], history.sizes.size
    here = np.flatnonzero(present.any(axis=0))
    present = present[:, here]
    noise = np.where(present, history.noise[rounds][:, here], 1.0)
    scaled = history.uploads[rounds][:, here] / (noise * sqrt(2.0))[..., None]
    tail = 1e-6 / max(clinics * (clinics - 1) / 2, 1)
    count = np.maximum(np.arange(len(present) + 1), 1)
    near = 0.5 * chdtri(history.dimension * count, 1.0 - tail)

    def close(block: Block) -> BoolArray:
        if block.both is None:  # all share all rounds
            gap = block.one[:, None] + (block.other - near[-1])
            return np.asarray(2.0 * block.product > gap)
        apart = block.one + block.other - 2.0 * block.product
        return np.asarray((block.both > 0) & (apart < near[block.both]))

    found = np.zeros(clinics, dtype=np.bool_)
    found[here] = in_a_pair(scaled, present, close)
    return found


def copy_gate(found: Residuals) -> BoolArray:
    """Return whose residuals correlate with another clinic's, shape (V,), from round 2.

    Above ``max(.6, 5 / sqrt(dof))`` over the rounds in which both uploaded.
    """
    rounds, clinics, dimension = found.values.shape
    if rounds < _COPIES_FROM or rounds * dimension <= _FREEDOM:
        return np.zeros(clinics, dtype=np.bool_)

    def alike(block: Block) -> BoolArray:
        if block.both is None:
            one, other = (np.sqrt(np.maximum(part, _LEAST)) for part in (block.one, block.other))
            return np.asarray(block.product > one[:, None] * (bounds[-1] * other))
        length = np.sqrt(np.maximum(block.one * block.other, _LEAST))
        enough = block.both >= _COPIES_FROM
        return np.asarray((block.product > bounds[block.both] * length) & enough)

    freedom = np.maximum(np.arange(rounds + 1) * dimension, 1)
    bounds = np.maximum(0.6, 5.0 / np.sqrt(freedom))
    return in_a_pair(found.values, found.counted, alike)


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
