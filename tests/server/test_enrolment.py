"""Enrolment and the registry: bounded waiting, one place for each, and who is who."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo

from server.enrolment import enrol
from server.errors import RunFailed
from server.federation import run_federation
from server.registry import Participant, Registry, identity_of
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
def test_a_client_that_says_nonsense_is_missing_and_named(
    tamper: Callable[[Message], Any], reason: str
) -> None:
    with pytest.raises(
        RunFailed, match=f"^6 of 7 clients enrolled; missing: 2; .*{reason}"
    ) as info:
        enrol(grid_of(SETTINGS, peers(_2=tamper)), 7, wait=0.15)
    assert str(info.value).isprintable()
    assert len(str(info.value)) < 400


def test_two_clients_cannot_claim_the_same_place() -> None:
    with pytest.raises(RunFailed, match="both claim partition 0: give each its own partition-id"):
        enrol(grid_of(SETTINGS, peers(_3=saying(partition_id=0))), 7)
    keys = [NodeInfo(node_id=1000 + n, public_key=b"k%d" % n) for n in range(7)]
    grid = grid_of(SETTINGS, peers(_3=saying(partition_id=0)), get_nodes=lambda: keys)
    with pytest.raises(RunFailed, match="both claim partition 0: give each its own partition-id"):
        enrol(grid, 7)


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


def test_a_shard_smaller_than_asked_for_ends_the_run_before_it_begins() -> None:
    """A false m = 1 would drown the model in noise for everyone."""
    settings = settings_of(min_records=20)
    with pytest.raises(RunFailed, match=r"^partition:4 enrolled with 1 records where 20 are asked"):
        run_federation(grid_of(settings, peers(_4=saying(num_examples=1))), settings)


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
