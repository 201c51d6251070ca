"""Hold-out: exact sizes, whole patients, and as close to the fraction as patients allow."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import DataError, Table, load_table
from datasets.split import holdout
from tests.datasets.samples import table_of

group_sizes = st.lists(st.integers(1, 9), min_size=2, max_size=9)


def test_683_records_give_546_and_137(bcwd: Table) -> None:
    train, test = holdout(bcwd, 0.2, "record", 3)
    assert (len(train), len(test)) == (546, 137)
    assert train.dtype == test.dtype == np.int64


def test_645_ids_stay_whole() -> None:
    table = load_table(missing="median")
    train, test = holdout(table, 0.2, "patient", 3)
    assert not set(table.groups[train]) & set(table.groups[test])
    assert len(set(table.groups[train]) | set(table.groups[test])) == 645
    assert len(test) == 140  # 0.2 * 699 = 139.8


def test_a_record_split_leaks_patients(bcwd: Table) -> None:
    shares = []
    for seed in range(50):
        train, test = holdout(bcwd, 0.2, "record", seed)
        shares.append(np.isin(bcwd.groups[test], bcwd.groups[train]).mean())
    assert 0.08 < np.mean(shares) < 0.16  # 0.119 over 1,000 seeds, as the data's note says


@given(sizes=group_sizes, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 9))
def test_patient_split_is_as_close_as_can_be(sizes: list[int], fraction: float, seed: int) -> None:
    table = table_of(sizes)
    train, test = holdout(table, fraction, "patient", seed)
    assert sorted([*train, *test]) == list(range(len(table)))
    assert not set(table.groups[train]) & set(table.groups[test])
    assert len(train)
    assert len(test)
    target = min(max(np.floor(fraction * len(table) + 0.5), 1), len(table) - 1)
    sums = {int(np.dot(pick, sizes)) for pick in product((0, 1), repeat=len(sizes))}
    possible = sums - {0, len(table)}
    assert abs(len(test) - target) == min(abs(total - target) for total in possible)


@given(rows=st.integers(2, 60), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 9))
def test_record_split_covers_and_is_sorted(rows: int, fraction: float, seed: int) -> None:
    train, test = holdout(table_of([1] * rows), fraction, "record", seed)
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(rows))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    assert len(test) == min(max(int(fraction * rows + 0.5), 1), rows - 1)


@pytest.mark.parametrize("unit", ["record", "patient"])
def test_every_record_is_held_out_equally_often(bcwd: Table, unit: str) -> None:
    times = np.zeros(len(bcwd))
    for seed in range(400):
        times[holdout(bcwd, 0.2, unit, seed)[1]] += 1
    # Binomial(400, .2): mean 80, std 8; the largest of 683 deviates by 3.2 std, 5.5 is far off.
    assert np.abs(times - 400 * 137 / 683).max() < 5.5 * 8
    repeated = np.bincount(bcwd.groups)[bcwd.groups] > 1
    # 96 rows: std of their mean is 8 / sqrt(96) = .8, twice that for whole patients.
    assert abs(times[repeated].mean() - times[~repeated].mean()) < 5


def test_seeded(bcwd: Table) -> None:
    first, again, other = (holdout(bcwd, 0.2, "record", seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_global_random_state_is_left_alone(bcwd: Table) -> None:
    state = str(np.random.get_state())
    holdout(bcwd, 0.2, "record", 1)
    assert str(np.random.get_state()) == state


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), "0.2", None])
def test_refuses_a_fraction(bcwd: Table, fraction: float) -> None:
    with pytest.raises(DataError, match="fraction"):
        holdout(bcwd, fraction, "record", 1)


@pytest.mark.parametrize("seed", [-1, 1.0, None, True])
def test_refuses_a_seed(bcwd: Table, seed: int) -> None:
    with pytest.raises(DataError, match="seed"):
        holdout(bcwd, 0.2, "record", seed)


def test_refuses_a_unit(bcwd: Table) -> None:
    with pytest.raises(DataError, match="did you mean 'patient'"):
        holdout(bcwd, 0.2, "patients", 1)


def test_refuses_a_single_patient() -> None:
    with pytest.raises(DataError, match=r"1 patient\(s\) cannot be split"):
        holdout(table_of([5]), 0.2, "patient", 1)
