"""Enrolment and the registry: bounded waiting, one place for each, and who is who."""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo

from server.admission import Admission
from server.enrolment import enrol
from server.errors import RunFailed
from server.federation import run_federation
from server.registry import Participant, Registry, identity_of
from server.report import run_entry
from strategies.wrappers.protocol import REFUSAL
from tests.peers import Peers, grid_of, settings_of
from tests.server.hostile import reply_target

SETTINGS = settings_of()


def saying(**entries: Any) -> Callable[[Message], Message]:
    """Change what a client says of itself in its answer to hello."""

    def tamper(reply: Message) -> Message:
        for key, value in entries.items():
            name = key.replace("_", "-")
            record = "config" if name in ("role", "noise") else "metrics"
            reply.content[record][name] = value
        return reply

    return tamper


def peers(**tampering: Callable[[Message], Any]) -> Peers:
    return Peers({int(key[1:]): tamper for key, tamper in tampering.items()}, "query.hello")


def test_everybody_enrols_in_order_with_what_they_said() -> None:
    registry = enrol(grid_of(SETTINGS), 7)
    assert [p.partition for p in registry.participants] == list(range(7))
    assert [p.identity for p in registry.participants] == [f"partition:{n}" for n in range(7)]
    assert registry.sizes == (78,) * 7
    assert registry.smallest_shard == 78
    assert len(registry) == 7
    assert registry.at(1004) == registry.participants[4]
    assert registry.at(3) is None


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (saying(num_examples=0), "num-examples is not a whole number from 1"),
        (saying(num_examples=2**41), "num-examples is not a whole number"),
        (saying(num_examples=78.0), "num-examples is not a whole number"),
        (saying(num_examples=[78]), "num-examples is not a whole number"),
        (saying(num_examples=float("nan")), "num-examples is not a whole number"),
        (saying(partition_id=-1), "partition-id is not a whole number from 0"),
        (saying(partition_id=10**6), "partition-id is not a whole number"),
        (saying(noise="loud"), "unknown noise"),
        (saying(num_partitions=10**7), "num-partitions is not a whole number"),
        (saying(role="server"), "unknown role 'server'"),
        (saying(role="x\x1b" * 10**5), "unknown role 'x"),
        (saying(role=3), "unknown role '3'"),
        (saying(accuracy=1.0), "entries accuracy, num-examples"),
        (
            lambda r: Message(
                RecordDict({REFUSAL: ConfigRecord({REFUSAL: "closed"})}), reply_to=reply_target(r)
            ),
            "closed",
        ),
        (lambda _: None, "not a Message"),
    ],
    ids=[f"answer {number}" for number in range(15)],  # functions have no name that lasts
)
def test_a_client_that_says_nonsense_is_left_out_and_named(
    tamper: Callable[[Message], Any], reason: str
) -> None:
    """A broken answer is that client's problem: the run begins without it."""
    registry = enrol(grid_of(SETTINGS, peers(_2=tamper)), 7)
    assert numbers(registry) == [0, 1, 3, 4, 5, 6]
    (verdict,) = registry.left_out
    assert verdict.identity == "node:1002"
    assert re.search(reason, verdict.reason)
    assert verdict.reason.isprintable()
    assert len(verdict.reason) < 400


def test_when_all_say_nonsense_the_run_fails_in_one_line() -> None:
    nonsense = {f"_{n}": saying(num_examples=0) for n in range(7)}
    with pytest.raises(RunFailed, match=r"^0 of 7 clients enrolled; .*; one said: num-examples"):
        enrol(grid_of(SETTINGS, peers(**nonsense)), 7)


def keyed(*tampered: int, as_number: int = 0, cards: dict[str, int] | None = None) -> Registry:
    """Return who is enrolled of seven clients with keys, some of whom claim another number."""
    nodes = [NodeInfo(node_id=1000 + n, public_key=b"k%d" % n) for n in range(7)]
    claims = peers(**{f"_{n}": saying(partition_id=as_number) for n in tampered})
    grid = grid_of(SETTINGS, claims, get_nodes=lambda: nodes)
    return enrol(grid, 7, admission=Admission(cards=cards or {}), deployed=True)


def key(number: int) -> str:
    return identity_of(b"k%d" % number, -1)


def numbers(registry: Registry) -> list[int]:
    return [p.partition for p in registry.participants]


def test_of_two_who_claim_one_place_both_are_left_out_where_nothing_tells_them_apart() -> None:
    registry = enrol(grid_of(SETTINGS, peers(_3=saying(partition_id=0))), 7)
    assert numbers(registry) == [1, 2, 4, 5, 6]
    named = {v.identity: v.reason for v in registry.left_out}
    assert set(named) == {"partition:0 (node 1000)", "partition:0 (node 1003)"}
    assert all("claims partition 0, as another does" in reason for reason in named.values())
    assert numbers(keyed(3)) == [1, 2, 4, 5, 6]


def test_the_server_s_card_says_whose_place_it_is() -> None:
    registry = keyed(3, cards={key(n): n for n in range(7)})
    assert numbers(registry) == [0, 1, 2, 4, 5, 6]
    (verdict,) = registry.left_out
    assert verdict.identity == key(3)
    assert verdict.reason == "claims number 0 and its card says 3: not enrolled"


def test_a_number_that_is_nobody_s_is_not_given_away_either() -> None:
    registry = keyed(3, as_number=9, cards={key(n): n for n in range(7)})
    assert numbers(registry) == [0, 1, 2, 4, 5, 6]
    assert [v.identity for v in registry.left_out] == [key(3)]


def test_one_without_a_card_gives_way_to_one_with() -> None:
    """Its card was taken away, or cannot be read, while it was connected."""
    registry = keyed(3, cards={key(0): 0})
    assert numbers(registry) == [0, 1, 2, 4, 5, 6]
    assert [v.identity for v in registry.left_out] == [key(3)]


def test_one_key_is_one_participant() -> None:
    """A device that enrols a second time as a user would rate itself."""
    nodes = [NodeInfo(node_id=1000 + n, public_key=b"k%d" % (n % 6)) for n in range(7)]
    registry = enrol(grid_of(SETTINGS, get_nodes=lambda: nodes), 7, deployed=True)
    assert numbers(registry) == [1, 2, 3, 4, 5]
    assert {v.identity for v in registry.left_out} == {key(0)}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"strategy": "shared-noise"},
        {"aggregation": "krum", "byzantine": 1},
        {"selection": "reputation"},
        {"partition": "sizes", "sizes": "70,71,72,73,74,75,76"},
    ],
    ids=str,
)
def test_a_run_goes_on_without_a_liar_and_says_who_was_left_out(changes: dict[str, Any]) -> None:
    changes = dict(changes)
    settings = settings_of(changes.pop("strategy", "global-dp"), rounds=2, **changes)
    run = run_federation(grid_of(settings, peers(_3=saying(partition_id=0))), settings)
    assert len(run.sizes) == 5
    assert run.settings.clients == 7
    found = [v["identity"] for v in run.rounds[0].verdicts]
    assert found == ["partition:0 (node 1000)", "partition:0 (node 1003)"]
    assert run.rounds[2].sizes
    assert [v for v in run.rounds[2].verdicts if v["kind"] == "rejected"] == []
    assert run_entry(run)["rounds"][0]["verdicts"] == run.rounds[0].verdicts


def test_noise_that_the_settings_do_not_allow_keeps_only_its_clinic_out() -> None:
    settings = settings_of("shared-noise", noise="system")
    run = run_federation(grid_of(settings, peers(_1=saying(noise="discrete"))), settings)
    (verdict,) = run.rounds[0].verdicts
    assert verdict["reason"].startswith("says its noise is discrete")
    assert len(run.sizes) == 6


def test_too_few_left_for_the_aggregation_fail_in_one_line() -> None:
    settings = settings_of(aggregation="krum", byzantine=2)
    claims = peers(_3=saying(partition_id=0))
    with pytest.raises(
        RunFailed,
        match=r"^5 of 7 clients can take part: krum .*; partition:0 \(node 1000\) was left",
    ) as info:
        run_federation(grid_of(settings, claims), settings)
    assert "\n" not in str(info.value)


def test_missing_clients_are_waited_for_within_the_bound(short_wait: None) -> None:
    grid = grid_of(SETTINGS, get_node_ids=lambda: [1000, 1001, 1003])
    with pytest.raises(RunFailed, match=r"^3 of 7 clients enrolled; missing: 2, 4, 5, 6$"):
        run_federation(grid, SETTINGS)
    with pytest.raises(RunFailed, match=r"^0 of 7 clients enrolled; missing: 0, 1, 2, 3, 4, 5, 6$"):
        run_federation(grid_of(SETTINGS, get_node_ids=list), SETTINGS)


def test_many_missing_clients_are_not_all_listed() -> None:
    settings = settings_of(clients=30)
    with pytest.raises(RunFailed, match=r"missing: 0, 1, 2, 3, 4, 5, 6, 7, \.\.\.$"):
        enrol(grid_of(settings, get_node_ids=list), 30, wait=0.0)


def test_clients_that_come_late_are_asked_once_each() -> None:
    arrivals = iter([[], [1005], [1005, 1001], list(range(1000, 1007))])
    app = Peers({}, "query.hello")
    grid = grid_of(SETTINGS, app, get_node_ids=lambda: next(arrivals, list(range(1000, 1007))))
    assert len(enrol(grid, 7, wait=5.0)) == 7
    assert len(app.replies) == 7


def test_the_number_of_clients_that_were_launched_wins_over_the_settings() -> None:
    """``flwr run`` with its own number of SuperNodes: the data is cut as often as there are."""
    launched = settings_of(clients=5, rounds=1)
    run = run_federation(grid_of(launched), settings_of(rounds=1))
    assert (run.settings.clients, len(run.sizes)) == (5, 5)
    assert run.weights.tobytes() == run_federation(grid_of(launched), launched).weights.tobytes()


def test_one_client_alone_does_not_change_the_number_of_clients(short_wait: None) -> None:
    run = run_federation(grid_of(SETTINGS, peers(_1=saying(num_partitions=3))), SETTINGS)
    assert run.settings.clients == 7


def test_a_shard_smaller_than_asked_for_is_left_out() -> None:
    """A false m = 1 would drown the model in noise for everyone."""
    settings = settings_of(min_records=20)
    run = run_federation(grid_of(settings, peers(_4=saying(num_examples=1))), settings)
    (verdict,) = run.rounds[0].verdicts
    assert verdict["reason"].startswith("enrolled with 1 records where 20 are asked")
    assert run.sizes == (78,) * 6
    everybody = {f"_{n}": saying(num_examples=1) for n in range(7)}
    with pytest.raises(RunFailed, match=r"^none of 7 clients can take part; partition:0 .* 1 reco"):
        run_federation(grid_of(settings, peers(**everybody)), settings)


def test_fewer_launched_than_the_aggregation_needs_is_refused() -> None:
    from strategies.settings import SettingsError

    settings = settings_of(aggregation="krum", byzantine=2)
    with pytest.raises(SettingsError, match=r"needs 7 replies .* lower --byzantine to at most 1"):
        run_federation(grid_of(settings_of(clients=5)), settings)


def test_an_authenticated_client_is_its_key_and_a_simulated_one_its_partition() -> None:
    assert identity_of(b"", 4) == "partition:4"
    assert identity_of(b"a key", 4) == f"key:{sha256(b'a key').hexdigest()}"
    grid = grid_of(
        SETTINGS,
        get_nodes=lambda: [NodeInfo(node_id=1000 + n, public_key=b"k%d" % n) for n in range(7)],
    )
    keys = [sha256(b"k%d" % n).hexdigest() for n in range(7)]
    assert [p.identity for p in enrol(grid, 7).participants] == [f"key:{key}" for key in keys]


def test_a_registry_of_nobody_is_refused() -> None:
    with pytest.raises(RunFailed, match="no client enrolled"):
        Registry([])


def test_a_registry_sorts_by_partition_whatever_the_order_of_arrival() -> None:
    clients = [Participant(f"p{n}", n, 50 - n, "clinic", n + 1) for n in (3, 0, 2, 1)]
    registry = Registry(clients)
    assert registry.sizes == (1, 2, 3, 4)
    assert registry.smallest_shard == 1
