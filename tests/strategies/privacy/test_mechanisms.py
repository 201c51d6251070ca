"""dp-gd, certified and dp-sgd: sensitivity, calibration, units, one-alone-equals-stacked."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.privacy import certified, dp_gd
from strategies.privacy.accounting import AccountingError, epsilon_of_mu, get_epsilon
from strategies.privacy.certificate import CertificateError
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD, poisson_mask
from strategies.privacy.gradients import merge, pull_sum, unit_pulls
from strategies.privacy.units import FloatArray, group_units, stack_units

DELTA = 1e-5


def shards(rng: np.random.Generator, sizes: list[int], records: int = 3) -> list[FloatArray]:
    made = []
    for units in sizes:
        shard = rng.standard_normal((units, records, 4))
        shard[rng.random((units, records)) < 0.4] = 0.0
        made.append(shard)
    return made


# -- units ----------------------------------------------------------------------------------


def test_grouping_by_patient_keeps_every_record_once() -> None:
    signed = np.arange(1.0, 13.0).reshape(6, 2)
    grouped = group_units(signed, np.array([9, 4, 9, 7, 4, 9]))
    assert grouped.shape == (3, 3, 2)
    assert grouped[0].tolist() == [[3, 4], [9, 10], [0, 0]]  # patient 4: rows 1 and 4
    assert grouped[1].tolist() == [[7, 8], [0, 0], [0, 0]]  # patient 7: row 3
    assert grouped[2].tolist() == [[1, 2], [5, 6], [11, 12]]  # patient 9: rows 0, 2, 5
    assert group_units(signed).shape == (6, 1, 2)


def test_stacking_pads_with_zeros_and_counts_units() -> None:
    rng = np.random.default_rng(0)
    made = [rng.standard_normal((3, 1, 2)), rng.standard_normal((5, 2, 2))]
    stacked, count = stack_units(made)
    assert stacked.shape == (2, 5, 2, 2)
    assert count.tolist() == [3, 5]
    assert np.array_equal(stacked[0, :3, :1], made[0])
    assert not stacked[0, 3:].any()


# -- sensitivity ----------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0.01, 3.0))
@settings(max_examples=100, deadline=None)
def test_a_unit_of_any_size_moves_the_sum_by_at_most_2c(seed: int, clip_norm: float) -> None:
    rng = np.random.default_rng(seed)
    (shard,) = shards(rng, [6])
    other = shard.copy()
    other[-1] = rng.standard_normal((3, 4)) * 10 ** rng.uniform(-3, 3)
    weights = rng.standard_normal(4)
    assert np.linalg.norm(unit_pulls(weights, other, clip_norm), axis=-1).max() <= clip_norm * (
        1 + 1e-12
    )
    moved = pull_sum(weights, shard, clip_norm) - pull_sum(weights, other, clip_norm)
    assert np.linalg.norm(moved) <= 2 * clip_norm * (1 + 1e-12)


def test_two_opposite_units_reach_2c() -> None:
    pull = np.array([[[0.0, 5.0]]])
    moved = pull_sum(np.zeros(2), pull, 0.3) - pull_sum(np.zeros(2), -pull, 0.3)
    assert np.linalg.norm(moved) == pytest.approx(0.6, rel=1e-12)


@given(
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.integers(1, 15),
    st.floats(0.05, 1.0),
    st.floats(0.2, 2.0),
)
@settings(max_examples=150, deadline=None)
def test_certified_training_never_exceeds_its_certificate(
    seed: int, units: int, steps: int, rate_share: float, bound: float
) -> None:
    """``eta`` up to ``2 / beta``, a changed unit of several records, unclipped raw features."""
    rng = np.random.default_rng(seed)
    smoothing = rng.uniform(0.1, 2.0)
    mechanism = CertifiedRelease(
        1.0,
        DELTA,
        steps=steps,
        learning_rate=rate_share * 2 * smoothing / bound**2,
        feature_bound=bound,
        smoothing=smoothing,
        clip_norm=rng.choice([0.3, 10.0]),
    )
    (shard,) = shards(rng, [units])
    other = shard.copy()
    other[-1] = -shard[-1] if rng.random() < 0.5 else 5 * rng.standard_normal((3, 4))
    start = rng.standard_normal(4) * 0.3
    ends = [mechanism.train(start, rows, units) for rows in (shard, other)]
    distance = np.linalg.norm(ends[0] - ends[1])
    assert distance <= mechanism.certificate(units).value * (1 + 1e-12)


def test_certificate_of_the_default_is_the_hand_worked_one() -> None:
    mechanism = CertifiedRelease(1.0, DELTA)
    found = mechanism.certificate(28)
    assert found.value == pytest.approx(0.25, rel=1e-12)  # 2 x .5 x 10 x .7 / 28
    assert "Lemma 3.6" in found.derivation
    assert CertifiedRelease(1.0, DELTA, clip_norm=0.1).certificate(28).source == "worst"


def test_the_certificate_is_nearly_reached() -> None:
    """All records alike and on the slope: only the changed one differs, in every step."""
    mechanism = CertifiedRelease(1.0, DELTA, learning_rate=0.01)
    record = np.array([1.0, 0, 0, 0]) * mechanism.feature_bound
    shard = np.tile(record, (10, 1, 1))
    other = shard.copy()
    other[-1] *= -1
    ends = [mechanism.train(np.zeros(4), rows, 10) for rows in (shard, other)]
    distance = np.linalg.norm(ends[0] - ends[1])
    assert distance == pytest.approx(mechanism.certificate(10).value, rel=1e-9)


def test_too_long_a_step_is_refused() -> None:
    with pytest.raises(CertificateError, match="2 / beta"):
        CertifiedRelease(1.0, DELTA, learning_rate=2.1, smoothing=0.5)


# -- calibration ----------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 20.0])
def test_each_mechanism_spends_exactly_its_epsilon(epsilon: float) -> None:
    gd = DPGradientDescent(epsilon, DELTA)
    assert epsilon_of_mu(sqrt(gd.rounds) * gd.upload_mu, DELTA) == pytest.approx(epsilon, rel=1e-6)
    assert gd.upload_mu == pytest.approx(2 * gd.clip_norm / gd.noise_std, rel=1e-12)
    release = CertifiedRelease(epsilon, DELTA)
    mu = release.certificate(27).value / release.noise_std(27)
    assert epsilon_of_mu(sqrt(3) * mu, DELTA) == pytest.approx(epsilon, rel=1e-6)


def test_dp_sgd_spends_its_epsilon_by_pld_and_opacus_says_less() -> None:
    mechanism = DPSGD(1.0, DELTA)
    spent = get_epsilon(DELTA, mechanism.noise_multiplier, 10, 0.5)
    assert 0.999 < spent <= 1.0
    assert mechanism.spent(10) == spent
    assert mechanism.spent(1) < 0.5 * spent
    assert mechanism.opacus_epsilon() < 0.75 * spent  # add-remove is about half of replace-one


@pytest.mark.parametrize(
    "call",
    [
        lambda: DPGradientDescent(0.0, DELTA),
        lambda: DPGradientDescent(1.0, 1.0),
        lambda: DPGradientDescent(1.0, DELTA, rounds=0),
        lambda: DPGradientDescent(1.0, DELTA, clip_norm=float("inf")),
        lambda: CertifiedRelease(-1.0, DELTA),
        lambda: CertifiedRelease(1.0, DELTA, steps=0),
        lambda: DPSGD(1.0, 0.0),
        lambda: DPSGD(1.0, DELTA, batches=93),
    ],
)
def test_bad_calibration_is_refused_in_one_line(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AccountingError) as refused:
        call()
    assert "\n" not in str(refused.value)


# -- arithmetic -----------------------------------------------------------------------------


def test_one_dp_gd_step_by_hand() -> None:
    # Two records at w = 0: both violate; pulls (3, 4) -> (.6, .8) and (.3, 0) stays; sum (.9, .8)
    signed = np.array([[[3.0, 4.0]], [[0.3, 0.0]]])
    mechanism = DPGradientDescent(1.0, DELTA, clip_norm=1.0, learning_rate=2.0)
    moved = mechanism.upload(np.zeros(2), signed, 2, np.zeros(2))
    assert moved == pytest.approx([0.9, 0.8], rel=1e-12)
    noisy = mechanism.upload(np.zeros(2), signed, 2, np.array([1.0, 0.0]))
    assert noisy[0] - moved[0] == pytest.approx(mechanism.noise_std, rel=1e-12)


def test_one_certified_step_by_hand() -> None:
    # h = .5, margin .75 -> slope (1 - .75)/.5 = .5; eta .5, one record (.6, 0): w += .5*.5*.6
    mechanism = CertifiedRelease(1.0, DELTA, steps=1)
    moved = mechanism.train(np.array([1.25, 0.0]), np.array([[[0.6, 0.0]]]), 1)
    assert moved == pytest.approx([1.25 + 0.15, 0.0], rel=1e-12)


def test_a_patient_with_two_records_weighs_as_one() -> None:
    mechanism = CertifiedRelease(1.0, DELTA, steps=1)
    twice = mechanism.train(np.zeros(2), np.array([[[0.5, 0.0], [0.5, 0.0]]]), 1)
    once = mechanism.train(np.zeros(2), np.array([[[0.5, 0.0]]]), 1)
    assert twice == pytest.approx(once, rel=1e-15)


@pytest.mark.parametrize("name", ["dp-gd", "certified", "dp-sgd"])
def test_one_clinic_alone_gives_the_bits_of_the_stack(name: str) -> None:
    rng = np.random.default_rng(4)
    sizes = [27, 5, 28]
    made = shards(rng, sizes)
    stacked, count = stack_units(made)
    weights = rng.standard_normal((2, 1, 1, 4)) * 0.5  # seeds, eps, clinics
    normals = rng.standard_normal((5, 2, 6, 3, 4))
    taken = (rng.random((5, 2, 6, 3, 28)) < 0.5) * 1.0
    gd, release = DPGradientDescent(1.0, DELTA), CertifiedRelease(1.0, DELTA)
    sgd = DPSGD(1.0, DELTA, steps=5)

    def upload(w, rows, units, draws, masks):  # type: ignore[no-untyped-def]
        if name == "dp-sgd":
            return sgd.upload(w, rows, units, draws, masks)
        return (gd if name == "dp-gd" else release).upload(w, rows, units, draws[0])

    together = upload(weights, stacked, count, normals, taken)
    assert together.shape == (2, 6, 3, 4)
    for clinic, shard in enumerate(made):
        alone = upload(
            weights[1, 0, 0],
            shard,
            sizes[clinic],
            normals[:, 1, 3, clinic],
            taken[:, 1, 3, clinic, : sizes[clinic]],
        )
        assert np.array_equal(alone, together[1, 3, clinic])


@pytest.mark.parametrize("seeded", [True, False])
def test_sampling_takes_the_stated_share_independently(seeded: bool) -> None:
    """4,000 x 27 draws at q = 1/3: 6 standard errors, so that system draws fail 1 in 5e8."""
    calibration = DPSGD(2.0, DELTA, steps=4_000, batches=3)
    mask = poisson_mask(calibration, 27, 5 if seeded else None)
    assert mask.mean() == pytest.approx(1 / 3, abs=6 * sqrt(2 / 9 / mask.size))
    totals = mask.sum(axis=1)  # binomial, not a fixed batch size
    assert totals.var() == pytest.approx(27 * 2 / 9, rel=0.15)
    again = poisson_mask(calibration, 27, 5 if seeded else None)
    assert np.array_equal(mask, again) == seeded


def test_merge_is_the_weighted_average() -> None:
    uploads = np.array([[1.0, 0.0], [0.0, 4.0]])
    assert merge(uploads, np.array([0.25, 0.75])).tolist() == [0.25, 3.0]


def test_feature_maps_of_the_fixed_configurations() -> None:
    ten = np.full((1, 9), 10.0)
    assert dp_gd.features((1.0,) * 9, (10.0,) * 9)(ten)[0] == pytest.approx([1 / 3] * 9 + [0.6])
    assert certified.features((1.0,) * 9, (10.0,) * 9)(ten)[0] == pytest.approx([1.0] * 10)
