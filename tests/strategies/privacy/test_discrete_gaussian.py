"""Discrete Gaussian: the law by chi-square, exactness of its parts, and its accounting gap."""

from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest, norm

from strategies.privacy.accounting import AccountingError, epsilon_of_mu
from strategies.privacy.discrete_accounting import epsilon_of_zcdp, gap
from strategies.privacy.discrete_gaussian import (
    STEPS_PER_STD,
    DiscreteNoise,
    ExactBits,
    sample_discrete_gaussian,
    sample_discrete_laplace,
)

DELTA = 1e-5
LEVEL = 1e-4  # a correct sampler fails a test at this rate; seeds are fixed


def seeded(seed: int) -> ExactBits:
    return ExactBits(np.random.default_rng(seed).bytes)


def fits(drawn: np.ndarray, support: np.ndarray, weights: np.ndarray) -> float:
    """Chi-square p-value of integer draws against a law; cells under 10 expected are pooled."""
    expected = weights / weights.sum() * len(drawn)
    seen = np.array([(drawn == value).sum() for value in support], dtype=float)
    big = expected >= 10
    seen = np.append(seen[big], len(drawn) - seen[big].sum())
    expected = np.append(expected[big], expected[~big].sum())
    return float(chisquare(seen, expected * seen.sum() / expected.sum()).pvalue)


@pytest.mark.parametrize("std", [1, 2, 7, 30])
def test_law_of_the_discrete_gaussian(std: int) -> None:
    support = np.arange(-8 * std, 8 * std + 1)
    drawn = sample_discrete_gaussian(std, 100_000, seeded(std))
    assert fits(drawn, support, np.exp(-(support**2) / (2.0 * std * std))) > LEVEL


@pytest.mark.parametrize("scale", [1, 5])
def test_law_of_the_discrete_laplace(scale: int) -> None:
    support = np.arange(-40 * scale, 40 * scale + 1)
    drawn = sample_discrete_laplace(scale, 100_000, seeded(scale))
    assert fits(drawn, support, np.exp(-np.abs(support) / scale)) > LEVEL


def test_the_chi_square_test_can_fail() -> None:
    support = np.arange(-40, 41)
    drawn = sample_discrete_gaussian(5, 100_000, seeded(1))
    assert fits(drawn, support, np.exp(-(support**2) / (2 * 5.1**2))) < LEVEL


def test_at_the_default_grid_it_is_a_gaussian_to_the_eye() -> None:
    drawn = sample_discrete_gaussian(STEPS_PER_STD, 50_000, seeded(9)) / STEPS_PER_STD
    assert kstest(drawn, "norm").pvalue > LEVEL
    assert len(np.unique(drawn)) > 49_000


def test_uniform_integers_have_no_modulo_bias() -> None:
    """A bound of 3/4 of 2^62: without rejection the lower third would be drawn too often."""
    bound = 3 * (1 << 60)
    drawn = seeded(2).below(bound, 60_000)
    thirds = np.histogram(drawn, bins=[0, bound // 3, 2 * (bound // 3), bound])[0]
    assert chisquare(thirds).pvalue > LEVEL
    assert drawn.min() >= 0
    assert drawn.max() < bound


@pytest.mark.parametrize("numerator", [0, 1, 3, 7, 20])
def test_bernoulli_of_an_exponential(numerator: int) -> None:
    """P = exp(-n/4); 5 standard errors."""
    n, p = 40_000, exp(-numerator / 4)
    share = seeded(3 + numerator).exp_minus(np.full(n, numerator), 4).mean()
    assert abs(share - p) <= 5 * sqrt(p * (1 - p) / n) + 1e-12


def test_a_source_that_starts_with_too_large_numbers_is_asked_again() -> None:
    answers = [b"\xff" * 8, (10).to_bytes(8, "little")]
    bits = ExactBits(lambda size: answers.pop(0))
    assert bits.below(3, 1).tolist() == [2]  # 2^63 - 1 is past the last multiple of 3; 5 % 3 = 2


@given(st.floats(1e-3, 1e3), st.lists(st.floats(-50, 50), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_added_noise_is_whole_steps_on_the_rounded_value(std: float, values: list[float]) -> None:
    noise = DiscreteNoise(std, steps_per_std=64)
    array = np.array(values)
    noised = noise.add(array, seeded(0))
    alone = sample_discrete_gaussian(64, len(values), seeded(0))
    assert np.array_equal(noised - alone, np.rint(array / noise.grid).astype(np.int64))
    assert np.linalg.norm(np.rint(array / noise.grid) * noise.grid - array) <= (
        sqrt(len(values)) * noise.grid / 2 * (1 + 1e-6) + 1e-9
    )


def test_sensitivity_after_rounding() -> None:
    noise = DiscreteNoise(2.0, steps_per_std=8)
    assert noise.grid == 0.25
    assert noise.sensitivity(1.0, 9) == 1.75  # three steps more


@pytest.mark.parametrize(
    "call",
    [
        lambda: DiscreteNoise(0.0),
        lambda: DiscreteNoise(1.0, steps_per_std=(1 << 20) + 1),
        lambda: sample_discrete_gaussian(0, 1),
        lambda: DiscreteNoise(1.0).add(np.array([np.nan])),
        lambda: DiscreteNoise(1.0).add(np.array([1e300])),
        lambda: epsilon_of_zcdp(-1.0, DELTA),
        lambda: epsilon_of_zcdp(1.0, 0.0),
    ],
)
def test_what_cannot_be_noised_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AccountingError):
        call()


# -- accounting -----------------------------------------------------------------------------


def test_zcdp_conversion_is_above_the_exact_curve_and_below_the_classic() -> None:
    for mu in (0.05, 0.27, 1.0, 4.0):
        rho = mu * mu / 2
        classic = rho + 2 * sqrt(rho * np.log(1 / DELTA))  # Bun and Steinke 2016
        assert epsilon_of_mu(mu, DELTA) < epsilon_of_zcdp(rho, DELTA) < classic


def test_zcdp_conversion_against_a_grid_search() -> None:
    rho, orders = 0.04, 1 + np.logspace(-3, 5, 200_001)
    curve = (
        orders * rho + np.log1p(-1 / orders) + (np.log(1 / DELTA) - np.log(orders)) / (orders - 1)
    )
    assert epsilon_of_zcdp(rho, DELTA) == pytest.approx(curve.min(), rel=1e-6)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0, 5.0])
def test_the_stated_gap_is_below_ten_percent(epsilon: float) -> None:
    from strategies.privacy.accounting import mu_of_epsilon

    mu = mu_of_epsilon(epsilon, DELTA)
    found = gap(mu / sqrt(10), 1.0, releases=10, dimension=10, delta=DELTA)
    assert found.continuous == pytest.approx(epsilon, rel=1e-6)
    assert 1.0 < found.ratio < 1.10
    # of which rounding is next to nothing
    assert found.proven == pytest.approx(epsilon_of_zcdp(mu * mu / 2, DELTA), rel=1e-3)


@pytest.mark.parametrize(("std", "shift"), [(32, 8), (32, 40), (200, 60)])
def test_in_one_dimension_the_exact_curve_is_the_continuous_one(std: int, shift: int) -> None:
    """Theorem 7 summed up: delta at the continuous eps, within 2 % of the continuous delta."""
    epsilon = epsilon_of_mu(shift / std, 1e-3)
    support = np.arange(-20 * std, 20 * std + 1)
    mass = np.exp(-(support**2) / (2.0 * std * std))
    mass /= mass.sum()
    loss = (shift**2 + 2 * support * shift) / (2.0 * std * std)
    delta = np.maximum(0.0, 1 - np.exp(epsilon - loss))[loss > epsilon] @ mass[loss > epsilon]
    assert delta == pytest.approx(1e-3, rel=0.02)
    assert norm.cdf(0) == 0.5
