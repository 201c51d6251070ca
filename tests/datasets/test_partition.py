"""Partitions: disjoint, covering, at or above the minimum, and skewed as asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from datasets import DataError, Table
from datasets.partition import ALPHA_BOUNDS, SCHEMES, partition
from tests.datasets.samples import table_of

patients = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from([1, -1])), min_size=1, max_size=40
).map(lambda pairs: table_of([size for size, _ in pairs], [label for _, label in pairs]))


def check_cover(table: Table, shards: list[NDArray[np.int64]], clients: int, minimum: int) -> None:
    """Assert what holds for every partition."""
    assert len(shards) == clients
    assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(len(table)))
    for shard in shards:
        assert shard.dtype == np.int64
        assert len(shard) >= minimum
        assert (np.diff(shard) > 0).all()


@given(
    table=patients,
    scheme=st.sampled_from(SCHEMES),
    seed=st.integers(0, 2**70),
    alpha=st.floats(*ALPHA_BOUNDS),
    data=st.data(),
)
def test_records_are_covered_with_the_minimum(
    table: Table, scheme: str, seed: int, alpha: float, data: st.DataObject
) -> None:
    clients = data.draw(st.integers(1, len(table)))
    minimum = data.draw(st.integers(1, len(table) // clients))
    shards = partition(table, clients, scheme, seed=seed, minimum=minimum, alpha=alpha)
    check_cover(table, shards, clients, minimum)
    if scheme == "iid":
        assert np.ptp([len(shard) for shard in shards]) <= 1


@given(
    table=patients,
    scheme=st.sampled_from(SCHEMES),
    seed=st.integers(0, 99),
    alpha=st.sampled_from([0.01, 0.5, 100]),
    data=st.data(),
)
def test_nobody_sits_in_two_shards(
    table: Table, scheme: str, seed: int, alpha: float, data: st.DataObject
) -> None:
    people = len(set(table.groups.tolist()))
    clients = data.draw(st.integers(1, people))
    shards = partition(table, clients, scheme, seed=seed, alpha=alpha, unit="patient")
    check_cover(table, shards, clients, 1)  # one each can always be had
    seen = np.concatenate([np.unique(table.groups[shard]) for shard in shards])
    assert len(seen) == people


@given(table=patients, scheme=st.sampled_from(SCHEMES), seed=st.integers(0, 99), data=st.data())
def test_patient_minimum_is_met_or_refused(
    table: Table, scheme: str, seed: int, data: st.DataObject
) -> None:
    clients = data.draw(st.integers(1, len(set(table.groups.tolist()))))
    minimum = data.draw(st.integers(1, len(table) // clients))
    try:
        shards = partition(table, clients, scheme, seed=seed, minimum=minimum, unit="patient")
    except DataError as error:
        # Whole patients of at most 6 rows, each to the shard that lacks most: a shard ends at most
        # 5 rows under its share, so whatever is that far below can be had.
        assert minimum > len(table) // clients - 5
        assert "found no way" in str(error)
    else:
        check_cover(table, shards, clients, minimum)


@given(weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=12), seed=st.integers(0, 9))
def test_sizes_follow_the_weights(weights: list[float], seed: int) -> None:
    table = table_of([1] * 600)
    shards = partition(table, len(weights), "sizes", seed=seed, sizes=weights)
    wanted = 600 * np.array(weights) / sum(weights)
    raised = sum(max(1 - size, 0) for size in wanted)  # what shards under the minimum were given
    for shard, size in zip(shards, wanted, strict=True):
        assert -1 - raised < len(shard) - max(size, 1) < 1


def test_sizes_by_hand() -> None:
    table = table_of([1] * 10)
    by_default = partition(table, 4, "sizes", seed=1)
    assert [len(shard) for shard in by_default] == [1, 2, 3, 4]
    raised = partition(table, 4, "sizes", seed=1, minimum=2, sizes=[1, 1, 1, 7])
    assert [len(shard) for shard in raised] == [2, 2, 2, 4]
    extreme = partition(table, 2, "sizes", seed=1, sizes=[1e-300, 1e300])
    assert [len(shard) for shard in extreme] == [1, 9]


def test_bcwd_among_20_clinics(bcwd: Table) -> None:
    sizes = [len(shard) for shard in partition(bcwd, 20, seed=1)]
    assert sorted(sizes) == [34] * 17 + [35] * 3
    by_patient = [len(shard) for shard in partition(bcwd, 20, seed=1, unit="patient")]
    assert sorted(by_patient) == sorted(sizes)  # singles enough to even out the rest


def test_iid_shards_are_random_samples(bcwd: Table) -> None:
    first = np.zeros(len(bcwd))
    for seed in range(400):
        first[partition(bcwd, 5, seed=seed)[0]] += 1
    # Binomial(400, .2): mean 80, std 8; the largest of 683 deviates by 3.2 std, 5.5 is far off.
    assert np.abs(first - 400 * 137 / 683).max() < 5.5 * 8


def skew(table: Table, shards: list[NDArray[np.int64]]) -> float:
    """Return the std of the malignant share over shards."""
    return float(np.std([(table.labels[shard] == 1).mean() for shard in shards]))


def test_dirichlet_skews_labels_the_more_the_smaller_alpha(bcwd: Table) -> None:
    spread = [
        np.mean([skew(bcwd, partition(bcwd, 10, "dirichlet", seed=s, alpha=a)) for s in range(20)])
        for a in (0.1, 1, 100)
    ]
    iid = np.mean([skew(bcwd, partition(bcwd, 10, seed=s)) for s in range(20)])
    assert spread[0] > 0.3
    assert spread[0] > spread[1] + 0.05 > spread[2] + 0.1
    assert abs(spread[2] - iid) < 0.05


def test_dirichlet_proportions_have_the_right_moments() -> None:
    """Var of a share under Dir(alpha, ..., alpha) over V: (1/V)(1 - 1/V) / (V alpha + 1)."""
    table = table_of([1] * 2000)
    shares = [
        [len(shard) / 2000 for shard in partition(table, 4, "dirichlet", seed=s, alpha=2.0)]
        for s in range(200)
    ]
    # Two labels of 1,000 are divided independently: half the variance of one.
    wanted = 0.25 * 0.75 / (4 * 2 + 1) / 2
    # 800 draws, weakly dependent: relative std of a variance about sqrt(2/600) = 6 %.
    assert np.var(shares) == pytest.approx(wanted, rel=0.25)


def test_dirichlet_repairs_what_redraws_cannot_help(bcwd: Table) -> None:
    """At alpha 1e-6 each label lands in one clinic: 18 of 20 stay empty however often drawn."""
    shards = partition(bcwd, 20, "dirichlet", seed=1, alpha=1e-6, minimum=5)
    check_cover(bcwd, shards, 20, 5)
    sizes = sorted(len(shard) for shard in shards)
    assert sizes[:18] == [5] * 18


def test_stuck_repair_starts_afresh() -> None:
    """Patients of 3, 3, 2, 2 rows give two clinics 5 each; moving the smallest first does not."""
    table = table_of([3, 3, 2, 2], [1, 1, 1, 1])
    shards = partition(table, 2, "dirichlet", seed=0, alpha=1e-6, minimum=5, unit="patient")
    assert [len(shard) for shard in shards] == [5, 5]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("unit", ["record", "patient"])
def test_seeded(bcwd: Table, scheme: str, unit: str) -> None:
    first, again, other = (partition(bcwd, 7, scheme, seed=s, unit=unit) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("clients", "changes", "why"),
    [
        (0, {}, "number of clients 0"),
        (-3, {}, "number of clients -3"),
        (2.0, {}, "number of clients 2.0"),
        (True, {}, "number of clients True"),
        (7, {}, "7 clients cannot share 6 records: take 6 or fewer"),
        (10**12, {}, "cannot share 6 records"),
        (4, {"unit": "patient"}, "4 clients cannot share 3 patients"),
        (3, {"minimum": 3}, "3 clients with at least 3 records each need 9, there are 6"),
        (3, {"minimum": 0}, "minimum shard size 0"),
        (2, {"unit": "patient", "minimum": 3}, "found no way to give 2 clients 3 records"),
        (2, {"scheme": "dirichlet", "alpha": 0}, "alpha 0"),
        (2, {"scheme": "dirichlet", "alpha": float("nan")}, "alpha nan"),
        (2, {"scheme": "dirichlet", "alpha": 1e300}, "alpha 1e+300"),
        (2, {"scheme": "sizes", "sizes": [1]}, "one for each of 2 clients"),
        (2, {"scheme": "sizes", "sizes": [1, 0]}, "above 0"),
        (2, {"scheme": "sizes", "sizes": [1, float("inf")]}, "finite"),
        (2, {"scheme": "sizes", "sizes": ["a", "b"]}, "must be 2 numbers"),
        (2, {"scheme": "dirichlett"}, "did you mean 'dirichlet'"),
        (2, {"unit": "clinic"}, "unknown unit 'clinic'"),
        (2, {"seed": -1}, "seed -1"),
    ],
)
def test_refuses(clients: int, changes: dict[str, object], why: str) -> None:
    table = table_of([4, 1, 1])
    with pytest.raises(DataError) as caught:
        partition(table, clients, **({"seed": 1} | changes))  # type: ignore[arg-type]
    assert why in str(caught.value)


def test_dirichlet_is_drawn_anew_before_it_is_repaired(bcwd: Table) -> None:
    """A repaired partition has a shard of exactly the minimum; redraws make that rare."""
    repaired = sum(
        min(map(len, partition(bcwd, 5, "dirichlet", seed=s, minimum=20))) == 20 for s in range(50)
    )
    once = sum(
        min(map(len, partition(bcwd, 5, "dirichlet", seed=s))) < 20 for s in range(50)
    )  # what a single draw leaves too small
    assert once > 15
    assert repaired < 5
