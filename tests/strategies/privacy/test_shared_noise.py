"""Rounding within a norm, and the eps of noise that clinics share."""

from math import exp, inf, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.privacy.accounting import AccountingError, epsilon_of_mu, get_noise_multiplier
from strategies.privacy.discrete_accounting import epsilon_of_zcdp
from strategies.privacy.discrete_gaussian import ExactBits
from strategies.privacy.rounding import norm_before_rounding, round_rows, rounded_norm
from strategies.privacy.shared_noise import (
    COARSEST,
    Grid,
    SharedNoise,
    rho_of_epsilon,
    tau,
)


def bits(seed: int = 0) -> ExactBits:
    return ExactBits(np.random.default_rng(seed).bytes)


def test_the_rounded_norm_by_hand() -> None:
    # d = 4, L = 3: min(3 + 2, sqrt(9 + 1 + 3 + 1)) = sqrt(14)
    assert rounded_norm(3.0, 4) == pytest.approx(sqrt(14))
    assert rounded_norm(0.0, 4) == pytest.approx(sqrt(2))
    assert rounded_norm(0.1, 1) == pytest.approx(min(1.1, sqrt(0.01 + 0.25 + 0.6)))


@given(st.floats(0.0, 1e6), st.integers(1, 10**6))
def test_the_norm_before_rounding_is_the_inverse(norm: float, dimension: int) -> None:
    bound = rounded_norm(norm, dimension)
    assert norm_before_rounding(bound, dimension) == pytest.approx(norm, rel=1e-6, abs=1e-3)


@given(st.integers(1, 6), st.floats(0.5, 50.0), st.integers(0, 2**32))
def test_rounding_keeps_the_norm_and_moves_no_coordinate_by_a_step(
    dimension: int, norm: float, seed: int
) -> None:
    rows = np.random.default_rng(seed).normal(size=(5, dimension))
    rows *= norm / np.linalg.norm(rows, axis=1, keepdims=True)
    bound = rounded_norm(norm, dimension) * (1 + 1e-12)
    rounded = round_rows(rows, bound, bits(seed))
    assert np.all(np.linalg.norm(rounded, axis=1) <= bound)
    assert np.all(np.abs(rounded - rows) < 1.0)


def test_rounding_is_unbiased_where_the_norm_does_not_bind() -> None:
    rows = np.tile([0.25, -1.75, 3.0], (40_000, 1))
    mean = round_rows(rows, 100.0, bits()).mean(axis=0)
    # standard error of a Bernoulli(1/4): sqrt(3)/4 / 200 = 0.0022; five of them
    assert mean == pytest.approx([0.25, -1.75, 3.0], abs=0.011)


def test_tau_is_the_sum_of_the_theorem() -> None:
    # n = 3, sigma = 0.5: 10 (exp(-2 pi^2 / 4 * 1/2) + exp(-2 pi^2 / 4 * 2/3))
    assert tau(3, 0.5) == pytest.approx(10 * (exp(-(pi**2) / 4) + exp(-(pi**2) / 3)))  # type: ignore[arg-type]
    assert tau(1, 1) == 0.0
    assert (
        tau(1000, COARSEST) == 0.0
    )  # below the smallest double: the sum is as one discrete Gaussian


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 5.0, 20.0])
def test_rho_is_the_largest_that_keeps_epsilon(epsilon: float) -> None:
    rho = rho_of_epsilon(epsilon, 1e-5)
    assert epsilon * (1 - 1e-6) <= epsilon_of_zcdp(rho, 1e-5) <= epsilon
    assert epsilon_of_zcdp(rho * 1.0001, 1e-5) > epsilon


@pytest.mark.parametrize("unit_dimension", [1, 10, 1000])
@pytest.mark.parametrize("colluders", [0, 6])
@pytest.mark.parametrize("dropouts", [0, 3])
def test_the_whole_run_costs_what_was_asked(
    unit_dimension: int, colluders: int, dropouts: int
) -> None:
    mechanism = SharedNoise(0.5, 1e-5, 10, 0.6, unit_dimension, colluders, dropouts)
    rho = 10 * mechanism.round_rho(20, 20 - dropouts)
    assert 0.4999 < epsilon_of_zcdp(rho, 1e-5) <= 0.5


def test_the_noise_in_the_sum_is_little_more_than_one_exact_gaussian_needs() -> None:
    """sigma / sqrt(20) a clinic, with sigma 9 % above the exact Gaussian's at eps 0.5 by zCDP."""
    grid = SharedNoise(0.5, 1e-5, 10, 0.6, 10).grid(20)
    exact = 0.6 * get_noise_multiplier(0.5, 1e-5, 10, accountant="gaussian")
    assert 1.0 < grid.noise_std * sqrt(20) / exact < 1.1


def test_six_and_ten_colluders_cost_what_the_note_says() -> None:
    """At a claimed 0.5 with sigma / sqrt(20): 0.61 and 0.73 (exact Gaussian figures)."""
    mechanism = SharedNoise(0.5, 1e-5, 10, 0.6, 10)
    found = {
        count: epsilon_of_zcdp(10 * mechanism.round_rho(20, 20, count), 1e-5) for count in (6, 10)
    }
    assert found[6] == pytest.approx(0.61, abs=0.01)
    assert found[10] == pytest.approx(0.73, abs=0.01)


def test_without_noise_to_count_on_nothing_is_promised() -> None:
    mechanism = SharedNoise(0.5, 1e-5, 10, 0.6, 10, colluders=6)
    assert mechanism.round_rho(20, 6) == mechanism.mu(20, 6) == inf
    with pytest.raises(AccountingError, match="nobody's noise"):
        mechanism.grid(6)


@given(
    st.floats(0.05, 100.0),
    st.integers(1, 200),
    st.integers(1, 10**5),
    st.integers(3, 60),
    st.integers(20, 62),
)
def test_a_grid_is_fine_enough_and_has_room_or_is_refused(
    epsilon: float, rounds: int, dimension: int, cohort: int, modulus: int
) -> None:
    mechanism = SharedNoise(epsilon, 1e-5, rounds, 0.6, dimension, bits=modulus, largest=100)
    try:
        grid = mechanism.grid(cohort)
    except AccountingError as fault:
        assert "room" in str(fault)
        return
    assert grid.steps >= COARSEST
    assert mechanism.round_rho(cohort, cohort) <= mechanism.rho
    # nine standard deviations of the noise in the sum still fit beside the largest sum
    largest = cohort * 100 * grid.bound + 9 * grid.steps * sqrt(cohort)
    assert largest < 2 ** (modulus - 1)


@given(st.floats(0.05, 50.0), st.integers(3, 40), st.integers(1, 10**4), st.data())
def test_a_ledger_is_charged_at_least_what_is_proven(
    epsilon: float, cohort: int, dimension: int, data: st.DataObject
) -> None:
    survivors = data.draw(st.integers(1, cohort))
    mechanism = SharedNoise(epsilon, 1e-5, 10, 0.6, dimension, bits=60)
    charged = mechanism.mu(cohort, survivors)
    assert charged >= mechanism.mu_for_root * sqrt(2 * mechanism.round_rho(cohort, survivors))
    if survivors == cohort:
        assert epsilon_of_mu(sqrt(10) * charged, 1e-5) == pytest.approx(epsilon, rel=1e-6)


def test_a_contribution_is_rounded_sum_plus_noise() -> None:
    grid = Grid(width=0.01, steps=200, bound=1e9, bits=40)
    rows = np.full((7, 2000), 0.5)
    drawn = grid.contribution(rows, bits()) - 350
    # 2000 draws: mean within 4 standard errors, spread within 10 %
    assert abs(drawn.mean()) < 4 * 200 / sqrt(2000)
    assert drawn.std() == pytest.approx(200, rel=0.1)
    quiet = Grid(width=0.01, steps=0, bound=inf, bits=40)
    assert quiet.contribution(rows, bits()).tolist() == [350] * 2000


@pytest.mark.parametrize(
    "values", [{"epsilon": 0.0}, {"delta": 1.0}, {"rounds": 0}, {"clip_norm": 0.0}]
)
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    good = {"epsilon": 1.0, "delta": 1e-5, "rounds": 10, "clip_norm": 0.6, "dimension": 10}
    with pytest.raises(AccountingError):
        SharedNoise(**{**good, **values})  # type: ignore[arg-type]
