"""A market at the server: hostile peers are named and the round goes on, byte for byte repeatable."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from PIL import Image

from clients.app import app as client_app
from datasets.carrada.objects import RadarObject
from datasets.carrada.payload import encode
from datasets.carrada.scene import Scene, mask_of_boxes
from federation.backends.inprocess import InProcessGrid, run_config
from server.app import make_app
from server.errors import RunFailed
from server.market import MarketOutcome, build_layers, run_market
from server.market_replies import MAX_MONEY
from server.market_report import market_entry
from server.registry import Participant, Registry
from strategies.wrappers.base import StrategyWrapper
from tests.markets import answering, delivering, market_settings, offering, trade
from tests.peers import Peers, Tampering, grid_of, raises

SYNTHETIC = market_settings("no-reputation", rounds=4, attack="none", channels=40)
PAYLOAD = market_settings(
    "no-reputation", rounds=3, attack="none", channels=60, cover=1.0, market="payload"
)
DEVICE, USER = 2, 11
CAR = RadarObject(3, (60, 40, 66, 43), (190, 150, 196, 160), 0.9)


def scene(**changes: Any) -> Scene:
    whole = {
        "sequence": "2001-02-03-04-05-06",
        "frame": "000091",
        "captured_ms": 9100,
        "covers": 255,
        "objects": (CAR,),
        "mask": mask_of_boxes((CAR,)),
    }
    return Scene(**{**whole, **changes})


GOOD = encode(scene())
META = json.loads(GOOD.metadata)


def label_9() -> bytes:
    """A valid indexed PNG of eight bits a pixel with a label that is none."""
    mask = scene().mask.copy()
    mask[0, 0] = 9
    image, stream = Image.fromarray(mask), BytesIO()
    image.putpalette(bytes(768))
    image.save(stream, "PNG", bits=8)
    return stream.getvalue()


def meta(**changes: Any) -> bytes:
    return json.dumps({**META, **changes}, separators=(",", ":")).encode()


def with_object(**changes: Any) -> bytes:
    return meta(objects=[{**META["objects"][0], **changes}])


HOSTILE_PAYLOADS: dict[str, tuple[Tampering, str]] = {
    "truncated PNG": (delivering(mask=lambda png: png[:-7]), "truncated"),
    "PNG of another kind": (delivering(mask=b"GIF89a"), "not a PNG"),
    "oversized PNG": (delivering(mask=lambda png: png + bytes(10_000)), "bytes, at most 4096"),
    "PNG with label 9": (delivering(mask=label_9()), "mask has label 9"),
    "JSON bomb by nesting": (delivering(metadata=b"[" * 999), "brackets"),
    "JSON bomb by size": (delivering(metadata=b" " * 10**6), "bytes, at most 1000"),
    "no JSON": (delivering(metadata=b"\xff\xfe"), "not JSON"),
    "a class that is none": (delivering(metadata=with_object(**{"class": "tank"})), "none of"),
    "box outside the map": (delivering(metadata=with_object(ra_box=[1, 1, 2, 256])), "outside"),
    "range that its box belies": (delivering(metadata=with_object(range_m=49.0)), "not that of"),
    "cubes beyond the twin": (
        delivering(metadata=meta(covers=2**20)),
        "vouches for cubes beyond the 8",
    ),
    "text instead of bytes": (delivering(mask="png"), "not bytes"),
    "one part missing": (
        answering(RecordDict({"delivery": ConfigRecord({"mask": b"x"})})),
        "entries",
    ),
    "a model": (answering(RecordDict({"arrays": ConfigRecord()})), "records"),
    "code that raises": (raises, "out of memory"),
}


@pytest.mark.parametrize("name", HOSTILE_PAYLOADS)
def test_a_hostile_payload_is_rejected_and_the_round_goes_on(name: str) -> None:
    tamper, reason = HOSTILE_PAYLOADS[name]
    _expect_named(trade(PAYLOAD, {DEVICE: tamper}), "train", reason)


HOSTILE_TOKENS: dict[str, tuple[Tampering, str]] = {
    "negative token": (delivering(tokens=[-1] + [0] * 7), "a token is not a whole number"),
    "token beyond the exact": (delivering(tokens=[2**53] + [0] * 7), "a token is not"),
    "too few tokens": (delivering(tokens=[1]), "no list of 8"),
    "real tokens": (delivering(tokens=[0.5] * 8), "a token is not"),
    "true for a token": (delivering(tokens=[True] * 8), "no whole number"),
    "oversized body": (delivering(body=bytes(2**20 + 1)), "not at most"),
    "body of text": (delivering(body="x"), "not at most"),
}


@pytest.mark.parametrize("name", HOSTILE_TOKENS)
def test_a_hostile_token_delivery_is_rejected_and_the_round_goes_on(name: str) -> None:
    tamper, reason = HOSTILE_TOKENS[name]
    _expect_named(trade(SYNTHETIC, {DEVICE: tamper}), "train", reason)


def _expect_named(outcome: MarketOutcome, kind: str, reason: str) -> None:
    """Every verdict is the hostile device's, of every round in which it won; others deliver."""
    won = [row for row in outcome.ledger.rows if str(DEVICE) in row["promised"]]
    assert won
    for row in outcome.ledger.rows:
        expected = [("partition:2", kind)] if row in won else []
        assert [(v["identity"], v["message_type"]) for v in row["verdicts"]] == expected
        assert all(reason in v["reason"] for v in row["verdicts"])
        assert str(DEVICE) not in row["delivered"]
        assert set(row["delivered"]) == set(row["promised"]) - {str(DEVICE)}
        assert row["paid"].get(str(DEVICE), 0) == 0
        assert row["ratings"]


HOSTILE_OFFERS: dict[str, tuple[Tampering, str]] = {
    "negative price": (offering(price=-1), "price is not a whole number"),
    "price of a half": (offering(price=0.5), "price is not a whole number"),
    "price beyond all measure": (offering(price=MAX_MONEY + 1), "price is not a whole number"),
    "negative value": (offering(value=-3), "value is not a whole number"),
    "value beyond all measure": (offering(value=2**62), "value is not a whole number"),
    "no channels": (offering(channels=0), "channels is not a whole number"),
    "many channels": (offering(channels=10**7), "channels is not a whole number"),
    "a list": (offering(value=[1, 2]), "value is not a whole number"),
    "one entry more": (offering(bribe=1), "entries"),
    "nothing": (answering(RecordDict()), "records"),
    "code that raises": (raises, "out of memory"),
}


@pytest.mark.parametrize("name", HOSTILE_OFFERS)
def test_a_hostile_offer_is_rejected_and_the_others_trade_as_without_it(name: str) -> None:
    tamper, reason = HOSTILE_OFFERS[name]
    outcome = trade(SYNTHETIC, {DEVICE: tamper}, "query.offer")
    without = trade(SYNTHETIC, {DEVICE: raises}, "query.offer")
    for row, other in zip(outcome.ledger.rows, without.ledger.rows, strict=True):
        (verdict,) = row["verdicts"]
        assert (verdict["identity"], verdict["message_type"]) == ("partition:2", "query.offer")
        assert reason in verdict["reason"]
        assert {k: v for k, v in row.items() if k != "verdicts"} == {
            k: v for k, v in other.items() if k != "verdicts"
        }
        assert row["delivered"]


HOSTILE_RATINGS: dict[str, tuple[Tampering, str]] = {
    "complains where it was not": (offering(visited=0, complained=1), "did not visit"),
    "cubes beyond the twin": (offering(visited=2**8), "visited is not a whole number"),
    "negative bits": (offering(complained=-1), "complained is not a whole number"),
    "weight of a hundred": (offering(**{"num-examples": 100}), "num-examples"),
    "says what it saw": (offering(saw=1.0), "entries"),
    "code that raises": (raises, "out of memory"),
}


@pytest.mark.parametrize("name", HOSTILE_RATINGS)
def test_a_hostile_rating_is_rejected_and_the_others_count(name: str) -> None:
    tamper, reason = HOSTILE_RATINGS[name]
    settings = market_settings(rounds=3, channels=40)
    outcome = trade(settings, {USER: tamper}, "evaluate")
    for row in outcome.ledger.rows:
        (verdict,) = row["verdicts"]
        assert (verdict["identity"], verdict["message_type"]) == ("partition:11", "evaluate")
        assert reason in verdict["reason"]
        assert set(row["ratings"]) == {"9", "10", "12", "13", "14"}
        assert row["delivered"]


def test_who_delivers_rubbish_loses_its_reputation_and_is_not_asked_again() -> None:
    settings = market_settings(rounds=4, attack="none", channels=60, cover=1.0, market="payload")
    outcome = trade(settings, {DEVICE: delivering(mask=b"")})
    first = next(n for n, row in enumerate(outcome.ledger.rows) if row["breaches"])
    assert outcome.ledger.rows[first]["breaches"] == ["2"]
    assert first + 1 < settings.rounds
    for row in outcome.ledger.rows[first + 1 :]:
        assert row["reputations"]["2"] < 0.5
        assert "2" not in row["offers"]


def test_who_takes_more_channels_than_it_booked_is_not_used_not_paid_and_not_trusted() -> None:
    settings = market_settings(rounds=3, attack="none", channels=40)
    outcome = trade(settings, {DEVICE: delivering(body=lambda body: body + bytes(200))})
    row = outcome.ledger.rows[0]
    assert row["overbooked"] == row["breaches"] == ["2"]
    assert row["paid"]["2"] == 0
    assert "2" not in row["delivered"]
    assert "2" not in outcome.ledger.rows[1]["trusted"]


def test_who_claims_more_than_it_delivers_is_paid_what_it_delivers() -> None:
    settings = market_settings("no-reputation", rounds=3, attack="none", channels=8)
    honest = trade(settings).ledger.rows
    lying = trade(settings, {DEVICE: offering(value=MAX_MONEY)}, "query.offer").ledger.rows
    for one, other in zip(honest, lying, strict=True):
        assert "2" in other["promised"]
        gain = other["paid"]["2"] - other["offers"]["2"][0]
        truth = one["paid"]["2"] - one["offers"]["2"][0] if "2" in one["promised"] else 0
        assert gain <= truth


@pytest.mark.parametrize("kind", ["synthetic", "payload"])
def test_the_same_seed_gives_the_same_ledger_byte_for_byte(kind: str) -> None:
    settings = market_settings(market=kind)
    one, two = trade(settings).ledger.text(), trade(settings).ledger.text()
    assert one == two
    assert len(one.splitlines()) == settings.rounds
    assert trade(settings.changed(seed=6)).ledger.text() != one


def test_a_round_without_winners_says_so_and_leaves_the_twin_alone() -> None:
    outcome = trade(market_settings(rounds=4, reserve=250_000, channels=1))
    quiet = [row for row in outcome.ledger.rows if not row["promised"]]
    assert quiet
    for row in quiet:
        (verdict,) = row["verdicts"]
        assert verdict["identity"] == "server"
        assert verdict["reason"] == "nobody won the auction: the twin stays as it was"
        assert row["ratings"] == {}


def test_a_market_in_which_nothing_is_ever_sold_fails_in_one_line() -> None:
    with pytest.raises(
        RunFailed, match=r"no usable reply up to round 3, .* nobody won the auction"
    ):
        trade(market_settings(rounds=3, reserve=1))


def test_a_market_needs_devices_and_users() -> None:
    settings = market_settings(rounds=2)
    nodes = [
        {"partition-id": n, "num-partitions": settings.nodes, "role": "device"}
        for n in range(settings.nodes)
    ]
    with pytest.raises(RunFailed, match="15 devices and 0 users enrolled"):
        run_market(InProcessGrid(client_app, nodes, run_config(settings)), settings)


def test_numbers_of_devices_and_users_are_those_that_enrolled() -> None:
    asked = market_settings(rounds=2)
    there = asked.changed(clients=5)
    outcome = run_market(grid_of(there), asked)
    assert (outcome.settings.clients, outcome.settings.users) == (5, 6)
    assert outcome.devices == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("lie", [{"role": "clinic"}, {"partition-id": 4}], ids=str)
def test_a_market_goes_on_without_who_lies_at_enrolment(lie: dict[str, Any]) -> None:
    """Whoever says it is no part of a market, or takes another's number, keeps only itself out."""

    def tamper(reply: Message) -> Message:
        reply.content["config" if "role" in lie else "metrics"].update(lie)
        return reply

    asked = market_settings(rounds=2)
    outcome = run_market(grid_of(asked, Peers({1: tamper}, "query.hello")), asked)
    verdicts = outcome.rounds[0].verdicts
    assert len(verdicts) == (1 if "role" in lie else 2)
    assert outcome.settings.clients == asked.clients - len(verdicts)
    assert "1" not in outcome.devices
    assert market_entry(outcome)["final"]["share_type1"] >= 0


def test_keys_name_participants_where_there_are_keys() -> None:
    people = [Participant(f"key:{n}", n, 70 + n, r, 1) for n, r in enumerate(["device", "user"])]
    settings = market_settings(clients=1, users=1)
    names = {70: "key:0", 71: "key:1"}
    layers = build_layers(settings, Registry(people), names.__getitem__)
    assert layers.selection is not None
    assert layers.selection.name(70) == "key:0"


@pytest.mark.parametrize(
    ("changes", "layers"),
    [
        ({}, ["ReputationSelection", "KnapsackAuction", "DigitalTwin"]),
        ({"auction": "none"}, ["ReputationSelection", "DigitalTwin"]),
        ({"selection": "none"}, ["KnapsackAuction", "DigitalTwin"]),
        ({"selection": "none", "auction": "none"}, ["DigitalTwin"]),
    ],
    ids=str,
)
def test_each_layer_can_be_left_out(changes: dict[str, Any], layers: list[str]) -> None:
    settings = market_settings(rounds=3, attack="none", **changes)
    outcome = trade(settings)
    found = outcome.ledger
    strategy: Any = found.selection or found.auction or found.twin
    names = [type(strategy).__name__]
    while isinstance(strategy, StrategyWrapper):
        strategy = strategy.inner
        names.append(type(strategy).__name__)
    assert names == layers
    assert all(row["delivered"] for row in found.rows)
    if "KnapsackAuction" not in layers:
        assert all(len(row["delivered"]) >= 8 for row in found.rows)


def test_greedy_coin_top_k_budget_and_discount_run() -> None:
    settings = market_settings(
        "trusted",
        auction="greedy",
        pair_rule="coin",
        top_k=4,
        budget=900_000,
        fusion="vote",
        market="payload",
        channels=30,
    )
    rows = trade(settings).ledger.rows
    assert max(len(row["trusted"]) for row in rows) == 4
    assert max(sum(row["paid"].values()) for row in rows) <= 900_000
    assert any(row["delivered"] for row in rows)


def test_nobody_answers_in_anothers_name() -> None:
    """A user's node that answers an offer is never asked; a device's rating neither."""
    outcome = trade(market_settings(rounds=2))
    for row in outcome.ledger.rows:
        assert set(row["offers"]) <= set(map(str, range(9)))
        assert set(row["ratings"]) <= set(map(str, range(9, 15)))


def test_reputations_reach_the_record_of_every_round() -> None:
    rows = trade(market_settings()).ledger.rows
    assert set(rows[0]["reputations"].values()) == {0.5}
    assert len(set(np.round(list(rows[-1]["reputations"].values()), 9))) > 3


def test_flwr_run_reports_and_saves_a_market(tmp_path: Path) -> None:
    """What ``flwr run . --run-config "dataset='carrada' out='...'"`` does with no sink of ours."""
    settings = market_settings(rounds=3)
    config = {**run_config(settings), "out": str(tmp_path / "o")}
    context = Context(1, 1, {}, RecordDict(), config)
    make_app()(grid_of(settings), context)
    final = json.loads(context.state.config_records["result"]["json"])
    saved = json.loads((tmp_path / "o" / "run.json").read_text())
    assert saved["final"] == final
    assert saved["strategy"] == "reputation"
    assert len((tmp_path / "o" / "ledger.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "o" / "model.npz").exists()


def test_a_round_without_anybody_trusted_sells_and_pays_nothing() -> None:
    """What the round before sold is not counted, nor paid, once more."""
    outcome = trade(market_settings(attack_rates="1,1,1"))
    idle = [row for row in outcome.ledger.rows if not row["trusted"]]
    assert idle
    for row in idle:
        assert (row["offers"], row["promised"], row["paid"]) == ({}, {}, {})
        metrics = outcome.rounds[row["round"]].metrics
        assert (metrics["offers"], metrics["paid"], metrics["auction-welfare"]) == (0, 0, 0)


def test_numbers_with_gaps_and_mixed_roles_are_the_same_market() -> None:
    """A revoked key leaves a gap, and devices may have been numbered after users."""
    settings = market_settings("reputation", rounds=6, clients=4, users=3)
    plain = run_market(grid_of(settings), settings)
    roles = {0: "user", 2: "device", 3: "user", 7: "device", 8: "device", 40: "user", 90: "device"}
    nodes = [{"partition-id": number, "role": role} for number, role in roles.items()]
    grid = InProcessGrid(client_app, nodes, run_config(settings))  # type: ignore[arg-type]
    mixed = run_market(grid, settings)
    names = dict(zip(mixed.devices, plain.devices, strict=True))
    assert names == {"2": "0", "7": "1", "8": "2", "90": "3"}
    for ours, theirs in zip(mixed.ledger.rows, plain.ledger.rows, strict=True):
        assert [names[who] for who in ours["delivered"]] == theirs["delivered"]
        assert [names[who] for who in ours["promised"]] == list(theirs["promised"])
    assert [r.metrics for r in mixed.rounds] == [r.metrics for r in plain.rounds]
