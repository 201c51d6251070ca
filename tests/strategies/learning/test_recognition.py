"""Metrics of K classes against hand-counted ones and scikit-learn's."""

import numpy as np
import pytest

from strategies.learning.one_versus_rest import blocks, class_scores
from strategies.learning.recognition import (
    Recognition,
    confusion_of,
    majority_share,
    recognise,
)

CLASSES = ("a", "b", "c")


def test_by_hand() -> None:
    found = Recognition(CLASSES, 0.5, ((3, 1, 0), (0, 2, 2), (0, 0, 0)))
    assert found.accuracy == 5 / 8
    assert found.recalls[:2] == (0.75, 0.5)
    assert np.isnan(found.recalls[2])  # none there
    assert found.balanced_accuracy == 0.625
    assert found.macro_f1 == pytest.approx((6 / 7 + 4 / 7) / 2)
    values = found.as_dict()
    assert (values["a_as_b"], values["b_as_c"], values["recall_b"]) == (1, 2, 0.5)
    assert found.as_lists()["confusion"] == [3, 1, 0, 0, 2, 2, 0, 0, 0]


def test_against_scikit_learn() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(1)
    features, weights = rng.normal(size=(60, 4)), rng.normal(size=12)
    labels = rng.integers(1, 4, 60).astype(np.int8)
    found = recognise(weights, features, labels, 0.2, CLASSES)
    taken = (features @ blocks(weights, 3).T).argmax(axis=1) + 1
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, taken))
    balanced = metrics.balanced_accuracy_score(labels, taken)
    assert found.balanced_accuracy == pytest.approx(balanced)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, taken, average="macro"))
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(labels, taken))
    hinges = [
        metrics.hinge_loss(
            np.where(labels == k + 1, 1, -1), class_scores(weights, features, 3)[:, k]
        )
        for k in range(3)
    ]
    assert found.loss == pytest.approx(sum(hinges) + 0.1 * float(weights @ weights))


def test_confusion_and_majority() -> None:
    labels = np.array([1, 1, 3], dtype=np.int8)
    assert confusion_of(labels, np.array([1, 2, 3]), 3) == ((1, 1, 0), (0, 0, 0), (0, 0, 1))
    assert majority_share(labels) == 2 / 3
