"""Placement and repair on hand-worked cases."""

import numpy as np
import pytest

from datasets import DataError
from datasets.apportion import repair, shard_sizes


def test_sizes_by_largest_remainder() -> None:
    weights = np.array([1.0, 1.0, 2.0])
    # Quotas 2.5, 2.5, 5: the first of the tied remainders gets the odd row.
    assert shard_sizes(10, weights, 1).tolist() == [3, 2, 5]


def test_raising_one_shard_can_push_another_under_the_minimum() -> None:
    # Quotas of 12: .19, 3.05, 8.77. With 3 for the first, the second's share of 9 is 2.32.
    assert shard_sizes(12, np.array([1.0, 16.0, 46.0]), 3).tolist() == [3, 3, 6]


def test_repair_moves_the_smallest_that_can_be_spared() -> None:
    sizes = np.array([20, 5, 1, 2])
    owner = np.array([0, 0, 1, 2])
    # Shard 1 (1 row) gets the 5 of shard 0; then shard 2 (2 rows) gets the 1 of shard 1.
    assert repair(owner, sizes, 3, 3).tolist() == [0, 1, 2, 2]
    assert owner.tolist() == [0, 0, 1, 2]


def test_repair_leaves_what_is_in_order() -> None:
    owner = np.array([1, 0, 1, 0])
    assert repair(owner, np.ones(4, dtype=np.int64), 2, 2).tolist() == [1, 0, 1, 0]


def test_repair_says_when_it_is_stuck() -> None:
    with pytest.raises(DataError, match="no whole unit can be spared"):
        repair(np.array([0, 0]), np.array([5, 1]), 2, 3)
