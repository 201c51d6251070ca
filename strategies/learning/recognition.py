"""Metrics of a model of K classes, and the floors printed beside them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.learning.linear_svm import FloatArray
from strategies.learning.one_versus_rest import class_scores, predict_classes

RATES = ("accuracy", "loss", "balanced_accuracy", "macro_f1")


@dataclass(frozen=True)
class Recognition:
    """How well a model tells K classes apart; rates are fractions.

    Parameters
    ----------
    classes : tuple of str
        Their names.
    loss : float
        Mean over records of the sum of their K hinges, and the L2 term.
    confusion : tuple of tuple of int
        Records of class i (row) that were taken for class j (column).
    """

    classes: tuple[str, ...]
    loss: float
    confusion: tuple[tuple[int, ...], ...]

    @property
    def accuracy(self) -> float:
        """Return the share of records that were told right."""
        counts = self._counts()
        return float(np.trace(counts) / counts.sum())

    @property
    def recalls(self) -> tuple[float, ...]:
        """Return the share found of each class; NaN where the records hold none of it."""
        counts = self._counts()
        with np.errstate(invalid="ignore"):
            found = np.diag(counts) / counts.sum(axis=1)
        return tuple(float(share) for share in found)

    @property
    def balanced_accuracy(self) -> float:
        """Return the mean recall over the classes that are there."""
        return float(np.nanmean(self.recalls))

    @property
    def macro_f1(self) -> float:
        """Return the mean over the classes that are there of 2 TP / (2 TP + FP + FN)."""
        counts = self._counts()
        there = counts.sum(axis=1) > 0
        named = counts.sum(axis=0) + counts.sum(axis=1)
        return float(np.mean(2 * np.diag(counts)[there] / named[there]))

    def as_dict(self) -> dict[str, float | int]:
        """Return rates, the recall of each class, and the cells of the confusion matrix."""
        rates = {name: float(getattr(self, name)) for name in RATES}
        recalls = dict(zip(recall_names(self.classes), self.recalls, strict=True))
        cells = [count for row in self.confusion for count in row]
        confusion = dict(zip(confusion_names(self.classes), cells, strict=True))
        return {**rates, **recalls, **confusion}

    def as_lists(self) -> dict[str, int | float | list[int] | list[float]]:
        """Return ``rates`` (as `RATES`, then the recalls) and ``confusion``, row by row."""
        rates = [float(getattr(self, name)) for name in RATES]
        cells = [count for row in self.confusion for count in row]
        return {"rates": [*rates, *self.recalls], "confusion": cells}

    def _counts(self) -> NDArray[np.int64]:
        return np.array(self.confusion, dtype=np.int64)


def recall_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the metric's name of each class's recall."""
    return tuple(f"recall_{name}" for name in classes)


def confusion_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the confusion matrix' cells, row by row: what it is, taken for what."""
    return tuple(f"{true}_as_{taken}" for true in classes for taken in classes)


def recognise(
    weights: FloatArray,
    features: FloatArray,
    labels: NDArray[np.int8],
    l2: float,
    classes: tuple[str, ...],
) -> Recognition:
    """Judge one model of K > 2 classes on held-out records.

    Parameters
    ----------
    weights : ndarray, shape (K d,)
        The model, class after class.
    features : ndarray, shape (n, d)
        Feature vectors of the records.
    labels : ndarray of int8, shape (n,)
        1..K.
    l2 : float
        Weight of the L2 term in ``loss``.
    classes : tuple of str
        Their K names.
    """
    count = len(classes)
    scores = class_scores(weights, features, count)
    taken = predict_classes(scores)
    signs = np.where(labels[:, None] == np.arange(1, count + 1), 1.0, -1.0)
    hinges = np.maximum(0.0, 1.0 - signs * scores).sum() / max(len(labels), 1)
    loss = float(hinges) + 0.5 * l2 * float(weights @ weights)
    return Recognition(classes, loss, confusion_of(labels, taken, count))


def confusion_of(
    labels: NDArray[np.int8], taken: NDArray[np.int64], classes: int
) -> tuple[tuple[int, ...], ...]:
    """Count records of each class (rows) by the class they were taken for (columns)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels.astype(np.int64) - 1, taken - 1), 1)
    return tuple(tuple(row) for row in counts.tolist())


def majority_share(labels: NDArray[np.int8]) -> float:
    """Return the accuracy of always naming the commonest class."""
    _, counts = np.unique(labels, return_counts=True)
    return float(counts.max() / counts.sum())
