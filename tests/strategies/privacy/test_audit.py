"""The audit: bounds against closed forms, power on true claims, refutation of a false one."""

from math import exp, log

import numpy as np
import pytest
from scipy.stats import beta, binom

from strategies.privacy.accounting import AccountingError, epsilon_of_mu, mu_of_epsilon
from strategies.privacy.audit import Game, play, summary
from strategies.privacy.audit_bounds import ceiling, clopper_pearson_upper, lower_bounds
from strategies.privacy.audit_games import (
    dp_sgd_game,
    global_dp_game,
    own_game,
    shared_noise_game,
)
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.global_dp import GlobalDP
from strategies.privacy.shared_noise import SharedNoise

DELTA = 1e-5
AUDITED = GlobalDP(1.0, DELTA, 0.3, 1, 1)


# -- bounds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "trials"), [(0, 100), (3, 100), (99, 100), (50, 10_000)])
def test_clopper_pearson_against_scipy_and_its_definition(successes: int, trials: int) -> None:
    upper = float(clopper_pearson_upper(successes, trials, 0.025))
    assert upper == pytest.approx(beta.ppf(0.975, successes + 1, trials - successes), rel=1e-9)
    assert binom.cdf(successes, trials, upper) == pytest.approx(0.025, rel=1e-6)


def test_clopper_pearson_edges() -> None:
    assert clopper_pearson_upper(10, 10, 0.05) == 1.0
    assert clopper_pearson_upper(0, 10, 0.05) == pytest.approx(1 - 0.05**0.1, rel=1e-9)


def test_two_worlds_that_never_overlap_give_the_ceiling() -> None:
    zeros, ones = np.zeros(20_000), np.ones(20_000)
    found = lower_bounds(zeros, ones, DELTA)
    # no error in 10,000 trials: rate below 1 - .025^(1/10000) = 3.69e-4, eps = ln((1-r-d)/r)
    rate = 1 - 0.025 ** (1 / 10_000)
    assert found.epsilon == pytest.approx(log((1 - rate - DELTA) / rate), rel=1e-9)
    assert ceiling(20_000, DELTA) == pytest.approx(found.epsilon, rel=1e-9)


def test_equal_worlds_prove_nothing() -> None:
    rng = np.random.default_rng(1)
    found = lower_bounds(rng.standard_normal(5_000), rng.standard_normal(5_000), DELTA)
    assert found.epsilon < 0.1
    assert found.epsilon_gdp < 0.2


def test_the_bound_respects_delta() -> None:
    """A release that publishes the record with probability delta is (0, delta)-DP."""
    without, revealed = np.zeros(4_000), np.zeros(4_000)
    revealed[:200] = 1.0  # 5 % of both halves
    np.random.default_rng(0).shuffle(revealed)
    assert lower_bounds(without, revealed, 0.1).epsilon == 0.0
    assert lower_bounds(without, revealed, DELTA).epsilon > 1.0


def test_pure_dp_bound_is_reached_by_randomised_response() -> None:
    """Truth with probability e / (1 + e): eps = 1 exactly, no Gaussian anywhere."""
    rng, honest = np.random.default_rng(3), exp(1) / (1 + exp(1))
    without = (rng.random(100_000) > honest) * 1.0
    with_canary = (rng.random(100_000) < honest) * 1.0
    found = lower_bounds(without, with_canary, 1e-9)
    assert 0.95 < found.epsilon <= 1.0


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(AccountingError):
        lower_bounds(np.zeros(3), np.ones(3), DELTA)


# -- claims ---------------------------------------------------------------------------------


def test_the_papers_claim_is_refuted_when_trained_to_convergence() -> None:
    result = play(global_dp_game(AUDITED, "converged"), np.random.default_rng(0))
    values = result.as_dict()
    assert values["claimed_epsilon"] == 1.0
    assert values["epsilon_lower_bound"] >= 5.0
    assert values["verdict"] == "refuted"
    assert values["runs"] == 20_000
    assert "REFUTED" in summary(result)
    assert result.scores_with.shape == result.scores_without.shape == (20_000,)


def test_paper_std_training_is_not_refuted() -> None:
    result = play(global_dp_game(AUDITED, "paper-std"), np.random.default_rng(0))
    assert not result.refuted
    assert result.bounds.epsilon < 0.5


@pytest.mark.parametrize("epsilon", [1.0, 5.0])
@pytest.mark.parametrize("make", [DPGradientDescent, CertifiedRelease])
def test_our_claims_are_not_refuted_and_nearly_reached(make, epsilon: float) -> None:  # type: ignore[no-untyped-def]
    result = play(own_game(make(epsilon, DELTA)), np.random.default_rng(2))
    assert not result.refuted
    assert result.bounds.epsilon_gdp > 0.4 * epsilon


def test_dp_sgd_is_not_refuted_and_has_no_gaussian_bound() -> None:
    result = play(dp_sgd_game(DPSGD(5.0, DELTA)), np.random.default_rng(2), runs=4_000)
    assert not result.refuted
    assert result.as_dict()["epsilon_lower_bound_gdp"] is None


def test_shared_noise_is_not_refuted_nearly_reached_and_caught_when_noise_is_missing() -> None:
    """With one clinic's share of five the sum's noise is that of epsilon 2.4, not 1."""
    mechanism = SharedNoise(1.0, DELTA, 1, 1.0, 10)
    whole = play(shared_noise_game(mechanism), np.random.default_rng(4))
    assert not whole.refuted
    assert whole.bounds.epsilon_gdp > 0.5
    alone = shared_noise_game(mechanism, present=1)
    assert play(alone, np.random.default_rng(5)).refuted


def test_a_mechanism_with_half_its_noise_is_caught() -> None:
    """The audit can fail one of ours: half the noise of eps 5 is worth eps 11 and more."""
    honest = DPGradientDescent(5.0, DELTA)
    game = own_game(honest)
    mean = [
        game.uploads(game.shard(canary), _NoNoise(), 1).mean(axis=0) for canary in (False, True)
    ]

    def half(signed, rng, runs):  # type: ignore[no-untyped-def]
        middle = mean[1] if signed[-1, 0] > 0 else mean[0]
        return middle + 0.5 * (game.uploads(signed, rng, runs) - middle)

    cheat = Game("cheat", 5.0, DELTA, game.record, game.records, half)
    assert play(cheat, np.random.default_rng(4), runs=100_000).refuted
    assert epsilon_of_mu(2 * mu_of_epsilon(5.0, DELTA), DELTA) > 11


class _NoNoise:
    """Stands for a generator whose normals are all zero."""

    def standard_normal(self, size: tuple[int, ...]) -> np.ndarray:
        """Return zeros."""
        return np.zeros(size)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1.0, 2.0, 5.0])
def test_power_and_error_rate_over_twenty_repetitions(epsilon: float) -> None:
    """200,000 runs: at least half the claim each time; above it in at most 4 of 20.

    The stated error is 5 %; a Binomial(20, 0.05) passes 4 with probability 0.26 %.
    """
    game = own_game(DPGradientDescent(epsilon, DELTA))
    found = [
        play(game, np.random.default_rng((6, repetition)), runs=200_000).bounds.epsilon_gdp
        for repetition in range(20)
    ]
    assert min(found) >= epsilon / 2
    assert sum(bound > epsilon for bound in found) <= 4


def test_bad_games_are_refused() -> None:
    with pytest.raises(AccountingError, match="unknown trainer"):
        global_dp_game(AUDITED, "hopeful")
    with pytest.raises(AccountingError, match="odd"):
        play(own_game(DPGradientDescent(1.0, DELTA), records=4), np.random.default_rng(0))
