"""State as bytes: every value comes back, to the last bit, and nothing else is read."""

import zlib
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from server.state import codec
from server.state.codec import StateDamaged, arrays_of, arrays_state, pack, unpack
from strategies.wrappers.vectors import to_array

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text().filter(lambda key: not key.startswith("@")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(PLAIN)
def test_plain_values_come_back(value: Any) -> None:
    assert unpack(pack(value)) == value
    assert pack(unpack(pack(value))) == pack(value)


@given(
    arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int32, np.int64, np.bool_, np.uint8]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_arrays_come_back_to_the_bit(value: Any) -> None:
    back = unpack(pack({"a": value}))["a"]
    assert (back.dtype, back.shape, back.tobytes()) == (value.dtype, value.shape, value.tobytes())
    assert back.flags.writeable


def test_a_model_comes_back_as_the_bytes_it_was() -> None:
    model = ArrayRecord({"model": to_array(np.array([0.1, -0.0, np.pi]))})
    back = arrays_of(unpack(pack(arrays_state(model))))
    assert back["model"] == model["model"]


def test_floats_that_json_has_no_words_for_come_back() -> None:
    values = unpack(pack([float("inf"), float("-inf"), float("nan"), np.float64(0.1)]))
    assert repr(values) == "[inf, -inf, nan, 0.1]"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not compressed",
        pack({"a": 1})[:-1],
        zlib.compress(b"{"),
        zlib.compress(b'{"@array": ["O", [1], "AAAA"]}'),
        zlib.compress(b'{"@array": ["<f8", [2], "AAAA"]}'),
        zlib.compress(b'{"@bytes": "?"}'),
    ],
    ids=["empty", "plain", "cut", "broken", "objects", "short", "no-base64"],
)
def test_damage_is_said(data: bytes) -> None:
    with pytest.raises(StateDamaged):
        unpack(data)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_BYTES", 1000)
    with pytest.raises(StateDamaged, match="too large"):
        unpack(pack([0] * 10_000))


def test_objects_are_no_state() -> None:
    for value in (object(), np.array([object()], object)):
        with pytest.raises(TypeError):
            pack(value)
