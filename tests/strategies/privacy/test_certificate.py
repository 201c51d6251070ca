"""Certificates against real training: what is proven is never exceeded, the claim is."""

from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.learning.linear_svm import descend
from strategies.privacy.certificate import (
    CertificateError,
    SensitivityCertificate,
    smallest_proven,
)
from strategies.privacy.global_dp import clip


def test_hand_worked_values() -> None:
    assert SensitivityCertificate.claimed(0.5, 27).value == 1 / 27
    assert SensitivityCertificate.claimed(0.5, 27, changed=3).value == 3 / 27
    assert SensitivityCertificate.worst_case(0.5).value == 1.0
    drift = SensitivityCertificate.drift(0.001, 5, sqrt(10))
    assert drift.value == pytest.approx(0.0316227766, rel=1e-9)
    smooth = SensitivityCertificate.smooth(0.5, 10, 0.7, 28, smoothness=0.98)
    assert smooth.value == pytest.approx(0.25, rel=1e-12)


def test_a_step_of_two_over_beta_is_not_refused_for_its_rounding() -> None:
    """What CI once met: 2/beta worked out in another order lies one unit in the last place above."""
    rate, beta = 2.683116286705815, 0.7454019081876961
    assert rate > 2 / beta
    found = SensitivityCertificate.smooth(rate, 1, 1.1875, 1, smoothness=beta)
    assert found.value == pytest.approx(2 * rate * 1.1875, rel=1e-15)
    with pytest.raises(CertificateError, match="lower eta"):
        SensitivityCertificate.smooth(rate * (1 + 1e-9), 1, 1.1875, 1, smoothness=beta)


def test_in_paper_std_the_drift_bound_is_under_the_claim() -> None:
    claimed = SensitivityCertificate.claimed(0.5, 27)
    drift = SensitivityCertificate.drift(0.001, 5, sqrt(10), l2=0.001)
    worst = SensitivityCertificate.worst_case(0.5)
    assert drift.value < claimed.value
    assert smallest_proven([claimed, drift, worst]) is drift


def test_a_claim_or_a_measurement_is_never_chosen_as_proof() -> None:
    claimed = SensitivityCertificate.claimed(0.5, 27)
    seen = SensitivityCertificate.empirical([0.001, 0.002])
    assert seen.value == 0.002
    worst = SensitivityCertificate.worst_case(0.5)
    assert smallest_proven([claimed, seen, worst]) is worst
    with pytest.raises(CertificateError):
        smallest_proven([claimed, seen])


def test_every_certificate_says_where_it_comes_from() -> None:
    for item in (
        SensitivityCertificate.claimed(0.5, 27),
        SensitivityCertificate.worst_case(0.5),
        SensitivityCertificate.drift(0.1, 5, 2.0),
        SensitivityCertificate.smooth(0.1, 5, 2.0, 9, smoothness=4.0),
        SensitivityCertificate.empirical([1.0]),
    ):
        assert item.derivation
        assert item.assumptions
        assert item.as_dict()["value"] == item.value
    assert SensitivityCertificate.drift(0.1, 5, inf).as_dict()["value"] is None


def neighbours(rng: np.random.Generator, records: int, bound: float) -> tuple[np.ndarray, ...]:
    """Two shards (n, d) of signed records within ``bound`` that differ in the last record."""
    shard = rng.standard_normal((records, 4))
    shard *= bound / np.maximum(bound, np.linalg.norm(shard, axis=1, keepdims=True))
    other = shard.copy()
    other[-1] = -shard[-1] if rng.random() < 0.5 else rng.permutation(shard[-1])
    return shard, other


@given(
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.floats(1e-3, 1.0),
    st.integers(1, 12),
    st.floats(0.0, 1.0),
    st.floats(0.5, 4.0),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_hinge_descent_never_exceeds_the_drift_bound(
    seed: int, records: int, rate: float, steps: int, l2: float, bound: float, batched: bool
) -> None:
    rng = np.random.default_rng(seed)
    shard, other = neighbours(rng, records, bound)
    start = clip(rng.standard_normal(4), 0.5)
    batches = [rng.integers(0, records, (steps, 2)) if batched else None for _ in range(2)]
    ends = [
        clip(
            descend(start, rows, records, learning_rate=rate, steps=steps, l2=l2, batches=batch),
            0.5,
        )
        for rows, batch in zip((shard, other), batches, strict=True)
    ]
    certified = smallest_proven(
        [
            SensitivityCertificate.drift(rate, steps, bound, l2),
            SensitivityCertificate.worst_case(0.5),
        ]
    )
    assert np.linalg.norm(ends[0] - ends[1]) <= certified.value * (1 + 1e-12)


def test_one_crafted_record_drags_a_converged_model_across_the_ball() -> None:
    """27 equal records, 13 of each label and one that decides: the model turns round.

    ``x`` is the record with all attributes 10, norm sqrt(10), so the hinge minimiser has norm
    1 / sqrt(10) = 0.316 > B = 0.3 and both models end on opposite sides of the ball.
    """
    record, records, clip_norm = np.ones(10), 27, 0.3
    signs = np.array([1.0, -1.0] * 13 + [1.0])
    turned = signs.copy()
    turned[-1] = -1.0
    ends = [
        clip(
            descend(
                np.zeros(10),
                labels[:, None] * record,
                records,
                learning_rate=0.01,
                steps=2_000,
                l2=1e-3,
            ),
            clip_norm,
        )
        for labels in (signs, turned)
    ]
    distance = float(np.linalg.norm(ends[0] - ends[1]))
    claimed = SensitivityCertificate.claimed(clip_norm, records)
    assert distance == pytest.approx(27 * claimed.value, rel=1e-3)
    assert distance <= SensitivityCertificate.worst_case(clip_norm).value * (1 + 1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: SensitivityCertificate.claimed(-1.0, 27),
        lambda: SensitivityCertificate.claimed(0.5, 0),
        lambda: SensitivityCertificate.worst_case(inf),
        lambda: SensitivityCertificate.worst_case(nan),
        lambda: SensitivityCertificate.drift(2.0, 5, 1.0, l2=1.0),
        lambda: SensitivityCertificate.smooth(1.0, 5, 1.0, 9, smoothness=2.1),
        lambda: SensitivityCertificate.smooth(1.0, 5, 1.0, 9, smoothness=inf),
        lambda: SensitivityCertificate.empirical([]),
        lambda: SensitivityCertificate(1.0, "hoped", ""),  # type: ignore[arg-type]
        lambda: SensitivityCertificate(-1.0, "worst", ""),
    ],
)
def test_a_certificate_without_its_assumptions_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CertificateError) as refused:
        call()
    assert "\n" not in str(refused.value)
