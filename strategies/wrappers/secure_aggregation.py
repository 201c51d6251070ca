"""SecureAggregation: the inner strategy sees one reply, the mean of uploads nobody saw alone.

The server's side of Bonawitz et al. 2017, Fig. 4 (and Bell et al. 2020 with ``neighbours``) over
Flower messages. Round 0 and 1 of the protocol happen while training is configured, round 2 is the
train message itself, 3 and 4 come before the replies are merged, over the grid that was kept.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from strategies.privacy.accounting import AccountingError
from strategies.privacy.shared_upload import grid_of, merged
from strategies.secagg.blame import FalseDealer, accused_by, bad_adverts, named_by, same_keys
from strategies.secagg.errors import RoundAbandoned, SecAggError
from strategies.secagg.keys import verified
from strategies.secagg.masks import Words, to_signed, unpack
from strategies.secagg.messages import Advert, survivors_signed
from strategies.secagg.opening import Roll, open_sum
from strategies.secagg.terms import Terms, check_survivors
from strategies.secure_settings import terms_of
from strategies.settings import Settings
from strategies.wrappers import secure_messages as wire
from strategies.wrappers.base import StrategyWrapper, averages_linearly
from strategies.wrappers.market_messages import ROUND
from strategies.wrappers.narrowed_grid import (
    NarrowedGrid,
    note_abandoned,
    note_liar,
    refusals,
    repeating_nodes,
)
from strategies.wrappers.protocol import MODEL
from strategies.wrappers.seal_keys import public_key_of
from strategies.wrappers.vectors import to_array, to_vector

COHORT, SURVIVORS, RECORDS = "secagg-cohort", "secagg-survivors", "secagg-records"
ABANDONED = "secagg-abandoned"
_LEFT_OUT = b"left out:"
"""What a clinic's number follows in the journal, where keys stand alone."""
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
    keys: dict[int, EllipticCurvePublicKey] = field(default_factory=dict)

    def holds(self, member: int, text: bytes, signature: bytes) -> bool:
        """Return False for a signature that is not by the key that a clinic is known by."""
        key = self.keys.get(member)
        return not signature or key is None or verified(key, text, signature)

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
        self._left_out: set[int] = set()
        self._masked: frozenset[int] = frozenset()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Run rounds 0 and 1, then send the train messages with the encrypted shares."""
        self._session, self._masked = None, frozenset()
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
            if session is not None and self._hear_accusers(session):
                note_abandoned(session.grid, "nobody could read the encrypted shares of all")
            return None, MetricRecord({ABANDONED: 1})
        try:
            reply, metrics = self._opened(session, replies)
        except (*_FAULTS, ValueError) as fault:
            note_abandoned(session.grid, str(fault))
            if isinstance(fault, FalseDealer):
                self._leave_out(session, fault.member, wire.SHARES, "handed out false shares")
            self._hear_accusers(session)
            return None, MetricRecord({ABANDONED: 1, COHORT: len(session.commitments)})
        arrays, inner_metrics = self.inner.aggregate_train(server_round, [reply])
        result = MetricRecord() if inner_metrics is None else inner_metrics
        for name, value in metrics.items():
            result[name] = value
        return arrays, result

    def merged_nodes(self) -> frozenset[int] | None:
        """Return the nodes whose masked uploads are in the last sum."""
        return self._masked

    def additions(self) -> list[bytes]:
        """Return the keys seen since the last call and who was left out: none may come again."""
        fresh, self._fresh_keys = self._fresh_keys, []
        return fresh

    def replay(self, additions: Iterable[bytes]) -> None:
        """Know the keys and liars of a round that another process ran."""
        for known in additions:
            if known.startswith(_LEFT_OUT):
                self._left_out.add(int(known.removeprefix(_LEFT_OUT)))
            else:
                self._seen_keys.add(known)

    def _open_session(self, server_round: int, arrays: ArrayRecord, grid: Grid) -> _Session:
        nodes = {n: node for node in grid.get_node_ids() if (n := self.number(node)) is not None}
        nodes = {n: node for n, node in nodes.items() if n not in self._left_out}
        session = _Session(server_round, grid, terms_of(self.settings, len(nodes)), arrays)
        session.nodes, session.keys = nodes, _keys_of(grid, nodes)
        self._collect_keys(session)
        self._collect_shares(session)
        try:
            check_survivors(session.commitments, session.adverts, session.terms)
        except RoundAbandoned:
            self._hear_accusers(session)
            raise
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
        self._sift_keys(session)
        check_survivors(session.adverts, session.nodes, session.terms)

    def _sift_keys(self, session: _Session) -> None:
        """Leave out whoever's keys are none, are old, or are not signed as the others' are."""
        adverts = list(session.adverts.values())
        faults = bad_adverts(adverts, self._seen_keys)
        fresh = {key for a in adverts for key in (a.cipher_key, a.mask_key)} - self._seen_keys
        self._seen_keys |= fresh
        self._fresh_keys += sorted(fresh)
        signed = [a.member for a in adverts if a.signature]
        for advert in adverts:
            if not advert.signature and len(signed) >= session.terms.least_survivors:
                faults.setdefault(advert.member, "does not sign its keys, as the others do")
            elif not session.holds(advert.member, advert.signed(session.name), advert.signature):
                faults.setdefault(advert.member, "sent keys that it did not sign")
        for member, fault in faults.items():
            self._leave_out(session, member, wire.KEYS, fault)
        for member in same_keys(adverts) - set(faults):  # one took the other's: neither is blamed
            self._note(session, member, wire.KEYS, "sent the same keys as another: replayed keys")
        for member in same_keys(adverts) | set(faults):
            del session.adverts[member]

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
        for member in self._repeating(session, masked):
            del masked[member]
        self._masked = frozenset(session.nodes[member] for member in masked)
        check_survivors(masked, session.commitments, session.terms)
        signatures = self._confirm(session, sorted(masked)) if session.signed else {}
        revealed = self._unmask(session, sorted(masked), signatures)
        disputes: set[tuple[int, int]] = set()
        total = to_signed(open_sum(session.roll, masked, revealed, disputes), bits)
        for member, fault in named_by(disputes, session.terms.colluders).items():
            self._leave_out(session, member, wire.UNMASK, fault)
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
        found = {m: wire.data(reply, wire.SIGNATURES) for m, reply in replies.items()}
        told = survivors_signed(session.name, survivors)
        for member in [m for m, text in found.items() if not session.holds(m, told, text)]:
            self._leave_out(session, member, wire.CHECK, "did not sign what it was told")
            del found[member]
        return found

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
        for member in self._repeating(session, answers):
            del answers[member]
        return answers

    def _repeating(self, session: _Session, members: Iterable[int]) -> list[int]:
        """Return whoever of these answered twice: it drops out here, and is not asked again."""
        again = repeating_nodes(session.grid)
        found = [member for member in members if session.nodes[member] in again]
        for member in found:
            self._remember(member)  # the grid has said why
        return found

    def _leave_out(self, session: _Session, member: int, kind: str, fault: str) -> None:
        """Ask a clinic that lied no more, and say why."""
        if member not in self._left_out:
            self._note(session, member, kind, f"{fault}: not asked again")
            self._remember(member)

    def _remember(self, member: int) -> None:
        if member not in self._left_out:
            self._left_out.add(member)
            self._fresh_keys.append(_LEFT_OUT + str(member).encode())

    def _note(self, session: _Session, member: int, kind: str, fault: str) -> None:
        note_liar(session.grid, session.nodes[member], kind, fault)

    def _hear_accusers(self, session: _Session) -> bool:
        """After a round that failed, leave out whom too many accuse of false keys or shares."""
        spare = session.terms.members - session.terms.least_survivors
        accused = accused_by(refusals(session.grid), spare)
        for member, fault in accused.items():
            if member in session.nodes:
                self._leave_out(session, member, wire.SHARES, fault)
        return bool(accused)

    def describe(self) -> str:
        """Return the protocol's parameters in one line."""
        terms = terms_of(self.settings, self.settings.clients)
        return (
            f"SecureAggregation: {terms.members} clinics, threshold {terms.threshold}, "
            f"{terms.degree} neighbours, {terms.colluders} colluders, modulo 2^{terms.bits}"
        )


def _keys_of(grid: Grid, nodes: Mapping[int, int]) -> dict[int, EllipticCurvePublicKey]:
    """Return by member the P-384 key that the server knows its node by, where there is one."""
    public = {node.node_id: bytes(node.public_key) for node in grid.get_nodes()}
    found = {member: public_key_of(public.get(node, b"")) for member, node in nodes.items()}
    return {
        member: key
        for member, key in found.items()
        if key is not None and isinstance(key.curve, SECP384R1)
    }
