"""What the server asks to be sealed, and how it checks a seal before anything else is looked at."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import TYPE_CHECKING

from flwr.app import ConfigRecord, Message, MetricRecord
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid

from server.registry import Participant
from server.state.keeper import Keeper
from strategies.settings import Settings
from strategies.wrappers.protocol import ROUND
from strategies.wrappers.seal import (
    NONCE,
    RUN,
    SEAL,
    SEALED,
    SIGNATURE,
    Question,
    nonce_of,
    stamp,
)
from strategies.wrappers.seal_keys import holds, public_key_of, simulated_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

ALTERED, REPLAYED, UNSIGNED = "altered", "replayed", "unsigned"
MAX_SIGNATURE = 256
SIGNED = "FEDERATION_SIGNED"
"""Set in the environment of a server whose clients have keys."""


class SealBroken(ValueError):
    """A reply that does not fit its seal; ``kind`` says how, for the verdict."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass
class Seals:
    """Asks for seals and checks them.

    Parameters
    ----------
    run : str
        The run's lasting name.
    secret : bytes
        What its nonces are made from.
    required : bool
        Whether a reply without a seal is refused; else requests are only stamped.
    seed : int, optional
        In a simulation, whose clients' keys are made from it; None: the keys that Flower
        authenticated.
    """

    run: str
    secret: bytes = field(repr=False)
    required: bool = True
    seed: int | None = None
    _asked: dict[str, Question] = field(default_factory=dict)
    _keys: dict[int, bytes] = field(default_factory=dict)

    def learn(self, nodes: Iterable[NodeInfo]) -> None:
        """Take the keys of nodes from the server's own list."""
        self._keys |= {node.node_id: bytes(node.public_key) for node in nodes}

    def ask(self, requests: Iterable[tuple[Message, str]]) -> None:
        """Stamp requests to identities; what was asked before can no longer be answered."""
        self._asked = {}
        for request, identity in requests:
            kind = request.metadata.message_type
            if kind in SEALED:
                question = stamp(request, self.run, b"")
                nonce = nonce_of(self.secret, question.round, kind, identity)
                self._asked[identity] = stamp(request, self.run, nonce)

    def check(self, reply: Message, request: Message, who: str, sender: Participant | None) -> None:
        """Take the seal off a reply, or refuse the reply.

        Raises
        ------
        SealBroken
            ``unsigned`` without a seal at enrolment, ``replayed`` when it answers another
            request, ``altered`` when its seal is gone or does not fit what came.
        """
        if request.metadata.message_type not in SEALED:
            return
        seal = reply.content.pop(SEAL, None)
        if not self.required:
            return
        if seal is None:
            if sender is not None:  # it signed when it enrolled
                raise SealBroken(ALTERED, "lost its signature on the way")
            raise SealBroken(
                UNSIGNED, "does not sign what it sends: start the client with its own key"
            )
        question = self._asked[who]
        signature = _read(seal, question)
        key = self._key(reply, sender)
        if key is None:
            raise SealBroken(UNSIGNED, "has no key that its signature could be checked by")
        if not holds(key, question.signed(reply.content), signature):
            raise SealBroken(ALTERED, "was altered on the way: its signature does not fit")

    def _key(self, reply: Message, sender: Participant | None) -> "EllipticCurvePublicKey | None":
        if self.seed is None:
            return public_key_of(self._keys.get(reply.metadata.src_node_id, b""))
        if sender is not None:
            return simulated_key(self.seed, sender.partition).public_key()
        metrics = reply.content.get("metrics")  # of a hello: who it says it is
        number = metrics.get("partition-id") if isinstance(metrics, MetricRecord) else None
        return simulated_key(self.seed, number).public_key() if isinstance(number, int) else None


def seals_of(
    settings: Settings, grid: Grid, keeper: Keeper, *, deployed: bool = False
) -> Seals | None:
    """Return what a run's replies must be sealed with; None where nothing is stamped.

    On separate machines every request is stamped, so that a clinic knows it again; seals are
    required where they are asked for, and where the server has a list of its clients' keys.
    """
    flower = f"flower-{grid.run.run_id}"
    secret = keeper.secret or token_bytes(32)
    if deployed:
        keyed = os.environ.get(SIGNED) == "1"
        required = settings.signatures == "on" or (settings.signatures == "auto" and keyed)
        return Seals(keeper.run_name or flower, secret, required)
    return Seals(flower, secret, True, settings.seed) if settings.signatures == "on" else None


def _read(seal: object, question: Question) -> bytes:
    """Return the signature of a seal that claims to answer the question."""
    names = {RUN, ROUND, NONCE, SIGNATURE}
    if not isinstance(seal, ConfigRecord) or set(seal) != names:
        raise SealBroken(ALTERED, "has a seal that is none")
    said = (seal[RUN], seal[ROUND], seal[NONCE])
    if said != (question.run, question.round, question.nonce):
        number = seal[ROUND] if isinstance(seal[ROUND], int) else None
        run = "" if seal[RUN] == question.run else " of another run"
        raise SealBroken(
            REPLAYED, f"answers round {number!r}{run} where round {question.round} was asked"
        )
    signature = seal[SIGNATURE]
    if not isinstance(signature, bytes) or len(signature) > MAX_SIGNATURE:
        raise SealBroken(ALTERED, "has a seal without a signature")
    return signature
