"""SecureAggregation: the inner strategy sees one reply, the mean of uploads nobody saw alone.

The server's side of Bonawitz et al. 2017, Fig. 4 (and Bell et al. 2020 with ``neighbours``) over
Flower messages. Round 0 and 1 of the protocol happen while training is configured, round 2 is the
train message itself, 3 and 4 come before the replies are merged, over the grid that was kept.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from strategies.privacy.accounting import AccountingError
from strategies.privacy.shared_upload import grid_of, merged
from strategies.secagg.errors import RoundAbandoned, SecAggError
from strategies.secagg.masks import Words, to_signed, unpack
from strategies.secagg.messages import Advert
from strategies.secagg.opening import Roll, check_keys, open_sum
from strategies.secagg.terms import Terms, check_survivors
from strategies.secure_settings import terms_of
from strategies.settings import Settings
from strategies.wrappers import secure_messages as wire
from strategies.wrappers.base import StrategyWrapper, averages_linearly
from strategies.wrappers.market_messages import ROUND
from strategies.wrappers.narrowed_grid import NarrowedGrid, answered_twice, note_abandoned
from strategies.wrappers.protocol import MODEL
from strategies.wrappers.vectors import to_array, to_vector

COHORT, SURVIVORS, RECORDS = "secagg-cohort", "secagg-survivors", "secagg-records"
ABANDONED = "secagg-abandoned"
_FAULTS = (RoundAbandoned, SecAggError, AccountingError)


@dataclass
class _Session:
    """One round's session as the server knows it."""

    server_round: int
    grid: Grid
    terms: Terms
    weights: ArrayRecord
    name: bytes = field(default_factory=lambda: secrets.token_bytes(wire.SESSION_BYTES))
    nodes: dict[int, int] = field(default_factory=dict)
    adverts: dict[int, Advert] = field(default_factory=dict)
    commitments: dict[int, bytes] = field(default_factory=dict)
    mailbox: dict[int, dict[int, bytes]] = field(default_factory=dict)

    @property
    def roll(self) -> Roll:
        """Return what the opening needs."""
        return Roll(self.name, self.terms, self.adverts, self.commitments)

    @property
    def signed(self) -> bool:
        """Return whether every clinic signed its keys, so that round 3 makes sense."""
        return all(advert.signature for advert in self.adverts.values())


class _NobodyAnswered(Exception):
    """No clinic answered; what each said or did not say is on record already."""


class SecureAggregation(StrategyWrapper):
    """Wrap a linear average so that it gets the mean of masked uploads.

    Parameters
    ----------
    inner : Strategy
        FedAvg, wrapped or not; anything else would need single uploads.
    settings : Settings
        Of the run: protocol, mechanism and modulus.
    dimension : int
        d, length of the model.
    number : callable
        Lasting number of the clinic at a node, or None for a stranger.

    Raises
    ------
    ValueError
        When the inner strategy is no linear average.
    """

    def __init__(
        self,
        inner: Strategy,
        settings: Settings,
        dimension: int,
        number: Callable[[int], int | None],
    ) -> None:
        super().__init__(inner)
        if not averages_linearly(inner):
            raise ValueError(
                "secure aggregation gives the sum of uploads alone: it goes around a weighted "
                "average (fedavg), not around a rule that compares uploads"
            )
        self.settings = settings
        self.dimension = dimension
        self.number = number
        self._seen_keys: set[bytes] = set()
        self._fresh_keys: list[bytes] = []
        self._session: _Session | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Run rounds 0 and 1, then send the train messages with the encrypted shares."""
        self._session = None
        try:
            session = self._open_session(server_round, arrays, grid)
        except _NobodyAnswered:
            return []
        except _FAULTS as fault:
            note_abandoned(grid, str(fault))
            return []
        self._session = session
        members = {node: member for member, node in session.nodes.items()}
        chosen = NarrowedGrid(grid, [session.nodes[m] for m in session.roll.cohort])
        messages = list(self.inner.configure_train(server_round, arrays, config, chosen))
        for message in messages:
            letters = session.mailbox.get(members[message.metadata.dst_node_id], {})
            record = wire.letters_record(letters)
            record["cohort"] = list(session.roll.cohort)
            record[wire.SESSION] = session.name
            content = {**dict(message.content.items()), wire.SECAGG: record}
            message.content = RecordDict(content)
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Unmask the sum and let the inner strategy merge the one reply that it makes."""
        session, self._session = self._session, None
        replies = list(replies)
        if session is None or not replies:
            return None, MetricRecord({ABANDONED: 1})
        try:
            reply, metrics = self._opened(session, replies)
        except (*_FAULTS, ValueError) as fault:
            note_abandoned(session.grid, str(fault))
            return None, MetricRecord({ABANDONED: 1, COHORT: len(session.commitments)})
        arrays, inner_metrics = self.inner.aggregate_train(server_round, [reply])
        result = MetricRecord() if inner_metrics is None else inner_metrics
        for name, value in metrics.items():
            result[name] = value
        return arrays, result

    def additions(self) -> list[bytes]:
        """Return the keys seen since the last call: none may come again."""
        fresh, self._fresh_keys = self._fresh_keys, []
        return fresh

    def replay(self, additions: Iterable[bytes]) -> None:
        """Know the keys of a round that another process ran."""
        self._seen_keys |= set(additions)

    def _open_session(self, server_round: int, arrays: ArrayRecord, grid: Grid) -> _Session:
        nodes = {n: node for node in grid.get_node_ids() if (n := self.number(node)) is not None}
        session = _Session(server_round, grid, terms_of(self.settings, len(nodes)), arrays)
        session.nodes = nodes
        self._collect_keys(session)
        self._collect_shares(session)
        check_survivors(session.commitments, session.adverts, session.terms)
        grid_of(self.settings, self.dimension, len(session.commitments))  # has room, or says not
        return session

    def _collect_keys(self, session: _Session) -> None:
        """Round 0, AdvertiseKeys: the keys of everybody who answers."""
        record = ConfigRecord({wire.ASKED: session.terms.members})
        replies = self._ask(session, wire.KEYS, dict.fromkeys(session.nodes, record))
        for member, reply in replies.items():
            (advert,) = wire.read_adverts(reply)
            if advert.member == member:
                session.adverts[member] = advert
        if not session.adverts:
            raise _NobodyAnswered
        known = set(self._seen_keys)
        check_keys(list(session.adverts.values()), self._seen_keys)
        self._fresh_keys += sorted(self._seen_keys - known)
        check_survivors(session.adverts, session.nodes, session.terms)

    def _collect_shares(self, session: _Session) -> None:
        """Round 1, ShareKeys: encrypted shares, sorted by whom they are for."""
        record = wire.adverts_record([session.adverts[m] for m in sorted(session.adverts)])
        replies = self._ask(session, wire.SHARES, dict.fromkeys(session.adverts, record))
        graph = session.roll.graph
        for member, reply in replies.items():
            letters, bound = wire.read_letters(reply), wire.data(reply, wire.COMMITMENT)
            if set(letters) != set(graph[member]):
                continue
            session.commitments[member] = bound
            for receiver, letter in letters.items():
                session.mailbox.setdefault(receiver, {})[member] = letter

    def _opened(
        self, session: _Session, replies: Sequence[Message]
    ) -> tuple[Message, dict[str, int | float]]:
        """Do rounds 2 to 4 at the server: collect, confirm, unmask, and read the sum."""
        bits = self.settings.modulus_bits
        masked: dict[int, Words] = {}
        for reply in replies:
            member = self.number(reply.metadata.src_node_id)
            if member is not None and member in session.commitments:
                sent = wire.data(reply.content.config_records[wire.SECAGG], wire.MASKED)
                masked[member] = unpack(sent, self.dimension + 1, bits)
        twice = answered_twice(session.grid)
        if twice:
            raise RoundAbandoned(f"{twice} answered twice in one round")
        check_survivors(masked, session.commitments, session.terms)
        signatures = self._confirm(session, sorted(masked)) if session.signed else {}
        revealed = self._unmask(session, sorted(masked), signatures)
        total = to_signed(open_sum(session.roll, masked, revealed), bits)
        grid = grid_of(self.settings, self.dimension, len(session.commitments))
        start = to_vector(session.weights[MODEL])
        model, weight = merged(start, total, grid, self.settings)
        content = RecordDict(
            {
                "arrays": ArrayRecord({MODEL: to_array(model)}),
                "metrics": MetricRecord({"num-examples": weight}),
            }
        )
        told: dict[str, int | float] = {
            COHORT: len(session.commitments),
            SURVIVORS: len(masked),
            RECORDS: weight,
        }
        synthetic = Message(content, dst_node_id=session.nodes[min(masked)], message_type="train")
        return synthetic, told

    def _confirm(self, session: _Session, survivors: list[int]) -> dict[int, bytes]:
        """Round 3, ConsistencyCheck: signatures that all were told of the same survivors."""
        record = ConfigRecord({wire.MEMBERS: survivors})
        replies = self._ask(session, wire.CHECK, dict.fromkeys(survivors, record))
        return {m: wire.data(reply, wire.SIGNATURES) for m, reply in replies.items()}

    def _unmask(
        self, session: _Session, survivors: list[int], signatures: Mapping[int, bytes]
    ) -> dict[int, dict[int, int]]:
        """Round 4, Unmasking: what each survivor reveals."""
        asked = sorted(signatures) if session.signed else survivors
        record = wire.signatures_record(signatures)
        record[wire.MEMBERS] = survivors
        replies = self._ask(session, wire.UNMASK, dict.fromkeys(asked, record))
        return {member: wire.read_revealed(reply) for member, reply in replies.items()}

    def _ask(
        self, session: _Session, kind: str, records: Mapping[int, ConfigRecord]
    ) -> dict[int, ConfigRecord]:
        """Send one phase's record to each member and return the answers by member."""
        requests = []
        for member, record in records.items():
            whole = ConfigRecord(
                {**record, ROUND: session.server_round, wire.SESSION: session.name}
            )
            content = RecordDict({wire.SECAGG: whole})
            requests.append(Message(content, dst_node_id=session.nodes[member], message_type=kind))
        answers: dict[int, ConfigRecord] = {}
        for reply in session.grid.send_and_receive(requests) if requests else ():
            sender = self.number(reply.metadata.src_node_id)
            if sender is not None and sender in records and not reply.has_error():
                answers[sender] = reply.content.config_records[wire.SECAGG]
        twice = answered_twice(session.grid)
        if twice:
            raise RoundAbandoned(f"{twice} answered twice in one round")
        return answers

    def describe(self) -> str:
        """Return the protocol's parameters in one line."""
        terms = terms_of(self.settings, self.settings.clients)
        return (
            f"SecureAggregation: {terms.members} clinics, threshold {terms.threshold}, "
            f"{terms.degree} neighbours, {terms.colluders} colluders, modulo 2^{terms.bits}"
        )
