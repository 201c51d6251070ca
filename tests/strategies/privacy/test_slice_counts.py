"""Ratings by noised counts: what one unit can move, how much noise, and what is a complaint."""

from math import sqrt

import numpy as np
import pytest
from dp_accounting.gaussian_mechanism import get_sigma_gaussian
from hypothesis import given
from hypothesis import strategies as st

from strategies.privacy.accounting import AccountingError, compose, epsilon_of_mu
from strategies.privacy.slice_counts import SliceCounts

COUNTS = SliceCounts(1.0, 1e-5, 10)
CLASSES = 3


def test_noise_is_that_of_ten_releases_that_cost_epsilon_one_together() -> None:
    assert COUNTS.sensitivity == pytest.approx(0.75 * sqrt(2))
    one = 0.75 * sqrt(2) * sqrt(10) * get_sigma_gaussian(1.0, 1e-5)
    assert COUNTS.noise_std == pytest.approx(one)
    assert COUNTS.noise_std == pytest.approx(12.513, abs=1e-3)
    assert epsilon_of_mu(compose([COUNTS.rating_mu] * 10), 1e-5) == pytest.approx(1.0, rel=1e-9)


def test_excess_by_hand_of_records_and_of_patients() -> None:
    wrong = np.array([True, False, False, True, True])
    slices = np.array([0, 0, 1, 1, 1])
    each = np.arange(5)
    assert COUNTS.excess(wrong, slices, each, 3).tolist() == [0.5, 1.25, 0.0]
    patients = np.array([0, 0, 0, 1, 1])  # means of (.75, -.25 | -.25) and of (| .75, .75)
    found = COUNTS.excess(wrong, slices, patients, 2)
    assert found == pytest.approx([0.5 / 3, -0.25 / 3 + 0.75])


Records = st.lists(st.tuples(st.booleans(), st.integers(0, CLASSES - 1)), min_size=1, max_size=4)


def excess(units: list[list[tuple[bool, int]]], counts: SliceCounts) -> np.ndarray:
    flat = [(wrong, place, number) for number, u in enumerate(units) for wrong, place in u]
    wrong, slices, of = (np.array(column) for column in zip(*flat, strict=True))
    return counts.excess(wrong, slices, of, CLASSES)


@given(st.lists(Records, min_size=1, max_size=5), Records, st.data(), st.floats(0.05, 0.95))
def test_replacing_a_unit_moves_the_counts_by_no_more_than_the_sensitivity(
    units: list[list[tuple[bool, int]]],
    other: list[tuple[bool, int]],
    data: st.DataObject,
    tolerated: float,
) -> None:
    counts = SliceCounts(1.0, 1e-5, 1, tolerated)
    place = data.draw(st.integers(0, len(units) - 1))
    others = [*units[:place], other, *units[place + 1 :]]
    moved = excess(others, counts) - excess(units, counts)
    assert np.linalg.norm(moved) <= counts.sensitivity * (1 + 1e-12)


@pytest.mark.parametrize("tolerated", [0.1, 0.25, 0.5, 0.9])
def test_the_sensitivity_is_reached(tolerated: float) -> None:
    counts = SliceCounts(1.0, 1e-5, 1, tolerated)
    corners = [(wrong, place) for wrong in (True, False) for place in range(2)]
    found = max(
        np.linalg.norm(excess([[one]], counts) - excess([[two]], counts))
        for one in corners
        for two in corners
    )
    assert found == pytest.approx(counts.sensitivity)


def test_a_complaint_is_more_than_two_deviations_of_the_noise() -> None:
    sigma = COUNTS.noise_std
    found = COUNTS.complaints(np.array([0.0, sigma, 3 * sigma]), np.array([1.99, 1.01, -0.99]))
    assert found.tolist() == [False, True, True]


def test_a_fair_slice_is_complained_of_in_two_percent_of_the_ratings() -> None:
    draws = np.random.default_rng(5).standard_normal(100_000)
    share = COUNTS.complaints(np.zeros(len(draws)), draws).mean()
    assert share == pytest.approx(0.02275, abs=5 * sqrt(0.02275 / len(draws)))


@pytest.mark.parametrize(
    "values",
    [(0.0, 1e-5, 1), (np.inf, 1e-5, 1), (1.0, 0.0, 1), (1.0, 1e-5, 0), (1.0, 1e-5, 1, 1.0)],
)
def test_what_is_no_calibration_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(AccountingError):
        SliceCounts(*values)  # type: ignore[arg-type]
