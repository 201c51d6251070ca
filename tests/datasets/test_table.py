"""The table refuses what would go wrong later, and cannot be changed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from datasets import DataError, Table
from datasets.bounds import LARGEST, check_pair

GOOD: dict[str, Any] = {
    "features": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    "labels": [1, -1, 1],
    "groups": [0, 1, 0],
    "feature_names": ("a", "b"),
    "classes": ("no", "yes"),
    "name": "toy",
}


def test_dtypes_and_length() -> None:
    table = Table(**GOOD)
    dtypes = [array.dtype.name for array in (table.features, table.labels, table.groups)]
    assert dtypes == ["float64", "int8", "int64"]
    assert len(table) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"features": [[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]]},
        {"features": [[1.0, 2.0], [3.0, np.inf], [5.0, 6.0]]},
        {"features": [[1.0], [2.0], [3.0]]},
        {"labels": [1, 0, 1]},
        {"labels": [1, 257, 1]},
        {"labels": [1, -1.5, 1]},
        {"labels": [1, -1]},
        {"labels": [[1], [-1], [1]]},
        {"groups": [0, -1, 0]},
        {"groups": [0, 0.5, 0]},
        {"groups": [0, 1]},
        {"feature_names": ("a", "a")},
        {"feature_names": ("a", "")},
        {"feature_names": ("a", " b")},
        {"feature_names": ("a", "b\n")},
        {"classes": ("yes", "yes")},
        {"classes": ("no", "maybe", "yes")},
        {"name": ""},
        {"bounds": ((0, 9),)},
        {"bounds": ((0, 9), (4, 4))},
        {"bounds": ((0, 9), (9, 0))},
        {"bounds": ((0, 9), (0, np.inf))},
        {"bounds": ((0, 9), (np.nan, 9))},
        {"bounds": ((0, 9), (0, 10**400))},
        {"bounds": ((0, 9), (0, 5e-324))},
        {"bounds": ((0, 9), (0, 9, 9))},
        {"bounds": ((0, 9), ("0", "9"))},
        {"bounds": ((0, 9), (False, 9))},
        {"public_bounds": True},
        {"features": [[1.0, 2.0], [3.0, 4.0], [1e301, 6.0]]},
    ],
)
def test_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        Table(**(GOOD | change))


def test_arrays_are_copies_and_read_only() -> None:
    features = np.array(GOOD["features"])
    table = Table(**(GOOD | {"features": features}))
    features[0, 0] = 99
    assert table.features[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        table.labels[0] = -1


def test_take_keeps_order_repeats_and_patient_numbers() -> None:
    taken = Table(**GOOD).take([2, 1, 2])
    assert taken.features.tolist() == [[5, 6], [3, 4], [5, 6]]
    assert taken.labels.tolist() == [1, -1, 1]
    assert taken.groups.tolist() == [0, 1, 0]
    assert (taken.feature_names, taken.classes, taken.name) == (("a", "b"), ("no", "yes"), "toy")


def test_observed_bounds_by_hand() -> None:
    table = Table(**(GOOD | {"features": [[1.0, 7.0], [3.0, 7.0], [-5.0, 7.0]]}))
    assert table.bounds == ((-5.0, 3.0), (6.5, 7.5))  # the second column is constant
    assert not table.public_bounds
    edge = [[LARGEST, 1e17], [LARGEST, 1e17], [LARGEST, 1e17]]  # where 0.5 is lost in rounding
    low, high = np.array(Table(**(GOOD | {"features": edge})).bounds).T
    assert (low < edge[0]).all()
    assert high.tolist() == [LARGEST, 1e17 + 16]
    empty = {"features": np.empty((0, 2)), "labels": [], "groups": []}
    assert Table(**(GOOD | empty)).bounds == ((0.0, 1.0), (0.0, 1.0))


@given(hnp.arrays(np.float64, (3, 2), elements=st.floats(-LARGEST, LARGEST)))
def test_observed_bounds_hold_every_value_with_room(features: NDArray[np.float64]) -> None:
    low, high = np.array(Table(**(GOOD | {"features": features})).bounds).T
    assert ((low <= features) & (features <= high)).all()
    assert (high - low > 0).all()
    assert np.isfinite((features - low) / (high - low)).all()


def test_stated_bounds_hold_every_value() -> None:
    table = Table(**(GOOD | {"bounds": [[1, 5], [0, 6]], "public_bounds": True}))
    assert table.bounds == ((1.0, 5.0), (0.0, 6.0))
    assert table.public_bounds
    for bounds in (((1, 5), (0, 5.9)), ((1, 5), (2.1, 6))):
        with pytest.raises(DataError, match=r"'b' has values outside its bounds"):
            Table(**GOOD, bounds=bounds, public_bounds=True)


def test_bounds_are_compared_as_floats() -> None:
    assert check_pair("x", [-(10**20), np.int64(3)]) == (-1e20, 3.0)
    with pytest.raises(DataError, match="low < high"):
        check_pair("x", [10**20, 10**20 + 1])  # one and the same float


@pytest.mark.parametrize("public", [False, True])
def test_take_keeps_the_bounds_of_the_whole_table(public: bool) -> None:
    bounds = {"bounds": ((-9, 9), (0, 99)), "public_bounds": True} if public else {}
    table = Table(**(GOOD | bounds))
    for rows in ([1], []):
        assert table.take(rows).bounds == table.bounds
        assert table.take(rows).public_bounds is public


def test_take_nothing() -> None:
    assert Table(**GOOD).take([]).features.shape == (0, 2)


@pytest.mark.parametrize("indices", [[3], [-1]])
def test_take_outside(indices: list[int]) -> None:
    with pytest.raises(IndexError):
        Table(**GOOD).take(indices)


def test_take_refuses_a_mask() -> None:
    with pytest.raises(TypeError, match="integer positions"):
        Table(**GOOD).take([True, False, True])
