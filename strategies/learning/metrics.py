"""Diagnostic metrics of a linear model, and the two floors printed beside every accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.learning.linear_svm import FloatArray, hinge_loss, sign_records

PAIRS_AT_ONCE = 4096


@dataclass(frozen=True)
class Diagnosis:
    """How well a model diagnoses; rates are fractions, positive is the disease.

    ``sensitivity`` is the share of diseased found, ``specificity`` the share of healthy
    cleared, ``auc`` the area under the ROC curve; a rate without cases is NaN.
    """

    accuracy: float
    loss: float
    sensitivity: float
    specificity: float
    auc: float
    true_positive: int
    false_negative: int
    true_negative: int
    false_positive: int

    def as_dict(self) -> dict[str, float | int]:
        """Return the fields in order."""
        return dict(self.__dict__)

    def as_lists(self) -> dict[str, int | float | list[int] | list[float]]:
        """Return ``rates`` (accuracy, loss, sensitivity, specificity, auc) and ``confusion``.

        The confusion matrix is (true positive, false negative, true negative, false positive).
        """
        values = list(self.__dict__.values())
        return {"rates": values[:5], "confusion": values[5:]}


def diagnose(
    weights: FloatArray, features: FloatArray, labels: NDArray[np.int8], l2: float
) -> Diagnosis:
    """Judge one model on held-out records.

    Parameters
    ----------
    weights : ndarray, shape (d,)
        The model, bias included.
    features : ndarray, shape (n, d)
        Feature vectors of the records.
    labels : ndarray of int8, shape (n,)
        +1 diseased, -1 healthy.
    l2 : float
        Weight of the L2 term in ``loss``.
    """
    scores = features @ weights
    predicted, positive = scores > 0.0, labels > 0
    tp = int(np.sum(predicted & positive))
    fp = int(np.sum(predicted & ~positive))
    fn, tn = int(np.sum(positive)) - tp, int(np.sum(~positive)) - fp
    return Diagnosis(
        accuracy=(tp + tn) / len(labels),
        loss=float(hinge_loss(weights, sign_records(features, labels), l2)),
        sensitivity=tp / (tp + fn) if tp + fn else float("nan"),
        specificity=tn / (tn + fp) if tn + fp else float("nan"),
        auc=auc(scores, positive),
        true_positive=tp,
        false_negative=fn,
        true_negative=tn,
        false_positive=fp,
    )


def auc(scores: FloatArray, positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: P(score of a case > score of a non-case), ties half.

    The Mann-Whitney statistic, pair by pair for a small clinic and on mid-ranks beyond; NaN
    when one class is empty.
    """
    ones = int(np.sum(positive))
    zeros = len(positive) - ones
    if not ones or not zeros:
        return float("nan")
    if ones * zeros <= PAIRS_AT_ONCE:
        ahead = scores[positive][:, None] - scores[~positive][None, :]
        wins = np.count_nonzero(ahead > 0.0) + 0.5 * np.count_nonzero(ahead == 0.0)
        return float(wins) / (ones * zeros)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mid_rank = np.cumsum(counts) - (counts - 1) / 2.0
    rank_sum = float(np.sum(mid_rank[inverse][positive]))
    return (rank_sum - ones * (ones + 1) / 2) / (ones * zeros)


@dataclass(frozen=True)
class Floors:
    """Accuracies any model must beat to have learnt something.

    ``majority`` always says the commoner class; ``mean_rule`` says positive when the mean of
    the attributes is at least ``threshold`` (on BCWD 3, chosen with sight of the data).
    Both are over all records of the table, as fractions.
    """

    majority: float
    mean_rule: float
    threshold: float


def floors(attributes: FloatArray, labels: NDArray[np.int8], threshold: float) -> Floors:
    """Return the floors of attributes (n, d) and labels (n,) in {-1, +1}."""
    positive = labels > 0
    share = float(np.mean(positive))
    rule = attributes.mean(axis=1) >= threshold
    return Floors(max(share, 1 - share), float(np.mean(rule == positive)), threshold)
