"""Federations within the test process, with peers that misbehave on purpose."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from clients.app import app as client_app
from clients.messages import partition_of
from federation.backends.inprocess import InProcessGrid, run_config, simulated_nodes
from server.federation import FederatedRun, run_federation
from strategies.presets import compose
from strategies.settings import Settings

# Flower's Message asks whose task it belongs to; grids set the same.
TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1

Answer = Callable[[Message, Context], Any]
"""What a client does with a message; honest ones are Flower ClientApps."""

Tampering = Callable[[Message], Any]
"""Changes an honest reply, in place or by returning another object."""


def settings_of(strategy: str = "global-dp", /, **changes: Any) -> Settings:
    """Return settings of a small run: seven clinics, three rounds, steps that move the model."""
    return compose(strategy, {"clients": 7, "rounds": 3, "learning_rate": 0.01, **changes})


class Peers:
    """A client app in which some partitions tamper with one kind of their replies."""

    def __init__(self, tampering: Mapping[int, Tampering], kind: str = "train") -> None:
        self.tampering, self.kind = tampering, kind
        self.replies: list[Message] = []

    def __call__(self, message: Message, context: Context) -> Any:
        reply = client_app(message, context)
        tamper = self.tampering.get(partition_of(context))
        if tamper is not None and message.metadata.message_type == self.kind:
            return tamper(reply)
        self.replies.append(reply)
        return reply


class RelayGrid(InProcessGrid):
    """An in-process grid whose network reorders, repeats or drops replies."""

    relay: Callable[[list[Message]], Iterable[Message]] = staticmethod(list)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        messages = list(messages)
        replies = super().send_and_receive(messages, timeout=timeout)
        training = bool(messages) and messages[0].metadata.message_type == "train"
        return list(self.relay(replies)) if training else replies


def grid_of(settings: Settings, app: Answer = client_app, **kwargs: Any) -> RelayGrid:
    """Return a grid of simulated clinics."""
    grid = RelayGrid(app, simulated_nodes(settings), run_config(settings))  # type: ignore[arg-type]
    for name, value in kwargs.items():
        setattr(grid, name, value)
    return grid


def federate(
    settings: Settings, tampering: Mapping[int, Tampering] | None = None, kind: str = "train"
) -> FederatedRun:
    """Run a federation in which the named partitions tamper with their replies."""
    return run_federation(grid_of(settings, Peers(tampering or {}, kind)), settings)


def raises(_: Message) -> Message:
    """Fail as a client whose code raises."""
    raise RuntimeError("out of memory")


def reply_to(request: Message, content: RecordDict) -> Message:
    """Return a reply as Flower builds it."""
    return Message(content, reply_to=request)


def weights_of(reply: Message) -> NDArray[np.float64]:
    """Return the uploaded model of a train reply."""
    array = next(iter(reply.content["arrays"].values()))
    return np.asarray(array.numpy())
