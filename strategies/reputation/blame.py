"""Reputation backpropagation: which device a complained-of cube is blamed on (Algorithm 1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.reputation.evidence import BoolArray
from strategies.reputation.settings import ReputationError

_SAME = 1e-9  # similarities and reputations nearer than rounding can tell are tied
_PAIR = 2


def blame_everyone(covers: BoolArray, complained: BoolArray) -> BoolArray:
    """Blame all devices that cover a complained-of cube: the paper's case without Algorithm 1.

    Parameters
    ----------
    covers : ndarray of bool, shape (..., K, n)
    complained : ndarray of bool, shape (..., K)

    Returns
    -------
    ndarray of bool, shape (..., K, n)
    """
    return np.asarray(covers & complained[..., None])


def blame(
    similarity: ArrayLike,
    covers: BoolArray,
    complained: BoolArray,
    reputation: ArrayLike,
    ties: NDArray[np.generic],
    pair_rule: Literal["reputation", "coin"] = "reputation",
) -> BoolArray:
    """Blame one device for each complained-of cube (Algorithm 1).

    Of the devices S_k that covered cube k the one least similar to the others on average is
    blamed. Similarity cannot decide below three: a lone device is blamed, of two the one of lower
    reputation, or by coin. Ties fall to the round's keys.

    Parameters
    ----------
    similarity : array_like, shape (..., K, n, n)
        How alike what two devices delivered for a cube is; symmetric, the diagonal and devices
        that do not cover the cube are ignored.
    covers : ndarray of bool, shape (..., K, n)
        Devices whose delivery covered each cube.
    complained : ndarray of bool, shape (..., K)
        Cubes that at least one user complained of.
    reputation : array_like, shape (..., n)
        Before this round.
    ties : ndarray, shape (..., n) or (..., K, n)
        Keys of the round (a hash of round and identity); of tied devices the smaller is blamed.
    pair_rule : {"reputation", "coin"}
        How a cube with two devices is decided; the coin is the tie key.

    Returns
    -------
    ndarray of bool, shape (..., K, n)
        At most one device a cube.

    Raises
    ------
    ReputationError
        If a similarity that counts is not a number, or the pair rule is unknown.
    """
    if pair_rule not in ("reputation", "coin"):
        raise ReputationError(f"unknown pair rule {pair_rule!r}: use 'reputation' or 'coin'")
    covering = covers.sum(axis=-1, keepdims=True)
    score = _mean_similarity(np.asarray(similarity, dtype=np.float64), covers, covering)
    standing = np.asarray(reputation, dtype=np.float64)[..., None, :]
    score = np.where(covering > _PAIR, score, standing if pair_rule == "reputation" else 0.0)
    score = np.where(covers, score, np.inf)
    if np.isnan(score).any():
        raise ReputationError("a similarity is not a number: compare payloads that were checked")
    tied = covers & (score <= score.min(axis=-1, keepdims=True) + _SAME)
    ranks = np.argsort(np.argsort(ties, axis=-1), axis=-1)
    if ranks.ndim < tied.ndim:
        ranks = ranks[..., None, :]
    worst = np.where(tied, ranks, covers.shape[-1]).argmin(axis=-1)
    chosen = np.arange(covers.shape[-1]) == worst[..., None]
    return np.asarray(chosen & covers & complained[..., None])


def _mean_similarity(
    similarity: NDArray[np.float64], covers: BoolArray, covering: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Return each device's mean similarity to the others that cover the cube, (..., K, n)."""
    others = covers[..., None, :] & ~np.eye(covers.shape[-1], dtype=np.bool_)
    total = np.where(others, similarity, 0.0).sum(axis=-1)
    return np.asarray(total / np.maximum(covering - 1, 1))
