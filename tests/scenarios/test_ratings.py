"""Clinics that rate the model by noised counts, in whole runs: ledgers, reports, liars, keys."""

from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from federation.cli import main
from federation.runner import run_one
from server.certification import privacy_of
from server.federation import run_federation
from server.fingerprint import identity_of
from server.seals import SIGNED
from server.state.accounts import uploads_of
from server.state.run_keeper import new_run
from server.state.store import StateStore
from strategies.learning.task import federation_of
from strategies.market_settings import reputation_of
from strategies.presets import compose
from strategies.privacy.accounting import compose as composed
from strategies.privacy.accounting import epsilon_of_mu, mu_of_epsilon
from strategies.privacy.ledger_store import LedgerStore
from strategies.privacy.mechanisms import slice_counts_of
from strategies.reputation import ReputationLedger
from strategies.settings import Settings, SettingsError
from tests.peers import grid_of
from tests.server.state.machines import Machines

NOISED: dict[str, Any] = {
    "selection": "reputation",
    "detector": "algorithm1",
    "ratings": "noised",
    "clients": 7,
    "rounds": 4,
}


def rated(privacy: str, **changes: Any) -> Settings:
    return compose(privacy, {**NOISED, "epsilon": 2.0, "delta": 1e-5, **changes})


LIKELIHOOD = {"detector": "likelihood", "ratings": "public"}
ALONE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("dp-gd", "certified", "global-dp"), LIKELIHOOD),
    "dp-sgd": {"ratings": "public"},
}
"""The same uploads without ratings."""


@pytest.mark.parametrize(
    "privacy",
    ["dp-gd", "certified", "global-dp", pytest.param("dp-sgd", marks=pytest.mark.slow)],
)
def test_the_report_certifies_uploads_and_ratings_together(privacy: str) -> None:
    both, alone = (
        privacy_of(run_one(rated(privacy, **changes)))
        for changes in ({"rating_epsilon": 1.0}, ALONE[privacy])
    )
    assert both["ratings"]["epsilon"] == 1.0
    assert both["ratings"]["noise_std"] == pytest.approx(
        0.75 * sqrt(2) * sqrt(4) / mu_of_epsilon(1.0, 1e-5)
    )
    assert sum("was asked of uploads and 1 of ratings" in w for w in both["warnings"]) == 1
    assert "ratings" not in alone
    for adversary, row in both["certified_epsilon"].items():
        for name, epsilon in row.items():
            uploads = alone["certified_epsilon"][adversary][name]
            if privacy == "dp-sgd":  # by PLD, which rounds up
                assert uploads < epsilon < uploads + 1.0
                continue
            parts = (mu_of_epsilon(uploads, 1e-5), mu_of_epsilon(1.0, 1e-5))
            assert epsilon == pytest.approx(epsilon_of_mu(composed(parts), 1e-5), rel=1e-6)


def test_each_clinics_ledger_comes_to_what_the_report_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = rated("dp-gd", ledger=str(tmp_path / "ledger.db"))
    run = run_one(settings)
    assert all(record.metrics["clients-rated"] == 7 for record in run.rounds[1:])
    assert not len(federation_of(settings).public)
    certified = privacy_of(run)["certified_epsilon"]["server"]["proven"]
    store = LedgerStore(f"sqlite:///{tmp_path / 'ledger.db'}")
    for name in store.names():
        ledger = store.load(name)
        assert ledger.epsilon("server", 1e-5) == pytest.approx(certified)
        assert ledger.uploads() == 4
        assert len(ledger.charges) == 8
    assert len(store.names()) == 7
    store.close()
    assert main(["runs", "show", "--ledger", str(tmp_path / "ledger.db")]) == 0
    said = capsys.readouterr().out
    assert said.count(f"epsilon {certified:.4g} by 4 uploads and 4 ratings in 1 runs") == 7


def test_who_has_no_budget_for_ratings_is_not_asked_for_more_and_uploads_on() -> None:
    """A limit that four uploads fit in, and one and a half dear ratings."""
    settings = rated("dp-gd", rating_epsilon=20.0)
    mu, one = mu_of_epsilon(2.0, 1e-5), slice_counts_of(settings).rating_mu * sqrt(1.5)
    grid = grid_of(settings)
    poor = [grid._contexts[node] for node in sorted(grid._contexts)][3]
    poor.node_config["max-epsilon"] = epsilon_of_mu(composed((mu, one)), 1e-5) * 1.001
    run = run_federation(grid, settings)
    raters = [set(record.details["ratings"]) for record in run.rounds[1:]]
    assert ["partition:3" in found for found in raters] == [True, False, False, False]
    refused = [(r.round, v["message_type"]) for r in run.rounds for v in r.verdicts]
    assert refused == [(2, "evaluate")]
    assert all("partition:3" in record.uploaded for record in run.rounds[1:])


def test_deployed_clinics_rate_too_and_their_accounts_say_what_both_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIGNED, "1")
    settings, state = rated("dp-gd"), tmp_path / "state.db"
    grid = Machines(settings, tmp_path)
    keeper = new_run(StateStore(str(state)), identity_of(settings))
    run = run_federation(grid, settings, deployed=True, keeper=keeper)
    assert run.rounds[-1].metrics["clients-rated"] == 7
    plain = run_one(settings)
    assert (run.weights == plain.weights).all()
    store = StateStore(str(state))
    with store.reading() as connection:
        uploads = uploads_of(connection)
    store.close()
    certified = privacy_of(run)["certified_epsilon"]["server"]["proven"]
    for name in grid.names:
        total = composed(cost.mu or 0.0 for cost in uploads[name])
        assert epsilon_of_mu(total, 1e-5) == pytest.approx(certified)


@pytest.mark.slow
@pytest.mark.ray
def test_on_ray_clinics_rate_the_same() -> None:
    plain, ray = (run_one(rated("dp-gd", backend=backend)) for backend in ("inprocess", "ray"))
    assert (plain.weights == ray.weights).all()
    seen = [record.details["ratings"] for record in plain.rounds[1:]]
    assert seen == [record.details["ratings"] for record in ray.rounds[1:]]


@pytest.mark.parametrize("how", ["bad-mouth", "praise"])
def test_bad_mouths_complain_and_nobody_else_where_the_model_is_good(how: str) -> None:
    values = {"clients": 20, "rounds": 10, "epsilon": 20.0, "ratings": "public"}
    run = run_one(rated("dp-gd", attack="drift", attackers=6, rating_attack=how, **values))
    assert run.final["accuracy"] > 0.9
    found = run.rounds[-1].details["ratings"]
    assert {name for name, bits in found.items() if bits[0] != 3} == set()
    complained = {name for name, bits in found.items() if bits[1]}
    assert complained == (set(run.attackers) if how == "bad-mouth" else set())


@pytest.mark.parametrize(("liars", "shut"), [(6, False), (8, False), (9, True)])
def test_liars_alone_shut_nobody_out_until_they_are_more_than_two_in_five(
    liars: int, shut: bool
) -> None:
    """By hand: q of 20 users blame a clinic and p speak for it; R < theta once .6 q > .4 p."""
    settings = rated("dp-gd")
    ledger = ReputationLedger(1, 20, reputation_of(settings))
    for _ in range(10):
        ledger.record_counts([20 - liars], [liars])
        assert bool(ledger.trusted()[0]) != shut


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"privacy": "none"}, "--ratings noised protects counts of records whose uploads have no"),
        ({"noise": "discrete"}, "--ratings noised draws continuous noise"),
        ({"public_records": 40}, "--public-records does nothing here: add --ratings public"),
        ({"detector": "likelihood"}, "--ratings does nothing here: add --selection reputation"),
        ({"ratings": "public", "rating_epsilon": 3.0}, "--rating-epsilon does nothing here"),
        ({"rating_attack": "praise"}, "--rating-attack is how attackers rate"),
        ({"rating_attack": "praise", "attack": "nan"}, "--rating-attack is how attackers rate"),
    ],
)
def test_what_does_not_go_together_is_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as fault:
        compose("dp-gd", {**NOISED, **changes})
    assert "\n" not in str(fault.value)
