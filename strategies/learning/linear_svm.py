"""Linear SVM by subgradient descent on hinge loss + L2, over any leading client axes.

Objective of one clinic with records ``(x_j, y_j)``, bias inside ``w`` (Letafati & Otoum,
eq. 5, with the SVM of their section IV)::

    L(w) = 1/n sum_j max(0, 1 - y_j <w, x_j>) + l2/2 ||w||^2

Records are passed as ``signed = y_j x_j``. A row of zeros is padding: its subgradient is
zero, so clinics of unequal size stack into one array with ``count`` naming the true sizes.
Sums run over records in order (the record axis is never the innermost one), so that one
clinic alone and a thousand stacked give the same bits.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def sign_records(features: FloatArray, labels: NDArray[np.int8]) -> FloatArray:
    """Return ``y_j x_j`` for features (..., n, d) and labels (..., n) in {-1, +1}."""
    return features * labels[..., None].astype(np.float64)


def margins(weights: FloatArray, signed: FloatArray) -> FloatArray:
    """Return ``y_j <w, x_j>``, shape (..., n), for weights (..., d) and signed (..., n, d)."""
    result: FloatArray = np.add.reduce(signed * weights[..., None, :], axis=-1)
    return result


def descend(
    weights: FloatArray,
    signed: FloatArray,
    count: FloatArray | float,
    *,
    learning_rate: float,
    steps: int,
    l2: float,
    batches: NDArray[np.int64] | None = None,
    hinges: int = 1,
) -> FloatArray:
    """Take subgradient steps from ``weights`` and return the new weights.

    Parameters
    ----------
    weights : ndarray, shape (..., d)
        Starting point.
    signed : ndarray, shape (..., n, d)
        Records times their labels, zero rows for padding.
    count : ndarray, shape (...), or float
        True number of records of each clinic, at least 1.
    learning_rate : float
        Step size eta.
    steps : int
        Number of steps k.
    l2 : float
        Weight of the L2 term, bias included.
    batches : ndarray of int, shape (steps, batch), optional
        Records used by each step; all rows (full batch) when absent.
    hinges : int
        Rows of each record, one after the other; ``batches`` and ``count`` count records.

    Returns
    -------
    ndarray, shape (..., d)
    """
    size = np.asarray(count, dtype=np.float64)[..., None]
    if batches is not None:
        size = np.asarray(float(batches.shape[-1]))
    for step in range(steps):
        rows = signed if batches is None else signed[..., rows_of(batches[step], hinges), :]
        violating = (margins(weights, rows) < 1.0).astype(np.float64)
        pull = np.add.reduce(rows * violating[..., None], axis=-2) / size
        weights = weights - learning_rate * (l2 * weights - pull)
    return weights


def rows_of(records: NDArray[np.int64], hinges: int) -> NDArray[np.int64]:
    """Return the rows of some records, each of which has ``hinges`` of them."""
    if hinges == 1:
        return records
    rows: NDArray[np.int64] = (records[:, None] * hinges + np.arange(hinges)).reshape(-1)
    return rows


def hinge_loss(weights: FloatArray, signed: FloatArray, l2: float) -> FloatArray:
    """Return the objective above over n records without padding, shape (...)."""
    hinge = np.maximum(0.0, 1.0 - margins(weights, signed)).mean(axis=-1)
    loss: FloatArray = hinge + 0.5 * l2 * np.add.reduce(weights * weights, axis=-1)
    return loss


def draw_batches(
    rng: np.random.Generator, records: int, steps: int, size: int
) -> NDArray[np.int64]:
    """Draw ``steps`` mini-batches of ``size`` distinct rows out of ``records``."""
    keys = rng.random((steps, records))
    return np.argsort(keys, axis=1)[:, : min(size, records)]
