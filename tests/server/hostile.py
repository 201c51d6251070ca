"""Every way a client can answer a train request wrongly, with what the verdict must say."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)

from strategies.wrappers.protocol import REFUSAL
from strategies.wrappers.vectors import NUMPY, npy_header

DIMENSION = 10


@dataclass(frozen=True)
class Hostile:
    """One case: what the client does to its honest reply, the verdict's kind and reason."""

    name: str
    tamper: Callable[[Message], Any]
    reason: str
    kind: str = "rejected"


def upload(values: Any) -> Callable[[Message], Message]:
    """Replace the model by other values, serialised as Flower does."""
    return replace(lambda _: Array(np.asarray(values)))


def raw(data: bytes, **claims: Any) -> Callable[[Message], Message]:
    """Replace the model by bytes of the client's own making."""
    fields = {"dtype": "float64", "shape": (DIMENSION,), "stype": NUMPY} | claims
    return replace(lambda _: Array(data=data, **fields))


def replace(make: Callable[[Array], Array]) -> Callable[[Message], Message]:
    def tamper(reply: Message) -> Message:
        reply.content["arrays"]["model"] = make(reply.content["arrays"]["model"])
        return reply

    return tamper


def content(change: Callable[[RecordDict], Any]) -> Callable[[Message], Message]:
    def tamper(reply: Message) -> Message:
        change(reply.content)
        return reply

    return tamper


def weight(value: Any) -> Callable[[Message], Message]:
    return content(lambda c: c["metrics"].update({"num-examples": value}))


def only(record: Any, name: str = "metrics") -> Callable[[Message], Message]:
    return lambda reply: Message(RecordDict({name: record}), reply_to=reply_target(reply))


def reply_target(reply: Message) -> Message:
    """Return a stand-in for the request that a reply answers."""
    request = Message(RecordDict(), reply.metadata.src_node_id, reply.metadata.message_type)
    request.metadata.__dict__["_message_id"] = reply.metadata.reply_to_message_id
    return request


def metadata(name: str, value: Any) -> Callable[[Message], Message]:
    def tamper(reply: Message) -> Message:
        reply.metadata.__dict__[f"_{name}"] = value
        return reply

    return tamper


def refusing(reason: Any) -> Callable[[Message], Message]:
    return only(ConfigRecord({REFUSAL: reason}), REFUSAL)


def failing(reason: str | None) -> Callable[[Message], Message]:
    return lambda reply: Message(Error(2, reason), reply_to=reply_target(reply))


def saved(values: Any, *, pickled: bool = False) -> bytes:
    buffer = BytesIO()
    np.save(buffer, values, allow_pickle=pickled)
    return buffer.getvalue()


def crash(_: Message) -> Message:
    raise MemoryError("clinic out of memory")


def spoil(index: int, value: float) -> Callable[[Message], Message]:
    def make(array: Array) -> Array:
        values = array.numpy().copy()
        values[index] = value
        return Array(values)

    return replace(make)


GOOD = saved(np.ones(DIMENSION))
HEADER = npy_header(DIMENSION)
HUGE_HEADER = b"\x93NUMPY\x02\x00" + (2**31 - 1).to_bytes(4, "little") + b" " * 400
BOMB_HEADER = npy_header(10**15) + b"\0" * 8 * DIMENSION
PICKLE = saved(np.array([print] * DIMENSION, dtype=object), pickled=True)
LONG = "no\x1b[31m\r\nINFO: all clients fine\0" + "x" * 100_000

CASES = [
    Hostile("NaN", spoil(3, float("nan")), "values that are not finite"),
    Hostile("+Inf", spoil(0, float("inf")), "values that are not finite"),
    Hostile("-Inf", spoil(9, -float("inf")), "values that are not finite"),
    Hostile("too short", upload(np.ones(4)), r"shape \(4,\) where float64 \(10,\)"),
    Hostile("too long", upload(np.ones(11)), r"shape \(11,\) where float64 \(10,\)"),
    Hostile("shape (1,)", upload(np.ones(1)), r"shape \(1,\) where float64 \(10,\)"),
    Hostile("scalar", upload(np.float64(1)), r"shape \(\) where float64 \(10,\)"),
    Hostile("column", upload(np.ones((10, 1))), r"shape \(10, 1\) where float64 \(10,\)"),
    Hostile("empty", upload(np.ones(0)), r"shape \(0,\) where float64 \(10,\)"),
    Hostile("float32", upload(np.ones(10, np.float32)), "'float32' of shape"),
    Hostile("integers", upload(np.ones(10, np.int64)), "'int64' of shape"),
    Hostile("complex", upload(np.ones(10, np.complex128)), "'complex128' of shape"),
    Hostile("big-endian", upload(np.ones(10, ">f8")), "'>f8' of shape"),
    Hostile("big-endian in disguise", raw(saved(np.ones(10, ">f8"))), "dtype >f8 where float64"),
    Hostile("integers in disguise", raw(saved(np.ones(10, np.int64))), "dtype int64 where"),
    Hostile("column in disguise", raw(saved(np.ones((10, 1)))), r"shape \(10, 1\) where \(10,\)"),
    Hostile("pickled objects", raw(PICKLE), "dtype object where float64"),
    Hostile("unknown serialisation", raw(GOOD, stype="pickle"), "unknown serialisation 'pickle'"),
    Hostile("truncated values", raw(GOOD[:-8]), "takes 200 bytes where 208 are expected"),
    Hostile("half a value", raw(GOOD[:-3]), "takes 205 bytes where 208 are expected"),
    Hostile("truncated header", raw(GOOD[:60]), "header cannot be read"),
    Hostile("no bytes", raw(b""), "header cannot be read"),
    Hostile("noise for bytes", raw(bytes(range(200)) + b"\0" * 8), "header cannot be read"),
    Hostile("huge header", raw(HUGE_HEADER), "header cannot be read"),
    Hostile("header of a petabyte", raw(BOMB_HEADER), r"shape \(1000000000000000,\) where"),
    Hostile("claims a petabyte", raw(GOOD, shape=(10**15,)), r"of shape \(1000000000000000,\)"),
    Hostile("megabytes too many", raw(GOOD + b"\0" * 2**22), "bytes where 208 are expected"),
    Hostile("long dtype name", raw(GOOD, dtype="f" * 10**6), "where float64 .10,. is expected"),
    Hostile("norm above the bound", upload(np.full(10, 0.5)), r"norm 1\.58\d* is above the bound"),
    Hostile("square overflows", upload(np.full(10, 1e200)), "norm inf is above the bound"),
    Hostile(
        "wrong array name",
        content(lambda c: c.update(arrays=ArrayRecord({"weights": c["arrays"]["model"]}))),
        "entries weights where model are expected",
    ),
    Hostile(
        "extra array",
        content(lambda c: c["arrays"].update(more=c["arrays"]["model"])),
        "entries model, more where model are expected",
    ),
    Hostile(
        "no array", content(lambda c: c.update(arrays=ArrayRecord())), "entries none where model"
    ),
    Hostile(
        "extra array record",
        content(lambda c: c.update(more=c["arrays"].copy())),
        "records arrays, metrics, more where arrays, metrics are expected",
    ),
    Hostile(
        "extra metric record",
        content(lambda c: c.update(more=MetricRecord({"loss": 0.5}))),
        "records arrays, metrics, more where",
    ),
    Hostile("no arrays", only(MetricRecord({"num-examples": 78})), "records metrics where arrays"),
    Hostile("no metrics", content(lambda c: c.pop("metrics")), "records arrays where arrays"),
    Hostile(
        "no records", lambda r: Message(RecordDict(), reply_to=reply_target(r)), "records none"
    ),
    Hostile(
        "exact loss",
        content(lambda c: c["metrics"].update(loss=0.25)),
        "entries loss, num-examples, server-round where",
    ),
    Hostile(
        "no weight", content(lambda c: c["metrics"].clear()), "entries none where num-examples"
    ),
    Hostile(
        "records of swapped kinds",
        content(lambda c: c.update(arrays=c["metrics"], metrics=c["arrays"])),
        "record 'arrays' is of the wrong kind",
    ),
    Hostile("weight 0", weight(0), "num-examples 0 is not the 78 records enrolled"),
    Hostile("negative weight", weight(-78), "num-examples -78 is not the 78 records enrolled"),
    Hostile("weight 1e18", weight(10**18), r"num-examples 1e\+18 is not the 78 records"),
    Hostile("fractional weight", weight(78.5), "num-examples 78.5 is not the 78 records"),
    Hostile("weight NaN", weight(float("nan")), "num-examples is not a finite number"),
    Hostile("weight Inf", weight(float("inf")), "num-examples is not a finite number"),
    Hostile("list for a weight", weight([78, 78]), "num-examples is not a finite number"),
    Hostile(
        "another round", content(lambda c: c["metrics"].update({"server-round": 9})), "round 9"
    ),
    Hostile(
        "no round",
        content(lambda c: c["metrics"].pop("server-round")),
        "entries num-examples where num-examples, server-round",
    ),
    Hostile("weight beyond floats", weight(10**400), "unreadable: OverflowError"),
    Hostile("another message type", metadata("message_type", "evaluate"), "another message type"),
    Hostile("another node's name", metadata("src_node_id", 1001), "in the name of another node"),
    Hostile("a stranger's name", metadata("src_node_id", 5), "in the name of another node"),
    Hostile("raises", crash, "MemoryError: clinic out of memory", "failed"),
    Hostile("returns nothing", lambda _: None, "returned NoneType, not a Message", "failed"),
    Hostile("dies without a word", failing(None), "error code 2", "failed"),
    Hostile("blank reason", failing(" \n\t"), "error", "failed"),
    Hostile("long failure", failing(LONG), "^INFO: all clients fine x{3}", "failed"),
    Hostile("refuses", refusing("not today"), "^not today$", "refused"),
    Hostile("refuses with control characters", refusing(LONG), "^no .31m", "refused"),
    Hostile("refusal that is no text", refusing(3), "records refusal where"),
    Hostile("refusal without a reason", only(ConfigRecord(), REFUSAL), "records refusal where"),
    Hostile("refusal of arrays", only(ArrayRecord(), REFUSAL), "records refusal where"),
    Hostile(
        "control characters in a name",
        content(lambda c: c.update({"a\x1b[2J\n" + "b" * 10**5: ConfigRecord()})),
        "records a .2J b{3}",
    ),
]
