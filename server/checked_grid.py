"""CheckedGrid: every reply is judged alone before any strategy sees it.

It wraps any Flower Grid. Each node gets its own copy of a request's records and a bounded
time to live; each answer is matched to the request it belongs to, judged, and either passed
on in identity order or turned into a verdict. Verdicts go to the round's record and the log.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from logging import WARNING
from math import inf
from typing import Any

from flwr.app import Message, MessageType, RecordDict
from flwr.common.logger import log
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from server.registry import Participant, Registry
from server.replies import BriefedJudge, Judge, ReplyRejected
from server.seals import UNSIGNED, SealBroken, Seals
from server.verdicts import Verdict
from strategies.wrappers.protocol import EXHAUSTED, PLACE, REFUSAL
from strategies.wrappers.seal import SEAL
from strategies.wrappers.vectors import CheckedContent as CheckedContent

MAX_REASON = 300
AGAIN = "answers the same request again"


@dataclass
class CheckedGrid(Grid):
    """A Grid around another that passes on only replies that hold up.

    Parameters
    ----------
    grid : Grid
        The Flower grid of the backend.
    judges : mapping of str to Judge
        By message type; a type without a judge is never accepted.
    timeout : float
        Seconds an answer may take; also the time to live of a request.
    registry : Registry, optional
        Who is enrolled; without it (at enrolment) any node may answer.
    """

    grid: Grid
    judges: Mapping[str, Judge]
    timeout: float = 600.0
    registry: Registry | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    spent: set[int] = field(default_factory=set)
    """Nodes that said that their privacy budget is spent: no more uploads are asked of them."""
    silent: set[int] = field(default_factory=set)
    """Nodes whose budget allows no further rating: none is asked of them."""
    seals: Seals | None = None
    """What replies must be sealed with; None: nothing."""
    altered: set[int] = field(default_factory=set)
    """Nodes whose reply was altered on its way, since verdicts were last taken."""
    rejected: set[int] = field(default_factory=set)
    """Nodes whose reply was none that an honest client sends, since verdicts were last taken."""
    repeating: set[int] = field(default_factory=set)
    """Nodes that answered a request again, since verdicts were last taken."""
    places: Mapping[int, int] = field(default_factory=dict)
    """By partition the place that is written into requests, where it is not the partition."""
    _strangers: set[int] = field(default_factory=set)

    def state(self) -> dict[str, list[str]]:
        """Return by identity whose privacy budget is spent: nodes may change."""
        people = self.registry.participants if self.registry else ()
        return {
            "spent": [p.identity for p in people if p.node_id in self.spent],
            "silent": [p.identity for p in people if p.node_id in self.silent],
        }

    def restore(self, state: Any) -> None:
        """Put back what :meth:`state` returned."""
        people = self.registry.participants if self.registry else ()
        for nodes, kept in ((self.spent, state["spent"]), (self.silent, state.get("silent", ()))):
            nodes |= {p.node_id for p in people if p.identity in set(kept)}

    def take_verdicts(self) -> list[Verdict]:
        """Return the verdicts since the last call and forget them."""
        taken, self.verdicts = self.verdicts, []
        self.altered.clear()
        self.rejected.clear()
        self.repeating.clear()
        return taken

    def note_abandoned(self, reason: str) -> None:
        """Record that a strategy gave up this round, and why."""
        clean = _printable(reason)
        self.verdicts.append(Verdict("server", "train", "abandoned", clean))
        log(WARNING, "round abandoned: %s", clean)

    def note_liar(self, node: int, kind: str, reason: str) -> None:
        """Record what a node did that only a strategy could see, in answer to ``kind``."""
        self._record(self._who(node)[0], kind, "rejected", reason)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes of the enrolled, in identity order; all nodes before enrolment."""
        nodes = list(self.grid.get_node_ids())
        if self.registry is None:
            return nodes
        present = set(nodes)
        self._follow(present)
        return [p.node_id for p in self.registry.participants if p.node_id in present]

    def _follow(self, present: set[int]) -> None:
        """Find the enrolled who came back under another node id, by their keys."""
        if self.registry is None or not self.registry.keyed:
            return
        new = {node for node in present if self.registry.at(node) is None} - self._strangers
        if not new:
            return
        nodes = [node for node in self.grid.get_nodes() if node.node_id in new]
        for node in nodes:
            before = self.registry.follow(node.node_id, bytes(node.public_key))
            for told in (self.spent, self.silent):
                if before in told:
                    told.add(node.node_id)
        if self.seals is not None:
            self.seals.learn(nodes)
        self._strangers |= {node for node in new if self.registry.at(node) is None}

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Return the node infos behind :meth:`get_node_ids`."""
        wanted = set(self.get_node_ids())
        return [node for node in self.grid.get_nodes() if node.node_id in wanted]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Send, wait within the bound, judge, and return the good replies in identity order."""
        limit = self.timeout if timeout is None else min(timeout, self.timeout)
        requests = [self._prepared(message, limit) for message in messages]
        if not requests:
            return []
        if self.seals is not None:
            self.seals.ask((request, self._asked(request)[0]) for request in requests)
        for kind in {request.metadata.message_type for request in requests}:
            judge = self.judges.get(kind)
            if isinstance(judge, BriefedJudge):
                judge.brief(requests)
        replies = self.grid.send_and_receive(requests, timeout=limit)
        return self._judged(requests, replies)

    def identity(self, reply: Message) -> str:
        """Return who sent an accepted reply."""
        return self._sender(reply).identity

    def records(self, reply: Message) -> int:
        """Return the enrolled record count behind an accepted reply."""
        return self._sender(reply).records

    def _sender(self, reply: Message) -> Participant:
        participant = self.registry.at(reply.metadata.src_node_id) if self.registry else None
        if participant is None:
            raise KeyError(f"node {reply.metadata.src_node_id} is not enrolled")
        return participant

    def _prepared(self, message: Message, limit: float) -> Message:
        # FedAvg gives one RecordDict to all nodes, and no time to live; what a client in this
        # process does to its records must stay its own.
        own = message.content.copy()  # a RecordDict of its own, whose records were checked before
        own.__dict__["_data"] = {key: item.copy() for key, item in own.items()}
        message.content = own
        message.metadata.ttl = limit
        participant = self._asked(message)[1]
        if participant is not None and participant.partition in self.places:
            config = message.content.config_records["config"]
            config[PLACE] = self.places[participant.partition]
        return message

    def _judged(self, requests: list[Message], replies: Iterable[Message]) -> list[Message]:
        asked = {request.metadata.message_id: request for request in requests}
        unanswered = dict(asked)
        accepted: list[Message] = []
        for reply in self._in_order(asked, replies):
            request = asked.get(reply.metadata.reply_to_message_id)
            if request is None:
                self._note("unknown", requests[0], "rejected", "answers no request of this round")
                continue
            who, participant = self._asked(request)
            if unanswered.pop(request.metadata.message_id, None) is None:
                self._note(who, request, "rejected", AGAIN)
                if reply.metadata.src_node_id == request.metadata.dst_node_id:
                    self.repeating.add(request.metadata.dst_node_id)
            elif self._accepts(reply, request, who, participant):
                accepted.append(reply)
        for request in sorted(unanswered.values(), key=self._place):
            self._note(self._asked(request)[0], request, "missing", "no reply in time")
        for reply in accepted:
            reply.content = CheckedContent(reply.content)
        return accepted

    def _in_order(self, asked: Mapping[str, Message], replies: Iterable[Message]) -> list[Message]:
        """Return replies in identity order, so that verdicts are the same on every backend."""

        def place(reply: Message) -> float:
            request = asked.get(reply.metadata.reply_to_message_id)
            return inf if request is None else self._place(request)

        return sorted(replies, key=place)

    def _place(self, request: Message) -> int:
        participant = self._asked(request)[1]
        return participant.partition if participant else request.metadata.dst_node_id

    def _asked(self, request: Message) -> tuple[str, Participant | None]:
        return self._who(request.metadata.dst_node_id)

    def _who(self, node: int) -> tuple[str, Participant | None]:
        participant = self.registry.at(node) if self.registry else None
        return participant.identity if participant else f"node:{node}", participant

    def _accepts(
        self, reply: Message, request: Message, who: str, participant: Participant | None
    ) -> bool:
        if reply.has_error():
            self._note(who, request, "failed", _error_text(reply))
            return False
        try:
            refusal = _refusal(reply.content)
            sealed = self.seals is None or not self.seals.required
            if self.seals is not None and (refusal is None or SEAL in reply.content):
                self.seals.check(reply, request, who, participant)
                sealed, refusal = True, _refusal(reply.content)
            if refusal is not None:
                self._refused(refusal, request, who, sealed)
                return False
            self._judge(reply, request, participant)
        except SealBroken as fault:
            self._note(who, request, fault.kind, str(fault))
            if fault.kind != UNSIGNED:
                self.altered.add(request.metadata.dst_node_id)
            return False
        except Exception as fault:  # noqa: BLE001 - a judge that trips over a reply rejects it
            known = isinstance(fault, ReplyRejected)
            reason = str(fault) if known else f"unreadable: {type(fault).__name__}"
            self._note(who, request, "rejected", reason)
            self.rejected.add(request.metadata.dst_node_id)
            return False
        return True

    def _refused(self, refusal: str, request: Message, who: str, sealed: bool) -> None:
        """Note a refusal; one without a seal says nothing lasting about its sender.

        A machine's own policy refuses before the app that signs is even started; but anybody on
        the path could say the same.
        """
        self._note(who, request, "refused", refusal)
        node = request.metadata.dst_node_id
        if not sealed:
            self.altered.add(node)
        elif refusal.startswith(EXHAUSTED):
            rating = request.metadata.message_type == MessageType.EVALUATE
            (self.silent if rating else self.spent).add(node)

    def _judge(self, reply: Message, request: Message, participant: Participant | None) -> None:
        kind, judge = request.metadata.message_type, self.judges.get(request.metadata.message_type)
        if self.registry is not None and participant is None:
            raise ReplyRejected("this node is not enrolled")
        if reply.metadata.src_node_id != request.metadata.dst_node_id:
            raise ReplyRejected("answers in the name of another node")
        if reply.metadata.message_type != kind:
            raise ReplyRejected("answers with another message type")
        if judge is None:
            raise ReplyRejected(f"nothing of type {kind} is expected")
        judge(reply.content, participant)

    def _note(self, identity: str, request: Message, verdict: str, reason: str) -> None:
        self._record(identity, request.metadata.message_type, verdict, reason)

    def _record(self, identity: str, kind: str, verdict: str, reason: str) -> None:
        clean = _printable(reason)
        self.verdicts.append(Verdict(identity, kind, verdict, clean))
        log(WARNING, "%s: %s reply %s: %s", identity, kind, verdict, clean)

    def set_run(self, run: Run) -> None:
        """Pass on the run."""
        self.grid.set_run(run)

    @property
    def run(self) -> Run:
        """Return the run of the wrapped grid."""
        return self.grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message as the wrapped grid does."""
        return self.grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Refuse: only :meth:`send_and_receive` can judge what comes back."""
        raise NotImplementedError("use send_and_receive: replies are judged there")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Refuse: only :meth:`send_and_receive` can judge what comes back."""
        raise NotImplementedError("use send_and_receive: replies are judged there")


def _printable(reason: str) -> str:
    """Return what a peer said as it may be logged: short, one line, nothing for a terminal."""
    return "".join(c if c.isprintable() else " " for c in reason[:MAX_REASON])


def _refusal(content: RecordDict) -> str | None:
    if set(content) != {REFUSAL}:
        return None
    reason = dict(content[REFUSAL].items()).get(REFUSAL)
    return reason if isinstance(reason, str) else None


def _error_text(reply: Message) -> str:
    reason = (reply.error.reason or f"error code {reply.error.code}").strip()
    return reason.splitlines()[-1] if reason else "error without a reason"
