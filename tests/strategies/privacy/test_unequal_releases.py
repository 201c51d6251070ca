"""dp-gd whose first upload has more of the budget: the promise is the same, exactly."""

from math import sqrt

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant

from federation.runner import run_one
from server.certification import privacy_of
from strategies.presets import compose
from strategies.privacy.accounting import epsilon_of_mu, mu_of_epsilon
from strategies.privacy.adversaries import Release
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.mechanisms import mechanism_of, spent_epsilon, upload_cost
from strategies.privacy.report_own import certify_own
from strategies.settings import SettingsError

DELTA = 1e-5
SHARED = {"first_share": 0.3}


def test_the_first_upload_has_its_share_of_the_budget_and_the_others_the_rest() -> None:
    mechanism = DPGradientDescent(2.0, DELTA, rounds=8, first_share=0.3)
    total = mu_of_epsilon(2.0, DELTA)
    assert mechanism.upload_mu_of(1) == pytest.approx(sqrt(0.3) * total, rel=1e-6)
    for number in range(2, 9):
        assert mechanism.upload_mu_of(number) == pytest.approx(sqrt(0.1) * total, rel=1e-6)
    assert mechanism.noise_std == mechanism.noise_std_of(1) < mechanism.noise_std_of(2)


@pytest.mark.parametrize("epsilon", [0.5, 2.0, 10.0])
def test_an_accountant_that_composes_release_by_release_finds_the_same_epsilon(
    epsilon: float,
) -> None:
    """Oracle: PLD of ten Gaussian events; it discretises by 1e-4, which rounds eps up a little."""
    mechanism = DPGradientDescent(epsilon, DELTA, first_share=0.3)
    oracle = PLDAccountant(
        dp_accounting.NeighboringRelation.REPLACE_ONE, value_discretization_interval=1e-4
    )
    for std in mechanism.noise_stds:
        oracle.compose(dp_accounting.GaussianDpEvent(std / mechanism.clip_norm))
    assert oracle.get_epsilon(DELTA) == pytest.approx(epsilon, rel=2e-3)


def test_without_a_share_nothing_changes_by_a_bit() -> None:
    plain, named = DPGradientDescent(1.0, DELTA), DPGradientDescent(1.0, DELTA, first_share=0.0)
    assert set(plain.noise_stds) == set(named.noise_stds) == {plain.noise_std}
    assert DPGradientDescent(1.0, DELTA, rounds=1, first_share=0.3).noise_std < plain.noise_std


def test_what_is_spent_adds_up_upload_by_upload_to_the_promise() -> None:
    settings = compose("dp-gd", {"epsilon": 2.0, **SHARED})
    mus = [upload_cost(settings, 27, 1.0, number)[0] for number in range(1, 11)]
    for uploads in (1, 2, 10):
        expected = epsilon_of_mu(sqrt(sum(mu * mu for mu in mus[:uploads])), DELTA)
        assert spent_epsilon(settings, 27, 1.0, uploads) == pytest.approx(expected, rel=1e-9)
    assert spent_epsilon(settings, 27, 1.0, 10) == pytest.approx(2.0, rel=1e-6)


def test_the_certificate_of_the_server_is_the_promise_and_the_eavesdropper_hears_the_worst() -> (
    None
):
    mechanism = DPGradientDescent(1.0, DELTA, first_share=0.3)
    table = certify_own(mechanism, [27] * 20, exposures=2, private_noise=True)["certified_epsilon"]
    assert table["server"]["proven"] == pytest.approx(1.0, rel=1e-6)
    squares = [mechanism.upload_mu_of(number) ** 2 for number in range(1, 11)]
    heard = sqrt(squares[0] + squares[1] + sum(squares[2:]) / 20)
    read = sqrt(sum(squares) / 20)
    assert table["eavesdropper"]["proven"] == pytest.approx(epsilon_of_mu(heard, DELTA))
    assert table["broadcast"]["proven"] == pytest.approx(epsilon_of_mu(read, DELTA))


def test_equal_noise_by_upload_is_equal_noise() -> None:
    shares = (0.25, 0.75)
    plain = Release(2.0, 1.0, shares, 4, 1)
    listed = Release(2.0, 1.0, shares, 4, 1, schedule=(2.0,) * 4)
    for adversary in ("server", "eavesdropper", "broadcast"):
        found = listed.mu(adversary, 0.5, 1)  # type: ignore[arg-type]
        assert found == pytest.approx(plain.mu(adversary, 0.5, 1))  # type: ignore[arg-type]


def test_fewer_planned_uploads_than_rounds_are_the_clinics_last() -> None:
    """Oracle: ten rounds of four planned uploads are four rounds, then refusals."""
    settings = compose("dp-gd", {"uploads": 4, **SHARED, "clients": 7})
    assert settings.releases == mechanism_of(settings).rounds == 4  # type: ignore[union-attr]
    run = run_one(settings.changed(rounds=4))
    four = run_one(compose("dp-gd", {**SHARED, "rounds": 4, "clients": 7}))
    np.testing.assert_array_equal(run.weights, four.weights)
    block = privacy_of(run)
    assert block["certified_epsilon"]["server"]["proven"] == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(
    ("strategy", "changes", "said"),
    [
        ("global-dp", SHARED, "--first-share is made for dp-gd"),
        ("dp-gd", {**SHARED, "noise": "discrete"}, "not proven of discrete noise"),
        ("global-dp", {"uploads": 3}, "--uploads spreads a proven epsilon"),
    ],
)
def test_what_does_not_go_together_is_refused(strategy: str, changes: dict, said: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(SettingsError, match=said):
        compose(strategy, changes)
