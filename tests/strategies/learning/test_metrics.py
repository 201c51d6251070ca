"""Diagnostic metrics against hand counts, scikit-learn and the floors of the privacy note."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import load_table
from strategies.learning import metrics
from strategies.learning.metrics import auc, diagnose, floors

PAIRS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30)


def test_a_diagnosis_by_hand() -> None:
    """Scores 2, -1, 0, 3 of +, +, -, -: one found, one missed, one cleared (0), one alarmed."""
    features = np.array([[2.0], [-1.0], [0.0], [3.0]])
    labels = np.array([1, 1, -1, -1], dtype=np.int8)
    found = diagnose(np.array([1.0]), features, labels, l2=0.5)
    assert (found.true_positive, found.false_negative) == (1, 1)
    assert (found.true_negative, found.false_positive) == (1, 1)
    assert (found.accuracy, found.sensitivity, found.specificity) == (0.5, 0.5, 0.5)
    assert found.auc == 0.25  # of the four pairs only (2, 0) is in order
    assert found.loss == pytest.approx((0 + 2 + 1 + 4) / 4 + 0.25)


@pytest.mark.parametrize("at_once", [4096, 0], ids=["pair by pair", "on mid-ranks"])
@given(pairs=PAIRS)
def test_auc_is_scikit_learns_with_ties(at_once: int, pairs: list[tuple[int, bool]]) -> None:
    from sklearn.metrics import roc_auc_score

    scores = np.array([float(score) for score, _ in pairs])
    positive = np.array([case for _, case in pairs])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "PAIRS_AT_ONCE", at_once)
        found = auc(scores, positive)
    if positive.all() or not positive.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def test_a_rate_without_cases_is_undefined_and_not_zero() -> None:
    found = diagnose(np.ones(1), np.ones((3, 1)), np.full(3, -1, dtype=np.int8), 0.0)
    assert np.isnan(found.sensitivity)
    assert np.isnan(found.auc)
    assert found.specificity == 0.0


def test_floors_of_the_shipped_data_are_those_of_the_privacy_note() -> None:
    table = load_table()
    found = floors(table.features, table.labels, 3.0)
    assert found.majority == pytest.approx(444 / 683)
    assert round(found.mean_rule, 3) == 0.975
    swapped = floors(table.features, (-table.labels).astype(np.int8), 3.0)
    assert swapped.majority == found.majority
    assert swapped.mean_rule == pytest.approx(1 - found.mean_rule)
