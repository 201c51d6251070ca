"""Accounting against closed forms, scipy and dp-accounting's independent PLD."""

from math import exp, inf, nan, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from strategies.privacy.accounting import (
    AccountingError,
    compose,
    epsilon_of_mu,
    get_epsilon,
    get_noise_multiplier,
    mu_of_epsilon,
    mu_of_release,
)


def delta_of(mu: float, epsilon: float) -> float:
    """Balle and Wang, Thm. 8, written out independently of dp-accounting."""
    first = norm.cdf(mu / 2 - epsilon / mu)
    return float(first - exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu))


@given(st.floats(0.05, 8), st.sampled_from([1e-2, 1e-5, 1e-8]))
@settings(max_examples=40, deadline=None)
def test_exact_epsilon_solves_the_theorem(mu: float, delta: float) -> None:
    epsilon = epsilon_of_mu(mu, delta)
    if epsilon == 0:
        assert delta_of(mu, 0.0) <= delta
    else:
        assert delta_of(mu, epsilon) == pytest.approx(delta, rel=1e-6)


def test_hand_worked_epsilon_zero() -> None:
    # At eps = 0, delta = 2 Phi(mu/2) - 1: any delta above it costs nothing.
    total_variation = 2 * norm.cdf(0.5) - 1
    assert epsilon_of_mu(1.0, total_variation + 1e-9) == 0.0
    assert epsilon_of_mu(1.0, total_variation - 1e-9) > 0.0


def test_edges() -> None:
    assert epsilon_of_mu(0.0, 1e-5) == 0.0
    assert epsilon_of_mu(inf, 1e-5) == inf
    assert mu_of_epsilon(inf, 1e-5) == inf
    assert compose([]) == 0.0
    assert compose([1.0, inf]) == inf
    assert compose([3.0, 4.0]) == 5.0
    assert mu_of_release(0.0, 0.0) == 0.0
    assert mu_of_release(1.0, 0.0) == inf
    assert get_epsilon(1e-5, 0.0, 10) == inf
    assert get_epsilon(1e-5, 1.0, 0) == 0.0
    assert get_epsilon(1e-5, inf, 10) == 0.0
    assert get_noise_multiplier(1.0, 1e-5, 0) == 0.0


@given(st.floats(0.01, 60), st.sampled_from([1e-2, 1e-5]))
@settings(max_examples=40, deadline=None)
def test_mu_and_epsilon_are_inverse(epsilon: float, delta: float) -> None:
    assert epsilon_of_mu(mu_of_epsilon(epsilon, delta), delta) == pytest.approx(epsilon, rel=1e-6)


@pytest.mark.parametrize("relation", ["replace-one", "add-remove"])
@pytest.mark.parametrize(("z", "steps"), [(6.0, 1), (20.0, 10), (90.0, 100)])
def test_exact_within_one_percent_of_pld_in_the_same_relation(
    relation: str, z: float, steps: int
) -> None:
    """Pins both conventions: z = sigma / C, doubled by PLDAccountant, halved for the others."""
    exact = get_epsilon(1e-5, z, steps, accountant="gaussian", relation=relation)  # type: ignore[arg-type]
    pld = get_epsilon(1e-5, z, steps, accountant="pld", relation=relation)  # type: ignore[arg-type]
    rdp = get_epsilon(1e-5, z, steps, accountant="rdp", relation=relation)  # type: ignore[arg-type]
    assert exact <= pld <= 1.01 * exact  # PLD rounds the loss up
    assert pld < rdp < 1.5 * exact  # RDP is an upper bound, not tight


def test_replace_one_moves_a_sum_twice_as_far() -> None:
    assert get_epsilon(1e-5, 8.0, 4, accountant="gaussian") == pytest.approx(
        get_epsilon(1e-5, 4.0, 4, accountant="gaussian", relation="add-remove"), rel=1e-12
    )
    # sigma / C = 8, four steps: mu = 2 sqrt(4) / 8
    assert get_epsilon(1e-5, 8.0, 4, accountant="gaussian") == epsilon_of_mu(0.5, 1e-5)


def test_pld_of_one_subsampled_step_against_quadrature() -> None:
    """Independent oracle: the hockey-stick integral of the dominating pair of Poisson sampling."""
    from scipy.integrate import quad

    z, rate, delta = 2.0, 0.25, 1e-4
    epsilon = get_epsilon(delta, z, 1, rate, "pld", "add-remove")

    def excess(x: float) -> float:
        upper = (1 - rate) * norm.pdf(x / z) + rate * norm.pdf((x - 1) / z)
        return max(0.0, (upper - exp(epsilon) * norm.pdf(x / z)) / z)

    assert quad(excess, -30, 40, limit=400)[0] == pytest.approx(delta, rel=0.02)


def test_sampling_never_costs_more() -> None:
    full = get_epsilon(1e-5, 8.0, 10, 1.0)
    assert get_epsilon(1e-5, 8.0, 10, 0.9) < full
    assert get_epsilon(1e-5, 8.0, 10, 0.3) < 0.6 * full


@pytest.mark.parametrize(
    ("accountant", "relation", "rate"),
    [
        ("gaussian", "replace-one", 1.0),
        ("pld", "replace-one", 0.3),
        ("pld", "add-remove", 0.3),
        ("rdp", "add-remove", 0.3),
        ("opacus-rdp", "add-remove", 0.3),
    ],
)
def test_noise_multiplier_is_the_smallest_that_holds(
    accountant: str, relation: str, rate: float
) -> None:
    arguments = (8, rate, accountant, relation)
    z = get_noise_multiplier(1.0, 1e-5, *arguments)  # type: ignore[arg-type]
    assert get_epsilon(1e-5, z, *arguments) <= 1.0 + 1e-9  # type: ignore[arg-type]
    assert get_epsilon(1e-5, 0.999 * z, *arguments) > 1.0  # type: ignore[arg-type]


def test_opacus_agrees_with_dp_accounting_in_its_own_relation() -> None:
    ours = get_epsilon(1e-5, 2.0, 20, 0.2, "pld", "add-remove")
    assert get_epsilon(1e-5, 2.0, 20, 0.2, "opacus-prv", "add-remove") == pytest.approx(
        ours, abs=0.02
    )
    assert get_epsilon(1e-5, 2.0, 20, 0.2, "opacus-rdp", "add-remove") > ours


@pytest.mark.parametrize(
    "call",
    [
        lambda: epsilon_of_mu(-1.0, 1e-5),
        lambda: epsilon_of_mu(nan, 1e-5),
        lambda: epsilon_of_mu(1.0, 0.0),
        lambda: mu_of_epsilon(0.0, 1e-5),
        lambda: mu_of_release(1.0, -1.0),
        lambda: get_epsilon(1e-5, -1.0, 1),
        lambda: get_epsilon(1e-5, 1.0, -1),
        lambda: get_epsilon(1e-5, 1.0, 1, 1.5),
        lambda: get_epsilon(1e-5, 1.0, 1, accountant="no"),  # type: ignore[arg-type]
        lambda: get_epsilon(1e-5, 1.0, 1, relation="no"),  # type: ignore[arg-type]
        lambda: get_epsilon(1e-5, 1.0, 1, 0.5, "gaussian"),
        lambda: get_epsilon(1e-5, 1.0, 1, 0.5, "rdp"),
        lambda: get_epsilon(1e-5, 1.0, 1, 0.5, "opacus-rdp"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_line(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AccountingError) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_composition_of_releases_is_one_release_at_a_smaller_multiplier() -> None:
    assert compose([0.2] * 9) == pytest.approx(0.2 * sqrt(9), rel=1e-15)


@pytest.mark.parametrize(
    ("epsilon", "rate"),
    [
        (0.5, 1.0),
        (0.5, 0.5),
        (0.5, 0.1),
        (5.0, 1.0),
        (5.0, 0.5),
        pytest.param(5.0, 0.1, marks=pytest.mark.slow),  # as long as all the others together
    ],
)
def test_printed_eps_lies_between_the_optimistic_and_pessimistic_pld(
    epsilon: float, rate: float
) -> None:
    """Never below the optimistic side, within 1 % of the pessimistic one, on a finer grid."""
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

    accountant = "gaussian" if rate == 1 else "pld"
    z = get_noise_multiplier(epsilon, 1e-5, 10, rate, accountant)  # type: ignore[arg-type]
    printed = get_epsilon(1e-5, z, 10, rate, accountant)  # type: ignore[arg-type]
    sides = [
        from_gaussian_mechanism(
            z,
            sampling_prob=rate,
            pessimistic_estimate=pessimistic,
            value_discretization_interval=2e-4,
            neighboring_relation=NeighboringRelation.REPLACE_ONE,
        )
        .self_compose(10)
        .get_epsilon_for_delta(1e-5)
        for pessimistic in (False, True)
    ]
    assert sides[0] * (1 - 1e-9) <= printed
    assert printed == pytest.approx(sides[1], rel=0.01)
