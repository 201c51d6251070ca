"""Words modulo 2^k: signs, bytes and masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.secagg.errors import SecAggError
from strategies.secagg.masks import expand, pack, reduce, to_signed, to_words, unpack, word_bytes


@given(st.integers(8, 62), st.data())
def test_signed_values_survive_the_modulus(bits: int, data: st.DataObject) -> None:
    half = 1 << (bits - 1)
    values = np.array(data.draw(st.lists(st.integers(-half, half - 1), max_size=9)), dtype=np.int64)
    words = to_words(values, bits)
    assert np.array_equal(to_signed(words, bits), values)
    sent = pack(words, bits)
    assert len(sent) == len(values) * word_bytes(bits)
    assert np.array_equal(unpack(sent, len(values), bits), words)


def test_the_modulus_wraps_as_integers_do() -> None:
    total = reduce(to_words(np.array([127, -128]), 8) + to_words(np.array([1, -1]), 8), 8)
    assert to_signed(total, 8).tolist() == [-128, 127]


def test_masks_are_the_chacha20_stream_of_the_seed() -> None:
    # RFC 8439, appendix A.1, test vector 1: zero key, zero counter and nonce
    first = bytes.fromhex("76b8e0ada0f13d90405d6ae55386bd28")
    assert expand(bytes(32), 2, 62).tolist() == [
        int.from_bytes(first[:8], "little") % 2**62,
        int.from_bytes(first[8:], "little") % 2**62,
    ]
    assert expand(bytes(32), 1, 16).tolist() == [0xB876]


@pytest.mark.parametrize("data", [b"\x00" * 3, b"\x00\x00\x00\x10" * 2])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SecAggError):
        unpack(data, len(data) // 4 or 1, 28)
