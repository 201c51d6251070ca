"""K classes as K hinges at once, in one flat vector (Kesler's construction).

A one-versus-rest SVM of K classes asks of a record x K questions, "is it class k or not", each
answered by weights w_k of its own. Stack them into one vector ``W = (w_1, ..., w_K)`` of K d
coordinates and write question k as one row, zero but for block k::

    z_k = y_k (0, ..., x, ..., 0)    with y_k = +1 if x is of class k, else -1
    <W, z_k> = y_k <w_k, x>

(R. O. Duda and P. E. Hart, "Pattern Classification and Scene Analysis", 1973, sec. 5.12.1). The
multi-class learner is then the binary one on K rows a record, and a record is a unit of K rows
to every privacy mechanism: clipping takes its whole K d gradient, and clip, noise, wrappers and
judges see just a vector.

The K rows of a record lie in orthogonal blocks, so of a record with ``||x|| <= R`` the
subgradient of the *sum* of its K hinges has norm at most ``sqrt(sum_k R^2) = sqrt(K) R``, and of
their *mean* at most ``R / sqrt(K)`` (:func:`gradient_bound`).
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from strategies.learning.linear_svm import FloatArray, sign_records

BINARY = 2


def hinges_of(classes: int) -> int:
    """Return how many hinges a record of so many classes has: 1 for two classes, else K."""
    return 1 if classes == BINARY else classes


def signed_rows(features: FloatArray, labels: NDArray[np.int8], classes: int) -> FloatArray:
    """Return the rows of all records, one after the other.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Feature vectors, bias included.
    labels : ndarray of int8, shape (n,)
        -1 and +1 for two classes, else 1..K.
    classes : int
        Number of classes.

    Returns
    -------
    ndarray, shape (n, d) or (n K, K d)
        Of two classes the one row ``y x``.
    """
    if classes == BINARY:
        return sign_records(features, labels)
    count, dimension = features.shape
    which = np.arange(classes)
    signs = np.where(labels[:, None] == which + 1, 1.0, -1.0)
    rows = np.zeros((count, classes, classes, dimension))
    rows[:, which, which] = signs[..., None] * features[:, None, :]
    return rows.reshape(count * classes, classes * dimension)


def blocks(weights: FloatArray, classes: int) -> FloatArray:
    """Return the weights by class, shape (..., K, d), of flat weights (..., K d)."""
    return weights.reshape(*weights.shape[:-1], classes, -1)


def class_scores(weights: FloatArray, features: FloatArray, classes: int) -> FloatArray:
    """Return ``<w_k, x>``, shape (..., n, K), for weights (..., K d) and features (n, d)."""
    scores: FloatArray = features @ np.swapaxes(blocks(weights, classes), -1, -2)
    return scores


def predict_classes(scores: FloatArray) -> NDArray[np.int64]:
    """Return the label 1..K of the highest score, the lowest label when tied, shape (..., n)."""
    labels: NDArray[np.int64] = scores.argmax(axis=-1) + 1
    return labels


def gradient_bound(norm_bound: float, hinges: int) -> float:
    """Return the bound ``sqrt(K) R`` on the subgradient of the sum of a record's K hinges."""
    return sqrt(hinges) * norm_bound
