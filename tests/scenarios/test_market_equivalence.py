"""The market does not depend on the road: messages, the vectorised market, Ray."""

from typing import Any

import numpy as np
import pytest

from federation.market_runs import MODES, entries_of, run_final, vectorisable
from federation.runner import run_market_one
from server.market_report import figures_of, market_entry, market_run
from strategies.market import simulate_market
from strategies.market_presets import MARKET_STRATEGIES, compose_market
from strategies.market_settings import market_of
from strategies.settings import Settings
from tests.markets import market_settings


def assert_equal(settings: Settings) -> None:
    """Winners, payments and reputations of every round, and blame in all, to the last bit."""
    run = market_run(run_market_one(settings))
    mode = MODES[settings.selection]
    reference = simulate_market(market_of(settings), [settings.seed], mode)
    rounds = settings.rounds
    for name in ("values", "costs", "payments", "wins", "attacks", "reputations"):
        own, other = getattr(run, name), getattr(reference, name)[:, :rounds]
        if name in ("values", "costs"):  # the ledger knows the offers of those who were asked
            own, other = own[run.wins], other[run.wins]
        np.testing.assert_array_equal(own, other, err_msg=name)
    assert run.types.tolist() == reference.types.tolist()
    if rounds == reference.wins.shape[1]:
        assert (run.blamed[0], run.guilty[0]) == (reference.blamed[0], reference.guilty[0])
        assert figures_of(run) == figures_of(reference)


@pytest.mark.parametrize("strategy", MARKET_STRATEGIES)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": 0, "cover": 0.3, "z": 0.8},
        {"seed": 12, "pair_rule": "coin"},
        {"attack": "mitm", "attack_rates": "0.3,0.6,0.9"},
        {"cubes": "3x2x1", "visit": 0.2, "channels": 4},
        {"omega": 0.3, "alpha": 0.6, "theta": 0.55, "window": 7},
        {"clients": 4, "users": 1, "rounds": 20},
    ],
    ids=str,
)
def test_messages_and_the_vectorised_market_agree_to_the_last_bit(
    strategy: str, changes: dict[str, Any]
) -> None:
    assert_equal(market_settings(strategy, **changes))


def test_the_cases_above_trade_blame_and_shut_out() -> None:
    """Else they could pass in a market where nothing happens."""
    entry = market_entry(run_market_one(market_settings()))
    assert entry["market"]["blamed"] > 10
    assert 0 < entry["market"]["guilty"] <= entry["market"]["blamed"]
    assert entry["market"]["tampered"] > 10
    assert entry["final"]["honest_excluded"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["market-a", "market-b"])
@pytest.mark.parametrize("strategy", MARKET_STRATEGIES)
def test_a_whole_run_of_the_paper_agrees_to_the_last_bit(strategy: str, preset: str) -> None:
    settings = compose_market(strategy, {"seed": 3}, preset)
    assert (settings.rounds, settings.clients, settings.users) == (500, 20, 20)
    assert_equal(settings)


def test_what_the_vectorised_market_does_not_know_goes_by_messages() -> None:
    plain = market_settings("no-reputation")
    assert vectorisable(plain)
    (fast,) = entries_of(plain, [5])
    slow = run_final(plain)
    assert {k: v for k, v in slow.items() if k != "seconds"} == fast["final"]
    for changes in (
        {"market": "payload"},
        {"reserve": 300_000},
        {"budget": 10**6},
        {"auction": "greedy"},
        {"types": "3,3,3"},
        {"rounds": 29},
        {"backend": "ray"},
    ):
        assert not vectorisable(plain.changed(**changes)), changes
    assert not vectorisable(market_settings(top_k=3))
    (entry,) = entries_of(plain.changed(types="9,0,0"), [5], 1)
    assert entry["final"]["share_type1"] == 1.0


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("market", ["synthetic", "payload"])
def test_ray_and_in_process_write_the_same_ledger(market: str) -> None:
    settings = market_settings(clients=4, users=2, rounds=3, channels=20, cover=1.0, market=market)
    own = run_market_one(settings).ledger.text()
    assert "promised" in own
    assert run_market_one(settings.changed(backend="ray")).ledger.text() == own
