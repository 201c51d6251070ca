"""Seals: who answered what, so that an altered reply is told from a bad one.

A client signs run, round, nonce, message type and the hash of what it delivers with the key that
its machine is known by. A reply that was altered on its way, or that answers another request, no
longer fits its seal. What a seal proves is who said it and to which question, never that it is
true.
"""

import hmac
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import cast

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from strategies.wrappers.protocol import ROUND

SEAL = "seal"
"""Key of the ConfigRecord in which a reply is sealed."""
RUN, NONCE = "federation-run", "nonce"
"""Entries of a request's config, and of a seal: the run's lasting name, and what is answered."""
SIGNATURE = "signature"
SEALED = frozenset({"query.hello", "query.offer", "train", "evaluate"})
"""Message types whose replies are sealed; secure aggregation signs its own."""
CONFIG = "config"
NONCE_BYTES = 16
_DOMAIN = b"trusted-federation reply v1\0"  # the same key signs in to Flower: never its messages


@dataclass(frozen=True)
class Question:
    """What a reply answers.

    Parameters
    ----------
    run : str
        The run's own name, the same after it was resumed.
    round : int
        0 for what belongs to no round.
    nonce : bytes
        The server's, one for each request.
    kind : str
        Message type.
    """

    run: str
    round: int
    nonce: bytes
    kind: str

    def signed(self, content: RecordDict) -> bytes:
        """Return the bytes that are signed when ``content`` answers this."""
        parts = (self.run.encode(), str(self.round).encode(), self.nonce, self.kind.encode())
        return _DOMAIN + b"".join(map(_framed, (*parts, digest_of(content))))


def nonce_of(secret: bytes, round_: int, kind: str, identity: str) -> bytes:
    """Return the nonce of a request; a resumed run that asks again has the same one."""
    text = f"{round_}|{kind}|{identity}".encode()
    return hmac.new(secret, text, sha256).digest()[:NONCE_BYTES]


def stamp(request: Message, run: str, nonce: bytes) -> Question:
    """Write run and nonce into a request, and return what it asks."""
    config = request.content.get(CONFIG)
    if not isinstance(config, ConfigRecord):
        config = request.content[CONFIG] = ConfigRecord()
    config[RUN], config[NONCE] = run, nonce
    return Question(run, _round(config), nonce, request.metadata.message_type)


def question_of(request: Message) -> Question | None:
    """Return what a request asks, None when it was not stamped."""
    config = request.content.get(CONFIG)
    if not isinstance(config, ConfigRecord) or RUN not in config or NONCE not in config:
        return None
    run, nonce = str(config[RUN]), cast(bytes, config[NONCE])
    return Question(run, _round(config), nonce, request.metadata.message_type)


def digest_of(content: RecordDict) -> bytes:
    """Return a hash of records that does not depend on their order or their serialisation."""
    digest = sha256()
    for name in sorted(content):
        record = content[name]
        digest.update(_framed(name.encode()))
        digest.update(_framed(type(record).__name__.encode()))
        for key in sorted(record):
            digest.update(_framed(str(key).encode()))
            digest.update(_framed(_value(record, str(key))))
    return digest.digest()


def _value(record: ArrayRecord | MetricRecord | ConfigRecord, key: str) -> bytes:
    if isinstance(record, ArrayRecord):
        array = record[key]
        shape = ",".join(map(str, array.shape))
        parts = (array.dtype.encode(), shape.encode(), array.stype.encode(), array.data)
        return b"".join(map(_framed, parts))
    return _plain(record[key])


def _plain(value: object) -> bytes:
    if isinstance(value, bool):
        return b"?1" if value else b"?0"
    if isinstance(value, int):
        return b"i" + str(value).encode()
    if isinstance(value, float):
        return b"d" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"s" + value.encode()
    if isinstance(value, bytes):
        return b"b" + value
    return b"l" + b"".join(_framed(_plain(item)) for item in cast("list[object]", value))


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part


def _round(config: ConfigRecord) -> int:
    found = config.get(ROUND, 0)
    return found if isinstance(found, int) else 0
