"""Random streams: addressed, independent of each other and of the order of calls, normal."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from datasets.seeding import Purpose as DataPurpose
from strategies.randomness import NoiseSource, Purpose, SeededNoise, SystemNoise, generator

ADDRESS = st.tuples(
    st.integers(0, 2**70),
    st.sampled_from(Purpose),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
DRAWS = 200_000


def sources() -> list[NoiseSource]:
    return [SeededNoise(7, Purpose.CLINIC_NOISE, 3), SystemNoise()]


@given(ADDRESS, st.integers(1, 50))
def test_a_stream_depends_on_its_address_alone(
    address: tuple[int, Purpose, int, int], size: int
) -> None:
    first = generator(*address).standard_normal(size)
    generator(1, Purpose.BATCHES).standard_normal(5)
    np.random.default_rng().standard_normal(3)
    assert generator(*address).standard_normal(size).tobytes() == first.tobytes()


@given(ADDRESS, ADDRESS)
def test_other_addresses_are_other_streams(
    first: tuple[int, Purpose, int, int], second: tuple[int, Purpose, int, int]
) -> None:
    same = (
        generator(*first).integers(2**63, size=4).tolist()
        == generator(*second).integers(2**63, size=4).tolist()
    )
    assert same == (first == second)


def test_rounds_and_identities_do_not_depend_on_the_order_of_calls() -> None:
    def draw(order: list[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        clinics = {i: SeededNoise(5, Purpose.CLINIC_NOISE, i) for i in range(3)}
        return {(i, t): clinics[i].standard_normal(10, t).tobytes() for i, t in order}

    places = [(i, t) for i in range(3) for t in range(1, 5)]
    forwards, backwards = draw(places), draw(places[::-1])
    assert forwards == backwards
    assert len(set(forwards.values())) == len(places)


def test_noise_data_and_training_never_share_a_seed() -> None:
    assert not {int(p) for p in Purpose} & {int(p) for p in DataPurpose}


def test_purposes_are_part_of_the_stream_and_must_never_change() -> None:
    assert {p.name: int(p) for p in Purpose} == {
        "CLINIC_NOISE": 1001,
        "SERVER_NOISE": 1002,
        "BATCHES": 1003,
        "HOSTILE_CLINICS": 1004,
        "ATTACK_MOMENT": 1005,
        "ATTACK_DRAWS": 1006,
        "UPLOAD_COST": 1007,
        "RATING_NOISE": 1008,
        "TYPE_ORDER": 3101,
        "TRUE_TOKENS": 3102,
        "FALSE_TOKENS": 3103,
        "EPISODES": 3104,
        "CAMERA": 3105,
        "DETECTOR": 3106,
        "ATTACK_KIND": 3107,
        "ATTACKER": 3108,
        "DELIVERY_COST": 3109,
    }
    # PCG64 of SeedSequence((1, 1001, 0, 1)): a changed address would silently change all results.
    drawn = SeededNoise(1, Purpose.CLINIC_NOISE, 0).standard_normal(2, 1)
    np.testing.assert_allclose(drawn, np.random.default_rng([1, 1001, 0, 1]).standard_normal(2))


def test_global_random_state_is_not_touched() -> None:
    before = np.random.get_state()[1].tobytes()  # type: ignore[union-attr,index]
    for source in sources():
        source.standard_normal(10, 1)
    assert np.random.get_state()[1].tobytes() == before  # type: ignore[union-attr,index]


def test_only_the_systems_noise_counts_as_private() -> None:
    assert [source.private for source in sources()] == [False, True]


@pytest.mark.parametrize("source", sources(), ids=lambda s: type(s).__name__)
def test_draws_are_standard_normal(source: NoiseSource) -> None:
    """Tolerances: five standard errors of each estimate at n draws, a false alarm in 10^6."""
    draws = source.standard_normal(DRAWS, 1)
    assert draws.shape == (DRAWS,)
    assert np.isfinite(draws).all()
    assert abs(draws.mean()) < 5 / sqrt(DRAWS)
    assert abs(draws.var() - 1) < 5 * sqrt(2 / DRAWS)
    assert abs((draws**3).mean()) < 5 * sqrt(15 / DRAWS)
    assert abs((draws**4).mean() - 3) < 5 * sqrt(96 / DRAWS)
    assert stats.kstest(draws, "norm").pvalue > 1e-6
    neighbours = np.corrcoef(draws[:-1], draws[1:])[0, 1]
    assert abs(neighbours) < 5 / sqrt(DRAWS)


def test_clinics_noise_is_uncorrelated() -> None:
    first, second = (
        SeededNoise(1, Purpose.CLINIC_NOISE, i).standard_normal(DRAWS, 1) for i in (0, 1)
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / sqrt(DRAWS)


def test_the_systems_noise_never_repeats() -> None:
    source = SystemNoise()
    seen = np.concatenate([source.standard_normal(50, 1) for _ in range(200)])
    assert len(np.unique(seen)) == len(seen)
    assert not np.array_equal(
        SystemNoise().standard_normal(5, 1), SystemNoise().standard_normal(5, 1)
    )


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_the_systems_noise_is_finite_for_the_most_extreme_bytes(
    byte: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.urandom", lambda n: bytes([byte]) * n)
    draws = SystemNoise().standard_normal(4, 1)
    assert np.isfinite(draws).all()
    assert np.abs(draws).max() < 9


@pytest.mark.parametrize("source", sources(), ids=lambda s: type(s).__name__)
def test_no_draws_are_no_draws(source: NoiseSource) -> None:
    assert source.standard_normal(0, 1).shape == (0,)
