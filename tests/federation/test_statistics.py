"""Means, spreads and intervals against hand-worked numbers and scipy.stats."""

import json
from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from federation.statistics import paired_difference, reproduction_tolerance, summarise

rates = st.lists(st.floats(0, 1), min_size=2, max_size=40)


def test_five_values_by_hand() -> None:
    summary = summarise([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451051977934 * sqrt(2.5) / sqrt(5)  # t(0.975, 4) from a printed table
    assert summary.mean == 3.0
    assert summary.std == pytest.approx(sqrt(2.5), rel=1e-14)
    assert summary.ci95_low == pytest.approx(3.0 - half, rel=1e-12)
    assert summary.ci95_high == pytest.approx(3.0 + half, rel=1e-12)
    assert summary.n == 5


@given(rates)
def test_interval_is_scipys(values: list[float]) -> None:
    summary = summarise(values)
    error = stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), max(error, 1e-300))
    assert summary.ci95_low == pytest.approx(low, abs=1e-9)
    assert summary.ci95_high == pytest.approx(high, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 5))
def test_undefined_runs_are_left_out_and_not_counted(values: list[float], undefined: int) -> None:
    summary = summarise(values + [float("nan")] * undefined)
    assert summary.n == len(values)
    assert summary.mean == pytest.approx(np.mean(values))


def test_what_few_seeds_cannot_say_is_nan_and_null_in_json() -> None:
    one, none = summarise([0.5]), summarise([float("nan")])
    assert one.mean == 0.5 and isnan(one.std) and isnan(one.ci95_low)
    assert none.n == 0 and isnan(none.mean)
    text = json.dumps(one.as_dict(), allow_nan=False)
    assert json.loads(text) == {
        "mean": 0.5,
        "std": None,
        "ci95_low": None,
        "ci95_high": None,
        "n": 1,
    }


@given(rates, st.floats(-0.5, 0.5))
def test_pairing_removes_what_both_share(values: list[float], shift: float) -> None:
    difference = paired_difference(np.asarray(values) + shift, values)
    assert difference.mean == pytest.approx(shift, abs=1e-12)
    assert difference.std == pytest.approx(0.0, abs=1e-12)


def test_a_pair_with_an_undefined_half_is_left_out() -> None:
    difference = paired_difference([1.0, float("nan"), 5.0], [0.0, 1.0, 2.0])
    assert (difference.mean, difference.n) == (2.0, 2)


def test_pairs_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many seeds, got 2 and 1"):
        paired_difference([1.0, 2.0], [1.0])


def test_tolerance_of_the_reproduction_table() -> None:
    assert reproduction_tolerance(6.0, 100) == pytest.approx(18 * sqrt(4 / 300))
    assert reproduction_tolerance(6.0, 300) == pytest.approx(18 * sqrt(2 / 300))
