"""State as bytes: JSON with arrays and bytes in it, compressed. Nothing is ever unpickled."""

import base64
import json
import zlib
from typing import Any, cast

import numpy as np
from flwr.app import Array, ArrayRecord

MAX_BYTES = 1 << 30
"""Most that a checkpoint may unpack to."""
_ARRAY, _BYTES = "@array", "@bytes"


class StateDamaged(ValueError):
    """Kept state that cannot be read back."""


def pack(value: Any) -> bytes:
    """Return plain values, arrays and bytes as compressed bytes; floats keep every bit."""
    text = json.dumps(value, default=_coded, separators=(",", ":"))
    return zlib.compress(text.encode(), 1)


def unpack(data: bytes) -> Any:
    """Return what :func:`pack` packed; tuples come back as lists.

    Raises
    ------
    StateDamaged
        When these are no such bytes, or too many.
    """
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(data, MAX_BYTES)
        if not unpacking.eof:
            raise StateDamaged("it is cut short or too large")
        return json.loads(content, object_hook=_decoded)
    except StateDamaged:
        raise
    except (zlib.error, ValueError, TypeError, KeyError, RecursionError) as fault:
        raise StateDamaged(f"it cannot be read ({type(fault).__name__})") from fault


def arrays_state(arrays: ArrayRecord) -> dict[str, Any]:
    """Return an ArrayRecord as plain values, each array's bytes as they are."""
    return {
        key: [array.dtype, list(array.shape), array.stype, array.data]
        for key, array in arrays.items()
    }


def arrays_of(state: dict[str, Any]) -> ArrayRecord:
    """Return the ArrayRecord that :func:`arrays_state` described."""
    return ArrayRecord(
        {
            key: Array(dtype, tuple(shape), stype, data)
            for key, (dtype, shape, stype, data) in state.items()
        }
    )


def _coded(value: object) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an array of objects is no state")
        data = np.ascontiguousarray(value).tobytes()
        return {_ARRAY: [value.dtype.str, list(value.shape), base64.b64encode(data).decode()]}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no plain value")


def _decoded(value: dict[str, Any]) -> Any:
    if set(value) == {_BYTES}:
        return base64.b64decode(cast(str, value[_BYTES]), validate=True)
    if set(value) == {_ARRAY}:
        dtype, shape, text = value[_ARRAY]
        data = base64.b64decode(text, validate=True)
        return np.frombuffer(data, np.dtype(dtype)).reshape(shape).copy()
    return value
