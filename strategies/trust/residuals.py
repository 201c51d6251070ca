"""What is left of noised uploads without the common direction: the noise, nearly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.trust.history import History
from strategies.trust.settings import BoolArray, FloatArray, TrustSettings

_LEAST = 1e-12


@dataclass(frozen=True)
class Residuals:
    """What is left of the uploads without the common direction, in units of its own spread.

    Attributes
    ----------
    values : ndarray, shape (T, V, d)
        Standard normal for an honest clinic but for shards that differ; 0 without an upload.
    counted : ndarray of bool, shape (T, V)
        Where there is an upload to be judged.
    noise : ndarray, shape (T, V)
        Standard deviation by which the values were divided, in units of the sum.
    """

    values: FloatArray
    counted: BoolArray
    noise: FloatArray


def residuals(
    history: History, honest: FloatArray, centre: FloatArray, settings: TrustSettings
) -> Residuals:
    """Subtract each round's p-weighted mean and divide by what is left of the noise.

    A clinic pulls the mean towards itself, so with weight pi its residual has the variance
    ``s^2 (1 - 2 pi) + sum pi_j^2 s_j^2``; it is not judged against itself alone.

    Parameters
    ----------
    history : History
    honest : ndarray, shape (V,)
        p.
    centre : ndarray, shape (d,)
        M, what stands for the mean of a round in which nobody is honest.
    settings : TrustSettings
    """
    present = history.present
    each = np.where(present, history.noise, 1.0) / history.sizes
    precision = np.where(present, honest / each**2, 0.0)
    total = np.add.reduce(precision, axis=-1, keepdims=True)
    shares = precision / np.maximum(total, _LEAST)
    perceived = history.uploads / history.sizes[:, None]
    means = np.add.reduce(shares[..., None] * perceived, axis=1)
    alone = settings.decay(history.rounds)[:, None] * centre
    means = np.where(total > _LEAST, means, alone)
    common = np.add.reduce(shares**2 * each**2, axis=-1, keepdims=True)
    variance = each**2 * (1.0 - 2.0 * shares) + common
    counted = present & (variance > 0.01 * each**2)
    spread = np.sqrt(np.where(counted, variance, 1.0))
    values = np.where(counted[..., None], (perceived - means[:, None]) / spread[..., None], 0.0)
    return Residuals(values, counted, spread * history.sizes)
