"""K hinges of a record in one flat vector: against K separate learners, and its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategies.learning.linear_svm import descend, hinge_loss, sign_records
from strategies.learning.one_versus_rest import (
    blocks,
    class_scores,
    gradient_bound,
    hinges_of,
    predict_classes,
    signed_rows,
)
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.gradients import unit_pulls
from strategies.privacy.units import group_units

Floats = NDArray[np.float64]


def drawn(seed: int, records: int = 12, classes: int = 3, dimension: int = 4) -> tuple[Floats, ...]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(records, dimension))
    labels = rng.integers(1, classes + 1, records).astype(np.int8)
    return features, labels, rng.normal(size=classes * dimension)


def test_rows_of_one_record_by_hand() -> None:
    rows = signed_rows(np.array([[2.0, 1.0]]), np.array([2], dtype=np.int8), 3)
    np.testing.assert_array_equal(
        rows, [[-2, -1, 0, 0, 0, 0], [0, 0, 2, 1, 0, 0], [0, 0, 0, 0, -2, -1]]
    )


def test_two_classes_are_the_binary_learner_to_the_last_bit() -> None:
    features = drawn(1)[0]
    labels = np.where(features[:, 0] > 0, 1, -1).astype(np.int8)
    assert signed_rows(features, labels, 2).tobytes() == sign_records(features, labels).tobytes()
    assert (hinges_of(2), hinges_of(3), hinges_of(7)) == (1, 3, 7)
    assert gradient_bound(0.3, 1) == 0.3


@pytest.mark.parametrize("batches", [None, [[0, 3, 5], [11, 2, 7], [1, 4, 6]]])
def test_one_vector_descends_as_k_separate_machines(batches: list[list[int]] | None) -> None:
    features, labels, start = drawn(2)
    picked = None if batches is None else np.array(batches)
    how = {"learning_rate": 0.2, "steps": 3, "l2": 0.1, "batches": picked}
    together = descend(start, signed_rows(features, labels, 3), 12.0, hinges=3, **how)
    for k in range(3):
        own = sign_records(features, np.where(labels == k + 1, 1, -1).astype(np.int8))
        apart = descend(blocks(start, 3)[k], own, 12.0, **how)
        np.testing.assert_allclose(blocks(together, 3)[k], apart, atol=1e-12)


def test_scores_and_classes_by_hand() -> None:
    weights = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
    scores = class_scores(weights, np.array([[3.0, 2.0], [1.0, 4.0]]), 3)
    np.testing.assert_array_equal(scores, [[3, 2, 2], [1, 4, 4]])
    assert predict_classes(scores).tolist() == [1, 2]  # the lowest of two that tie


def test_a_records_pull_is_what_torch_clips_of_a_model_with_k_outputs() -> None:
    torch = pytest.importorskip("torch")
    features, labels, start = drawn(3)
    units = group_units(signed_rows(features, labels, 3), hinges=3)
    ours = unit_pulls(start, units, 0.9)
    model = torch.nn.Linear(4, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(blocks(start, 3)))
    for record, label, pull in zip(features, labels, ours, strict=True):
        model.zero_grad()
        signs = torch.full((3,), -1.0, dtype=torch.float64)
        signs[int(label) - 1] = 1.0
        torch.relu(1.0 - signs * model(torch.tensor(record))).sum().backward()
        gradient = model.weight.grad.numpy().reshape(-1)
        clipped = -gradient * min(1.0, 0.9 / max(float(np.linalg.norm(gradient)), 1e-300))
        np.testing.assert_allclose(pull, clipped, atol=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(3, 6))
def test_the_sum_of_k_hinges_pulls_by_at_most_root_k(seed: int, classes: int) -> None:
    features, labels, start = drawn(seed, classes=classes)
    units = group_units(signed_rows(features, labels, classes), hinges=classes)
    pulls = unit_pulls(start, units, 1e300)
    bounds = [gradient_bound(float(np.linalg.norm(x)), classes) for x in features]
    assert (np.linalg.norm(pulls, axis=-1) <= np.array(bounds) * (1 + 1e-12)).all()
    reached = unit_pulls(np.zeros_like(start), units, 1e300)  # at 0 every hinge pulls
    np.testing.assert_allclose(np.linalg.norm(reached, axis=-1), bounds)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 4), st.booleans(), st.integers(1, 3))
def test_certified_training_moves_by_no_more_than_its_certificate(
    seed: int, classes: int, tracks: bool, steps: int
) -> None:
    classes = max(classes, 2)
    hinges = hinges_of(classes)
    rng = np.random.default_rng(seed)
    widest = 2 * hinges * 0.5 / 0.7**2  # eta = 2 / beta
    mechanism = CertifiedRelease(
        1.0, 1e-5, steps=steps, learning_rate=widest, clip_norm=1e6, hinges=hinges
    )
    features = 3 * rng.normal(size=(9, 4))
    labels = rng.integers(1, classes + 1, 9).astype(np.int8)
    labels = np.where(labels == 1, 1, -1).astype(np.int8) if classes == 2 else labels
    groups = np.arange(9) // 3 if tracks else None
    other, changed = features.copy(), slice(0, 3 if tracks else 1)
    other[changed] = 3 * rng.normal(size=other[changed].shape)
    start = rng.normal(size=hinges * 4)
    models = []
    for rows in (features, other):
        units = group_units(signed_rows(rows, labels, classes), groups, hinges)
        models.append(mechanism.train(start, units, len(units)))
    proven = mechanism.certificate(len(units)).value
    assert np.linalg.norm(models[0] - models[1]) <= proven * (1 + 1e-9)


def test_a_crafted_neighbour_reaches_the_certificate_of_one_step() -> None:
    """Records that always violate, at norm C, drive the neighbours apart by all of the bound."""
    mechanism = CertifiedRelease(
        1.0, 1e-5, steps=1, learning_rate=0.1, feature_bound=1.0, clip_norm=1e6, hinges=3
    )
    labels = np.ones(4, dtype=np.int8)
    one = np.tile([1.0, 0.0], (4, 1))
    other = one.copy()
    other[0] = [-1.0, 0.0]
    trained = [
        mechanism.train(np.zeros(6), group_units(signed_rows(rows, labels, 3), hinges=3), 4)
        for rows in (one, other)
    ]
    assert np.linalg.norm(trained[0] - trained[1]) == pytest.approx(mechanism.certificate(4).value)


def test_loss_is_the_mean_over_rows() -> None:
    features, labels, start = drawn(5)
    separate = [
        hinge_loss(
            blocks(start, 3)[k],
            sign_records(features, np.where(labels == k + 1, 1, -1).astype(np.int8)),
            0.0,
        )
        for k in range(3)
    ]
    rows = signed_rows(features, labels, 3)
    assert 3 * hinge_loss(start, rows, 0.0) == pytest.approx(float(np.sum(separate)))
