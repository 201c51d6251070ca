"""InProcessGrid: a Flower Grid that hands Messages to the ClientApp within this process.

The same ServerApp and ClientApp as on Ray or on separate machines, without start-up. Message
ids and the task identity are internals of Flower 1.41; tests/scenarios holds this backend and
Ray to the same weights.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.node_pb2 import NodeInfo
from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from strategies.settings import Settings

FIRST_NODE = 1000
RUN_ID = 1

ConfigValue = bool | int | float | str


class InProcessGrid(Grid):
    """A Grid whose nodes are plain calls.

    Parameters
    ----------
    client_app : ClientApp
        What every node runs.
    node_configs : sequence of mapping
        One per node, what its machine would set: ``partition-id`` and the like.
    run_config : mapping
        What the submitter sets for all.
    """

    def __init__(
        self,
        client_app: ClientApp,
        node_configs: Sequence[Mapping[str, ConfigValue]],
        run_config: Mapping[str, ConfigValue],
    ) -> None:
        # Fresh noise makes a run of its own in a clinic's ledger; seeded noise repeats one.
        fresh = run_config.get("noise", "seeded") != "seeded"
        run_id = secrets.randbits(63) if fresh else RUN_ID
        self._node_configs, self._run_config = list(node_configs), dict(run_config)
        self._enter(run_id, [RecordDict() for _ in node_configs])
        self._client_app = client_app
        self._ids = count(1)
        self._replies: dict[str, Message] = {}

    def _enter(self, run_id: int, states: Sequence[RecordDict]) -> None:
        TaskIdentity.run_id, TaskIdentity.task_id = run_id, 1
        TaskIdentity.node_id = SUPERLINK_NODE_ID
        self._run = Run.create_empty(run_id)
        self._contexts = {
            FIRST_NODE + number: Context(
                run_id=run_id,
                node_id=FIRST_NODE + number,
                node_config=dict(node_config),
                state=state,
                run_config=self._run_config,
            )
            for number, (node_config, state) in enumerate(
                zip(self._node_configs, states, strict=True)
            )
        }

    def state(self) -> dict[str, Any]:
        """Return the run's number and what every client remembers: all end with this process."""
        states = [recorddict_to_proto(context.state) for context in self._contexts.values()]
        return {
            "run_id": self._run.run_id,
            "clients": [proto.SerializeToString(deterministic=True) for proto in states],
        }

    def restore(self, state: Any) -> None:
        """Put back what :meth:`state` returned, into a grid of as many nodes."""
        protos = [ProtoRecordDict.FromString(kept) for kept in state["clients"]]
        self._enter(int(state["run_id"]), [recorddict_from_proto(proto) for proto in protos])

    def set_run(self, run: Run) -> None:
        """Set the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """Return the run."""
        return self._run

    def context(self, node_id: int) -> Context:
        """Return a node's own context: what it keeps and never sends."""
        return self._contexts[node_id]

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message to one node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Return all nodes."""
        return list(self._contexts)

    def get_nodes(self) -> list[NodeInfo]:
        """Return all nodes; simulated ones have no key."""
        return [NodeInfo(node_id=node) for node in self._contexts]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Run each message through its node at once and keep the replies."""
        ids = []
        for message in messages:
            message_id = self._stamp(message)
            ids.append(message_id)
            reply = self._call(message)
            self._stamp(reply)
            self._replies[message_id] = reply
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies to these messages, each once."""
        return [self._replies.pop(key) for key in message_ids if key in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Push and pull; nodes are calls, so nothing waits and ``timeout`` is moot."""
        return self.pull_messages(self.push_messages(messages))

    def _stamp(self, message: Message) -> str:
        message_id = f"{next(self._ids):064x}"
        message.metadata.__dict__["_message_id"] = message_id
        return message_id

    def _call(self, message: Message) -> Message:
        context = self._contexts.get(message.metadata.dst_node_id)
        if context is None:
            return Message(Error(ErrorCode.NODE_UNAVAILABLE, "no such node"), reply_to=message)
        try:
            reply = self._client_app(message, context)
            if not isinstance(reply, Message):
                raise TypeError(f"the client app returned {type(reply).__name__}, not a Message")
            return reply
        except Exception as fault:  # noqa: BLE001 - as in Flower: a client's failure is its own
            reason = f"{type(fault).__name__}: {fault}"
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)


def simulated_nodes(settings: Settings) -> list[dict[str, ConfigValue]]:
    """Return the node config of each simulated client."""
    return [
        {"partition-id": number, "num-partitions": settings.nodes}
        for number in range(settings.nodes)
    ]


def run_config(settings: Settings) -> dict[str, ConfigValue]:
    """Return the Flower run config that stands for ``settings``."""
    named = {name.replace("_", "-"): value for name, value in settings.as_dict().items()}
    return {"composed": True, **named}
