"""The figures of a market by hand, from its ledger and the truth."""

import json

import pytest

from clients.attack_plan import attack_at
from server.market_report import FIGURES, MONEY, market_entry, market_run
from strategies.market_world import types_of
from tests.markets import market_settings, trade

SETTINGS = market_settings(market="payload", rounds=15)


def test_figures_by_hand() -> None:
    outcome = trade(SETTINGS)
    entry = market_entry(outcome)
    rows, kinds = outcome.ledger.rows, types_of(SETTINGS)
    sold = [(row["round"], int(name)) for row in rows for name in row["delivered"]]
    offers = {(row["round"], int(n)): offer for row in rows for n, offer in row["offers"].items()}
    final = entry["final"]
    for kind in (1, 2, 3):
        share = sum(kinds[device] == kind for _, device in sold) / len(sold)
        assert final[f"share_type{kind}"] == pytest.approx(share)
    tampered = [(n, d) for n, d in sold if attack_at(SETTINGS, d, n) is not None]
    assert tampered
    assert final["attack_rate"] == pytest.approx(len(tampered) / len(sold))
    welfare = sum(offers[sale][1] - offers[sale][0] for sale in sold)
    assert final["welfare"] == round(welfare / 15)
    assert final["adjusted_welfare"] == round(
        (welfare - sum(offers[sale][1] for sale in tampered)) / 15
    )
    paid = sum(sum(row["paid"].values()) for row in rows)
    assert final["payments"] == round(paid / 15)
    honest = [
        row["reputations"][str(d)] < 0.5 - 1e-9 for row in rows for d in range(9) if kinds[d] == 1
    ]
    assert final["honest_excluded"] == pytest.approx(sum(honest) / len(honest))
    blamed = [(row["round"], int(name)) for row in rows for _, name in row["blamed"]]
    guilty = [attack_at(SETTINGS, d, n) is not None for n, d in blamed]
    assert blamed
    assert final["blame_precision"] == pytest.approx(sum(guilty) / len(guilty))
    assert (entry["market"]["blamed"], entry["market"]["guilty"]) == (len(blamed), sum(guilty))
    assert entry["market"]["deliveries"] == len(sold)


def test_an_entry_is_plain_json_with_whole_money_and_every_figure() -> None:
    entry = market_entry(trade(market_settings(rounds=15)))
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry
    assert set(FIGURES) < set(entry["final"])
    assert all(type(entry["final"][name]) is int for name in MONEY)
    assert [row["round"] for row in entry["rounds"]] == list(range(1, 16))
    assert {"winners", "paid", "trusted", "clients-complaints"} <= set(entry["rounds"][0])
    devices = [name for names in entry["market"]["devices"].values() for name in names]
    assert sorted(devices, key=int) == [str(n) for n in range(9)]


def test_where_nobody_was_blamed_precision_is_unknown() -> None:
    entry = market_entry(trade(market_settings("no-reputation", rounds=15)))
    assert entry["final"]["blame_precision"] is None
    assert entry["market"]["complaints"] > 0


def test_without_an_auction_nothing_has_a_price() -> None:
    outcome = trade(market_settings(auction="none", rounds=15))
    run = market_run(outcome)
    assert run.wins.sum() > 0
    assert run.values.sum() == run.payments.sum() == 0
    assert market_entry(outcome)["final"]["welfare"] == 0
