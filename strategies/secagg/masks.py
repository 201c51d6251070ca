"""Integers modulo 2^k: masks from a seed, and vectors as bytes.

PRG of Bonawitz et al. 2017, section 3: the ChaCha20 stream (RFC 8439) under the seed, read as
words of which the low k bits count. Arithmetic is that of 64-bit words, which wrap modulo 2^64,
and 2^k divides it.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from strategies.secagg.errors import SecAggError

Words = NDArray[np.uint64]

_SHORT = 32


def reduce(values: Words, bits: int) -> Words:
    """Return values modulo 2^bits."""
    return values & np.uint64((1 << bits) - 1)


def to_words(values: NDArray[np.int64], bits: int) -> Words:
    """Return signed integers as elements modulo 2^bits."""
    return reduce(values.astype(np.uint64), bits)


def to_signed(words: Words, bits: int) -> NDArray[np.int64]:
    """Return the representatives in [-2^(bits-1), 2^(bits-1))."""
    shift = np.int64(64 - bits)
    signed: NDArray[np.int64] = (words << np.uint64(64 - bits)).view(np.int64) >> shift
    return signed


def expand(seed: bytes, size: int, bits: int) -> Words:
    """Return ``size`` uniform elements modulo 2^bits from a 32-byte seed used once."""
    stream = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor()
    width = 4 if bits <= _SHORT else 8
    drawn = np.frombuffer(stream.update(bytes(width * size)), dtype=f"<u{width}")
    return reduce(drawn.astype(np.uint64), bits)


def word_bytes(bits: int) -> int:
    """Return how many bytes an element takes in a message."""
    return -(-bits // 8)


def pack(words: Words, bits: int) -> bytes:
    """Return elements modulo 2^bits as bytes, ``ceil(bits / 8)`` each, little-endian."""
    whole = np.ascontiguousarray(words, dtype="<u8").view(np.uint8).reshape(-1, 8)
    return whole[:, : word_bytes(bits)].tobytes()


def unpack(data: bytes, size: int, bits: int) -> Words:
    """Return the elements that :func:`pack` wrote.

    Raises
    ------
    SecAggError
        When the length is not that of ``size`` elements or one is not below 2^bits.
    """
    width = word_bytes(bits)
    if len(data) != width * size:
        raise SecAggError(f"{len(data)} bytes where {width * size} are expected")
    whole = np.zeros((size, 8), dtype=np.uint8)
    whole[:, :width] = np.frombuffer(data, dtype=np.uint8).reshape(size, width)
    words = whole.view("<u8").reshape(size).astype(np.uint64)
    if bits % 8 and np.any(words >> np.uint64(bits)):
        raise SecAggError("an element is not below the modulus")
    return words
