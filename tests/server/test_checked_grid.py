"""CheckedGrid around any Flower grid: copies, order, time to live, who is shown, what it refuses."""

from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from server.checked_grid import CheckedContent, CheckedGrid
from server.registry import Participant, Registry
from server.replies import ReplyRejected
from strategies.wrappers.vectors import to_array
from tests.peers import grid_of, settings_of

SETTINGS = settings_of()


def registry(*partitions: int) -> Registry:
    return Registry(Participant(f"partition:{p}", p, 1000 + p, "clinic", 78) for p in partitions)


def requests(*nodes: int, kind: str = "train") -> list[Message]:
    """One RecordDict for all, as Flower's FedAvg builds them."""
    shared = RecordDict(
        {
            "arrays": ArrayRecord({"model": to_array(np.zeros(10))}),
            "config": ConfigRecord({"server-round": 1}),
        }
    )
    return [Message(shared, node, kind) for node in nodes]


class Echo:
    """A client that answers with its node id and remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[Message] = []

    def __call__(self, message: Message, context: Any) -> Message:
        self.seen.append(message)
        message.content["config"]["server-round"] = -context.node_id
        message.content["arrays"]["model"] = to_array(np.ones(1))
        message.content["mine"] = MetricRecord()
        content = RecordDict({"metrics": MetricRecord({"node": context.node_id})})
        return Message(content, reply_to=message)


def accept(_: RecordDict, __: Participant | None) -> None:
    """Judge that takes everything."""


def checked(echo: Echo, *partitions: int, **options: Any) -> CheckedGrid:
    judges = {"train": accept, "query": accept}
    return CheckedGrid(grid_of(SETTINGS, echo), judges, registry=registry(*partitions), **options)


def test_each_client_gets_its_own_copy_of_every_record() -> None:
    echo, messages = Echo(), requests(1000, 1001, 1002)
    shared = messages[0].content
    checked(echo, 0, 1, 2).send_and_receive(messages)
    assert set(shared) == {"arrays", "config"}
    assert shared["config"]["server-round"] == 1
    assert shared["arrays"]["model"].shape == (10,)
    assert len({id(message.content["config"]) for message in echo.seen}) == 3


def test_good_replies_leave_in_identity_order() -> None:
    grid = checked(Echo(), 0, 1, 2, 3)
    replies = grid.send_and_receive(requests(1002, 1000, 1003, 1001))
    assert [grid.identity(reply) for reply in replies] == [f"partition:{n}" for n in range(4)]
    assert [grid.records(reply) for reply in replies] == [78] * 4
    assert grid.take_verdicts() == []


@pytest.mark.parametrize(("asked", "expected"), [(None, 20.0), (5.0, 5.0), (500.0, 20.0)])
def test_every_request_has_a_bounded_time_to_live(asked: float | None, expected: float) -> None:
    echo = Echo()
    checked(echo, 0, timeout=20.0).send_and_receive(requests(1000), timeout=asked)
    assert [message.metadata.ttl for message in echo.seen] == [expected]


def test_only_the_enrolled_are_shown_in_identity_order() -> None:
    grid = checked(Echo(), 5, 2)
    assert list(grid.get_node_ids()) == [1002, 1005]
    assert [node.node_id for node in grid.get_nodes()] == [1002, 1005]
    everybody = CheckedGrid(grid_of(SETTINGS), {})
    assert list(everybody.get_node_ids()) == list(range(1000, 1007))


def test_a_stranger_is_rejected_even_when_it_answers_well() -> None:
    grid = checked(Echo(), 0)
    assert [grid.identity(r) for r in grid.send_and_receive(requests(1000, 1001))] == [
        "partition:0"
    ]
    (verdict,) = grid.take_verdicts()
    assert (verdict.identity, verdict.kind) == ("node:1001", "rejected")
    assert verdict.reason == "this node is not enrolled"


def test_a_node_that_does_not_exist_has_failed() -> None:
    grid = checked(Echo(), 0, 77)
    assert grid.send_and_receive(requests(1077)) == []
    (verdict,) = grid.take_verdicts()
    assert (verdict.identity, verdict.kind) == ("partition:77", "failed")


def test_a_message_type_without_a_judge_is_never_accepted() -> None:
    grid = checked(Echo(), 0)
    assert grid.send_and_receive(requests(1000, kind="evaluate")) == []
    (verdict,) = grid.take_verdicts()
    assert verdict.reason == "nothing of type evaluate is expected"


def test_a_judge_that_trips_rejects_the_reply_and_not_the_run() -> None:
    def trip(_: RecordDict, participant: Participant | None) -> None:
        assert participant is not None
        if participant.partition == 0:
            raise ZeroDivisionError
        if participant.partition == 1:
            raise ReplyRejected("seen enough")

    grid = checked(Echo(), 0, 1, 2)
    grid.judges = {"train": trip}
    assert len(grid.send_and_receive(requests(1000, 1001, 1002))) == 1
    reasons = [verdict.reason for verdict in grid.take_verdicts()]
    assert reasons == ["unreadable: ZeroDivisionError", "seen enough"]


def test_verdicts_are_taken_once() -> None:
    grid = checked(Echo(), 0)
    grid.send_and_receive(requests(1001))
    assert len(grid.take_verdicts()) == 1
    assert grid.take_verdicts() == []


def test_asking_nobody_sends_nothing() -> None:
    assert checked(Echo(), 0).send_and_receive([]) == []


def test_replies_cannot_be_had_unjudged() -> None:
    grid = checked(Echo(), 0)
    for call in (grid.push_messages, grid.pull_messages):
        with pytest.raises(NotImplementedError, match="use send_and_receive"):
            call([])


def test_the_rest_of_the_grid_passes_through() -> None:
    grid = checked(Echo(), 0)
    assert grid.run is grid.grid.run
    grid.set_run(grid.run)
    message = grid.create_message(RecordDict(), "train", 1000, "g", ttl=3.0)
    assert (message.metadata.group_id, message.metadata.ttl) == ("g", 3.0)


def test_checked_content_is_a_record_dict_with_its_records_by_kind() -> None:
    plain = RecordDict(
        {
            "arrays": ArrayRecord({"model": to_array(np.ones(2))}),
            "metrics": MetricRecord({"num-examples": 3}),
            "config": ConfigRecord({"a": 1}),
        }
    )
    found = CheckedContent(plain)
    assert found == plain
    assert dict(found.array_records) == dict(plain.array_records)
    assert dict(found.metric_records) == dict(plain.metric_records)
    assert dict(found.config_records) == dict(plain.config_records)
    assert dict(found.copy()) == dict(plain)
