"""Broken clinics: replies that no honest client sends, made from an honest one.

What each does to an upload; where it makes sense the same is done to its offers and
evaluations. ``duplicate-reply`` is not here: a ClientApp cannot answer twice, the node below it
can (:mod:`server.duplicates`).
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message
from flwr.clientapp.typing import ClientAppCallable

from clients.messages import refuse
from strategies.learning.linear_svm import FloatArray
from strategies.wrappers.market_messages import VALUE
from strategies.wrappers.protocol import MODEL
from strategies.wrappers.vectors import NUMPY, to_vector

LAST_UPLOAD, LAST_FIGURES = "last-upload", "last-figures"
"""Keys in a client's own state of its last honest reply, for ``stale-round``."""

HUGE_WEIGHT = 10**18
HUGE_HEADER = b"\x93NUMPY\x02\x00" + (2**31 - 1).to_bytes(4, "little") + b" " * 400

Change = Callable[[Any], object]


def broken_reply(
    name: str, message: Message, context: Context, call_next: ClientAppCallable
) -> Message:
    """Return the reply of a clinic that is broken in the way ``name`` says."""
    if name == "crashes":
        raise RuntimeError("out of memory")
    if name == "refuses":
        return refuse(message, "not today")
    broadcast = [r.copy() for r in message.content.values() if isinstance(r, ArrayRecord)]
    reply = call_next(message, context)
    if message.metadata.message_type == "train" and "arrays" in reply.content:
        if name == "stale-round":
            _resend(reply.content, context)
        elif name == "zero-update":
            reply.content["arrays"] = broadcast[0]
        elif name in UPLOADS:
            UPLOADS[name](reply.content)
    if name in FIGURES and "metrics" in reply.content:
        FIGURES[name](reply.content)
    return reply


def _resend(content: Any, context: Context) -> None:
    """Send the reply of the round before; the first time there is none."""
    arrays, metrics = content["arrays"], content["metrics"]
    kept, figures = context.state.get(LAST_UPLOAD), context.state.get(LAST_FIGURES)
    if kept is not None and figures is not None:
        content["arrays"], content["metrics"] = kept, figures
    context.state[LAST_UPLOAD], context.state[LAST_FIGURES] = arrays, metrics


def _values(change: Callable[[FloatArray], object]) -> Change:
    """Return what serialises other values, as Flower does."""

    def alter(content: Any) -> None:
        values = to_vector(content["arrays"][MODEL]).copy()
        content["arrays"][MODEL] = Array(np.asarray(change(values)))

    return alter


def _bytes(change: Callable[[bytes], bytes]) -> Change:
    """Return what puts other bytes behind the same claims."""

    def alter(content: Any) -> None:
        array = content["arrays"][MODEL]
        content["arrays"][MODEL] = Array("float64", array.shape, NUMPY, change(array.data))

    return alter


def _spoil(value: float) -> Change:
    def change(values: FloatArray) -> FloatArray:
        values[len(values) // 2] = value
        return values

    return _values(change)


def _weight(value: float) -> Change:
    """Return what lies about the weight of a reply, or the value of an offer."""

    def alter(content: Any) -> None:
        metrics = content["metrics"]
        metrics[VALUE if VALUE in metrics else "num-examples"] = value

    return alter


def _negative(content: Any) -> None:
    metrics = content["metrics"]
    _weight(-abs(metrics[VALUE if VALUE in metrics else "num-examples"]))(content)


def _rename(content: Any) -> None:
    content["arrays"] = ArrayRecord({"weights": content["arrays"][MODEL]})


def _pickle(data: bytes) -> bytes:
    buffer = BytesIO()
    # Written, never read: a peer that loads it runs what it names.
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)
    return buffer.getvalue().ljust(len(data), b".")


UPLOADS: dict[str, Change] = {
    "nan": _spoil(float("nan")),
    "inf": _spoil(float("inf")),
    "overflow": _values(lambda values: np.full(len(values), 1e200)),
    "wrong-shape": _values(lambda values: values[:-1]),
    "shape-1": _values(lambda values: values[:1]),
    "scalar": _values(lambda values: values[0]),
    "column": _values(lambda values: values[:, None]),
    "empty": _values(lambda values: values[:0]),
    "float32": _values(lambda values: values.astype(np.float32)),
    "wrong-key": _rename,
    "extra-key": lambda content: content["arrays"].update(more=content["arrays"][MODEL]),
    "huge-header": _bytes(lambda _: HUGE_HEADER),
    "truncated": _bytes(lambda data: data[:-8]),
    "pickled": _bytes(_pickle),
    "no-arrays": lambda content: content.pop("arrays"),
}
"""What is done to an upload."""

FIGURES: dict[str, Change] = {
    "extra-metric": lambda content: content["metrics"].update(loss=0.25),
    "weight-zero": _weight(0),
    "weight-nan": _weight(float("nan")),
    "weight-huge": _weight(HUGE_WEIGHT),
    "weight-negative": _negative,
    "no-metrics": lambda content: content.pop("metrics"),
}
"""What is done to the figures of an upload, an offer or an evaluation."""

ELSEWHERE = ("zero-update", "stale-round", "duplicate-reply", "refuses", "crashes")
"""Broken clinics that need more than their own reply."""
