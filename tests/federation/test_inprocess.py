"""The in-process grid behaves as Flower's: ids, errors, one context a node, replies once."""

from typing import Any

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.common.constant import ErrorCode

from federation.backends.inprocess import (
    FIRST_NODE,
    InProcessGrid,
    run_config,
    simulated_nodes,
)
from federation.runner import run_one
from tests.peers import federate, settings_of

NODES = [{"partition-id": 0}, {"partition-id": 1, "max-nominal-epsilon": 2.5}]


def counting(message: Message, context: Context) -> Message:
    """Answer with how often this node was called, kept in its own state."""
    kept = context.state.config_records.get("kept", ConfigRecord({"calls": 0}))
    context.state["kept"] = ConfigRecord({"calls": int(str(kept["calls"])) + 1})
    return Message(RecordDict({"kept": context.state["kept"]}), reply_to=message)


def grid(app: Any = counting, **config: Any) -> InProcessGrid:
    return InProcessGrid(app, NODES, config)


def message(node: int, kind: str = "train") -> Message:
    return Message(RecordDict(), node, kind)


def test_nodes_have_their_own_config_and_all_the_run_config() -> None:
    own = grid(rounds=3)
    assert own.get_node_ids() == [FIRST_NODE, FIRST_NODE + 1]
    assert [n.node_id for n in own.get_nodes()] == own.get_node_ids()
    assert {n.public_key for n in own.get_nodes()} == {b""}
    context = own.context(FIRST_NODE + 1)
    assert context.node_config == {"partition-id": 1, "max-nominal-epsilon": 2.5}
    assert context.run_config == {"rounds": 3}


def test_replies_answer_their_requests_with_unique_ids() -> None:
    own = grid()
    requests = [message(n) for n in own.get_node_ids()] * 1
    replies = own.send_and_receive(requests)
    assert [r.metadata.reply_to_message_id for r in replies] == [
        q.metadata.message_id for q in requests
    ]
    ids = {m.metadata.message_id for m in (*requests, *replies)}
    assert len(ids) == 4
    assert [r.metadata.src_node_id for r in replies] == own.get_node_ids()


def test_each_node_keeps_its_own_state_between_calls() -> None:
    own = grid()
    first, second = own.get_node_ids()
    own.send_and_receive([message(first), message(first)])
    replies = own.send_and_receive([message(first), message(second)])
    assert [r.content["kept"]["calls"] for r in replies] == [3, 1]
    assert own.context(first).state["kept"]["calls"] == 3


def test_a_reply_is_pulled_once() -> None:
    own = grid()
    ids = own.push_messages([message(FIRST_NODE)])
    assert len(own.pull_messages(ids)) == 1
    assert own.pull_messages(ids) == []
    assert own.pull_messages(["unknown"]) == []


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (lambda *_: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda *_: None, "TypeError: the client app returned NoneType, not a Message"),
        (lambda *_: RecordDict(), "TypeError: the client app returned RecordDict, not a Message"),
    ],
)
def test_a_client_that_fails_is_an_error_reply(app: Any, reason: str) -> None:
    (reply,) = grid(app).send_and_receive([message(FIRST_NODE)])
    assert reply.has_error()
    assert reply.error.code == ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    assert reply.error.reason == reason


def test_ctrl_c_in_a_client_ends_the_run() -> None:
    def interrupted(*_: Any) -> Message:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grid(interrupted).send_and_receive([message(FIRST_NODE)])


def test_a_node_that_is_not_there_is_an_error_reply() -> None:
    (reply,) = grid().send_and_receive([message(7)])
    assert reply.error.code == ErrorCode.NODE_UNAVAILABLE


def test_run_and_messages_are_flowers() -> None:
    own = grid()
    own.set_run(own.run)
    made = own.create_message(RecordDict(), "query", FIRST_NODE, "group", ttl=9.0)
    assert (made.metadata.message_type, made.metadata.group_id, made.metadata.ttl) == (
        "query",
        "group",
        9.0,
    )


def test_the_runner_is_the_same_federation() -> None:
    settings = settings_of()
    told: list[int] = []
    run = run_one(settings, lambda record: told.append(record.round))
    assert run.weights.tobytes() == federate(settings).weights.tobytes()
    assert told == [0, 1, 2, 3]


def test_simulated_nodes_and_run_config_are_what_flower_can_carry() -> None:
    settings = settings_of()
    assert len(simulated_nodes(settings)) == settings.clients
    for value in run_config(settings).values():
        assert isinstance(value, bool | int | float | str)
