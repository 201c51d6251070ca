"""PromptGrid: replies soon, and nodes that restarted are asked again."""

from collections.abc import Iterable
from time import monotonic

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.supercore.task_identity import TaskIdentity

from federation.backends.inprocess import InProcessGrid
from server import prompt_grid
from server.prompt_grid import PromptGrid


class SlowGrid(InProcessGrid):
    """Nodes answer after being asked some number of times; a restart loses what they had."""

    def __init__(self, looks: int, restarts: int = 0) -> None:
        super().__init__(_answer, [{}, {}], {"noise": "seeded"})  # type: ignore[arg-type]
        self.looks, self.restarts, self.since, self.pushed = looks, restarts, 0, 0

    def get_nodes(self) -> list[NodeInfo]:
        return [
            NodeInfo(node_id=node, last_activated_at=str(self.since))
            for node in self.get_node_ids()
        ]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        messages = list(messages)
        self.pushed += len(messages)
        return super().push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        if self.restarts:
            self.restarts -= 1
            self.since += 1
            self._replies.clear()
            return []
        self.looks -= 1
        return [] if self.looks > 0 else super().pull_messages(message_ids)


def _answer(message: Message, context: object) -> Message:
    return Message(RecordDict({"config": ConfigRecord({"ok": True})}), reply_to=message)


def _requests(grid: InProcessGrid) -> list[Message]:
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1
    return [
        Message(RecordDict({"config": ConfigRecord()}), dst_node_id=node, message_type="query.x")
        for node in grid.get_node_ids()
    ]


def test_replies_come_within_milliseconds_of_being_there() -> None:
    grid = SlowGrid(looks=5)
    began = monotonic()
    assert len(PromptGrid(grid).send_and_receive(_requests(grid), timeout=60)) == 2
    assert monotonic() - began < 2.9  # Flower's grid sleeps 3 s after the first empty look


def test_time_that_is_up_ends_the_wait() -> None:
    grid = SlowGrid(looks=10**9)
    assert PromptGrid(grid).send_and_receive(_requests(grid), timeout=0.05) == []


def test_nobody_asked_is_nobody_waited_for() -> None:
    assert PromptGrid(SlowGrid(looks=10**9)).send_and_receive([]) == []


def test_a_node_that_restarted_is_asked_again_and_answers_the_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prompt_grid, "LOOK_SECONDS", 0.0)
    grid = SlowGrid(looks=1, restarts=2)
    requests = _requests(grid)
    replies = PromptGrid(grid).send_and_receive(requests, timeout=60)
    asked = {request.metadata.message_id for request in requests}
    assert {reply.metadata.reply_to_message_id for reply in replies} == asked
    assert grid.pushed > 2


def test_a_node_that_restarts_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_grid, "LOOK_SECONDS", 0.0)
    grid = SlowGrid(looks=1, restarts=10**9)
    assert PromptGrid(grid).send_and_receive(_requests(grid), timeout=0.6) == []
    assert grid.pushed == 2 * (1 + prompt_grid.MAX_ASKED_AGAIN)
