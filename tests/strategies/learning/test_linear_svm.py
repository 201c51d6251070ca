"""The learner against hand-worked steps, a finite-difference oracle and scikit-learn."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from strategies.learning.linear_svm import (
    descend,
    draw_batches,
    hinge_loss,
    margins,
    sign_records,
)

COORDINATES = st.floats(-3, 3, allow_nan=False, width=32).map(float)


def records(seed: int, count: int, dimension: int = 4) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, dimension))
    return features, np.where(features[:, 0] + 0.3 * rng.normal(size=count) > 0, 1, -1).astype(
        np.int8
    )


def test_one_step_by_hand() -> None:
    """Records (1, 2)+ and (3, -1)-, w = (1, 0): margins 1 and -3; only the second violates."""
    signed = sign_records(np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([1, -1], dtype=np.int8))
    weights = np.array([1.0, 0.0])
    assert margins(weights, signed).tolist() == [1.0, -3.0]
    # gradient: l2 w - mean over both records of (-3, 1) = (0.5 + 1.5, -0.5)
    stepped = descend(weights, signed, 2.0, learning_rate=0.1, steps=1, l2=0.5)
    np.testing.assert_allclose(stepped, [1 - 0.1 * 2.0, 0.1 * 0.5], rtol=1e-15)
    # loss: mean(0, 4) + 0.5 / 2 * 1
    assert hinge_loss(weights, signed, 0.5) == pytest.approx(2.25, abs=1e-15)


def test_a_record_on_the_margin_pulls_no_more() -> None:
    signed = np.array([[1.0, 0.0]])
    weights = np.array([1.0, 0.0])
    same = descend(weights, signed, 1.0, learning_rate=1.0, steps=3, l2=0.0)
    assert same.tolist() == weights.tolist()


@given(arrays(np.float64, 3, elements=COORDINATES), st.integers(0, 10**6))
def test_the_step_is_the_gradient_of_the_loss_where_there_is_one(weights: Any, seed: int) -> None:
    features, labels = records(seed, 12, 3)
    signed = sign_records(features, labels)
    if np.abs(margins(weights, signed) - 1).min() < 1e-4:
        return
    step = descend(weights, signed, 12.0, learning_rate=1.0, steps=1, l2=0.1) - weights
    numeric = [
        (hinge_loss(weights + d, signed, 0.1) - hinge_loss(weights - d, signed, 0.1)) / 2e-6
        for d in 1e-6 * np.eye(3)
    ]
    np.testing.assert_allclose(-step, numeric, atol=1e-7)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 10**6))
def test_stacked_and_padded_clinics_are_single_clinics_to_the_last_bit(
    sizes: list[int], seed: int
) -> None:
    shards = [sign_records(*records(seed + i, n)) for i, n in enumerate(sizes)]
    padded = np.zeros((len(sizes), max(sizes) + 2, 4))
    for row, shard in zip(padded, shards, strict=True):
        row[: len(shard)] = shard
    start = np.random.default_rng(seed).normal(size=4)
    options: dict[str, Any] = {"learning_rate": 0.1, "steps": 4, "l2": 0.01}
    together = descend(start, padded, np.array(sizes, dtype=float), **options)
    for row, shard, size in zip(together, shards, sizes, strict=True):
        assert row.tobytes() == descend(start, shard, float(size), **options).tobytes()


def test_converged_descent_is_scikit_learns_hinge_svm() -> None:
    """LinearSVC(loss=hinge, C) minimises 1/2 w^2 + C sum hinge: ours with l2 = 1 / (C n)."""
    from sklearn.svm import LinearSVC

    features, labels = records(0, 60)
    l2 = 0.1
    oracle = LinearSVC(
        loss="hinge", C=1 / (l2 * 60), fit_intercept=False, tol=1e-10, max_iter=10**6
    )
    reference = oracle.fit(features, labels).coef_[0]
    signed = sign_records(features, labels)
    weights = np.zeros(4)
    for rate in (0.5, 0.05, 0.005, 0.0005):  # a subgradient method needs falling steps
        weights = descend(weights, signed, 60.0, learning_rate=rate, steps=2000, l2=l2)
    gap = hinge_loss(weights, signed, l2) - hinge_loss(reference, signed, l2)
    assert 0 <= gap + 1e-9 < 1e-4
    np.testing.assert_allclose(weights, reference, atol=0.02)


def test_full_batches_and_no_batches_agree() -> None:
    signed = sign_records(*records(3, 10))
    rows = np.tile(np.arange(10), (3, 1))
    options: dict[str, Any] = {"learning_rate": 0.1, "steps": 3, "l2": 0.01}
    plain = descend(np.zeros(4), signed, 10.0, **options)
    assert descend(np.zeros(4), signed, 10.0, batches=rows, **options).tobytes() == plain.tobytes()


def test_a_batch_step_uses_its_own_rows_and_divides_by_their_number() -> None:
    signed = sign_records(*records(4, 10))
    options: dict[str, Any] = {"learning_rate": 0.1, "steps": 1, "l2": 0.01}
    rows = np.array([[7, 2, 5]])
    batched = descend(np.ones(4), signed, 10.0, batches=rows, **options)
    np.testing.assert_array_equal(batched, descend(np.ones(4), signed[[7, 2, 5]], 3.0, **options))


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 40))
def test_batches_are_distinct_rows_of_the_asked_size(records_: int, steps: int, size: int) -> None:
    drawn = draw_batches(np.random.default_rng(1), records_, steps, size)
    assert drawn.shape == (steps, min(size, records_))
    for batch in drawn.tolist():
        assert len(set(batch)) == len(batch)
        assert set(batch) <= set(range(records_))


def test_every_row_is_drawn_equally_often() -> None:
    """Counts of 6,000 batches of 3 of 10 are binomial(6000, 0.3): five standard deviations."""
    drawn = draw_batches(np.random.default_rng(2), 10, 6000, 3)
    counts = np.bincount(drawn.ravel(), minlength=10)
    assert np.abs(counts - 1800).max() < 5 * np.sqrt(6000 * 0.3 * 0.7)
