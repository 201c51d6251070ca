"""What devices offer and deliver, honest and not, and that only devices do."""

from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict

from clients import device
from clients.app import app
from clients.attack_plan import Attack, attack_at
from clients.payload_delivery import delivery_of, intercepted, sale_of
from clients.roles import number_of, role_of
from clients.synthetic_delivery import tokens_of
from datasets.carrada.payload import channels, decode
from datasets.carrada.tampering import Tampering
from datasets.carrada.value import semantic_value
from federation.backends.inprocess import run_config
from strategies.market_settings import ATTACKS
from strategies.market_world import device_part, true_tokens, types_of
from strategies.settings import Settings
from tests.markets import market_settings
from tests.peers import settings_of

SYNTHETIC = market_settings()
PAYLOAD = market_settings(market="payload")
SLOTS = [(who, number) for who in range(9) for number in range(1, 31)]


def context_of(settings: Settings, partition: int, **node: Any) -> Context:
    config = {"partition-id": partition, "num-partitions": settings.nodes, **node}
    return Context(1, 1000 + partition, config, RecordDict(), run_config(settings))


def ask(settings: Settings, partition: int, kind: str, number: int = 1, **node: Any) -> RecordDict:
    content = RecordDict({"config": ConfigRecord({"server-round": number})})
    request = Message(content, 1000 + partition, kind)
    return app(request, context_of(settings, partition, **node)).content


def delivered(settings: Settings, who: int, number: int) -> ConfigRecord:
    return ask(settings, who, "train", number).config_records["delivery"]


def attacks(settings: Settings) -> list[tuple[int, int, Attack]]:
    found = [(who, number, attack_at(settings, who, number)) for who, number in SLOTS]
    return [(who, number, attack) for who, number, attack in found if attack is not None]


@pytest.mark.parametrize(
    ("partition", "role", "number"),
    [(0, "device", 0), (8, "device", 8), (9, "user", 0), (14, "user", 5)],
)
def test_simulated_roles_go_by_partition(partition: int, role: str, number: int) -> None:
    context = context_of(SYNTHETIC, partition)
    assert role_of(context, SYNTHETIC) == role
    asked = Message(RecordDict(), dst_node_id=1, message_type="query.offer")
    assert number_of(context, SYNTHETIC, asked) == number
    hello = ask(SYNTHETIC, partition, "query.hello")
    assert hello.config_records["config"]["role"] == role


def test_a_machine_may_say_its_role_and_a_clinic_has_none_in_a_market() -> None:
    assert role_of(context_of(SYNTHETIC, 2, role="user"), SYNTHETIC) == "user"
    clinics = settings_of()
    assert role_of(context_of(clinics, 2), clinics) == "clinic"


@pytest.mark.parametrize(
    ("settings", "partition", "kind", "reason"),
    [
        (SYNTHETIC, 9, "query.offer", "only devices of a market sell"),
        (SYNTHETIC, 9, "train", "only devices of a market deliver"),
        (SYNTHETIC, 0, "evaluate", "only users of a market rate"),
    ],
    ids=str,
)
def test_nobody_plays_anothers_part(
    settings: Settings, partition: int, kind: str, reason: str
) -> None:
    assert ask(settings, partition, kind).config_records["refusal"]["refusal"] == reason


def test_synthetic_offers_are_what_the_world_drew() -> None:
    part = device_part(SYNTHETIC, 3, 1)
    offer = ask(SYNTHETIC, 3, "query.offer", 17).metric_records["metrics"]
    assert dict(offer.items()) == {
        "price": int(part.costs[1]),
        "value": int(part.values[1]),
        "channels": int(part.channels[1]),
    }


def test_synthetic_deliveries_show_the_truth_but_for_the_spoiled_cube() -> None:
    """Whoever alters it: the device, or the man in the middle after it."""
    kinds = set()
    for who, number in SLOTS:
        episode, step = divmod(number - 1, 15)
        part, record = device_part(SYNTHETIC, who, episode), delivered(SYNTHETIC, who, number)
        truth = np.where(part.covers[step], true_tokens(SYNTHETIC, episode)[step], 0)
        wrong = np.flatnonzero(np.array(record["tokens"]) != truth).tolist()
        assert wrong == ([] if part.spoiled[step] < 0 else [part.spoiled[step]])
        assert len(record["body"]) * 8 == part.channels[step] * 1000
        attack = attack_at(SYNTHETIC, who, number)
        kinds |= {attack.kind} if attack else set()
    assert kinds == {"stale", "tamper", "mitm"}


def test_two_liars_do_not_tell_the_same_lie() -> None:
    everybody = market_settings(attack_rates="1,1,1")
    lies = [set(delivered(everybody, who, 1)["tokens"]) for who in range(9)]
    honest = [set(tokens_of(everybody, who, 1).tolist()) for who in range(9)]
    told = [lie - truth for lie, truth in zip(lies, honest, strict=True) if lie != truth]
    assert len(told) >= 7
    assert len(set.union(*told)) == len(told)


@pytest.mark.parametrize("settings", [SYNTHETIC, PAYLOAD], ids=lambda s: s.market)
def test_the_man_in_the_middle_is_not_the_device(settings: Settings) -> None:
    """What the device itself returns is honest; what leaves its line is not."""
    line = settings.changed(attack="mitm", attack_rates="1,1,1")
    altered = expected = 0
    for who in range(9):
        request = Message(
            RecordDict({"config": ConfigRecord({"server-round": 1})}), 1000 + who, "train"
        )
        own = device.deliver(request, context_of(line, who), line).content.config_records[
            "delivery"
        ]
        peaceful = delivered(line.changed(attack="none"), who, 1)
        assert dict(own.items()) == dict(peaceful.items())
        altered += dict(delivered(line, who, 1).items()) != dict(own.items())
        if settings.market == "payload":  # in an empty scene only a phantom, which does not fit
            expected += bool(sale_of(line, who, 1).seen.objects)
        else:
            expected += bool(device_part(line, who, 0).covers[0].any())
    assert altered == expected >= 3


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_payload_fits_its_booking_and_is_valid_whatever_the_attack(kind: str) -> None:
    settings = PAYLOAD.changed(attack=kind, attack_rates="0.7,0.7,0.7")
    changed = 0
    for who, number in SLOTS[::5]:
        sale = sale_of(settings, who, number)
        sent = intercepted(settings, who, number, delivery_of(settings, who, number))
        scene = decode(sent.mask_png, sent.metadata)
        assert channels(sent) <= sale.channels
        assert scene.covers == sale.seen.covers
        changed += sent != sale.payload
        if attack_at(settings, who, number) is None:
            assert sent == sale.payload
            assert round(1e6 * semantic_value(scene)) == sale.value  # the server's own appraisal
    assert (changed > 0) == (kind != "none")


def test_the_deal_is_the_same_whether_or_not_a_device_means_to_keep_it() -> None:
    """Moral hazard: but for who books room for a phantom, offers tell nothing."""
    honest = PAYLOAD.changed(attack="none")
    for who, number, attack in attacks(PAYLOAD)[:40]:
        one, other = sale_of(honest, who, number), sale_of(PAYLOAD, who, number)
        assert one.value == other.value
        if attack.how is not Tampering.INSERT:
            assert (one.price, one.channels) == (other.price, other.channels)


def test_attacks_follow_the_types() -> None:
    """Type 1 at p = .05, type 2 at .5, type 3 whole episodes; 400 rounds, 5 sigma."""
    settings = market_settings(rounds=400, episode_length=20, types="3,3,3")
    kinds = types_of(settings)
    for who, kind in enumerate(kinds):
        hits = np.array([attack_at(settings, who, n) is not None for n in range(1, 401)])
        share = 0.05 if kind == 1 else 0.5
        trials = 20 if kind == 3 else 400
        assert abs(hits.mean() - share) <= 5 * np.sqrt(share * (1 - share) / trials)
        if kind == 3:
            assert set(hits.reshape(20, 20).sum(axis=1)) <= {0, 20}


def test_a_named_attack_is_the_only_one() -> None:
    for kind in ("stale", "mitm"):
        chosen = {a.kind for _, _, a in attacks(market_settings(attack=kind))}
        assert chosen == {kind}
    hidden = {(a.kind, a.how) for _, _, a in attacks(market_settings(attack="hide"))}
    assert hidden == {("tamper", Tampering.HIDE)}
    assert attacks(market_settings(attack="none")) == []


def test_the_request_must_name_its_round() -> None:
    with pytest.raises(KeyError, match="server-round"):
        app(
            Message(RecordDict({"config": ConfigRecord()}), 1000, "query.offer"),
            context_of(SYNTHETIC, 0),
        )
    assert isinstance(ask(SYNTHETIC, 0, "query.offer").metric_records["metrics"], MetricRecord)
