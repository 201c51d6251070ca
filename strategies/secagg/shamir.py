"""Shamir's t-out-of-n secret sharing of 32-byte secrets.

A. Shamir, "How to Share a Secret", 1979. The secret is the constant term of a random polynomial
of degree t - 1 over the integers modulo ``PRIME``, a share its value at a point ``x != 0``.
"""

import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache

from strategies.secagg.errors import RoundAbandoned, SecAggError

PRIME = 2**256 + 297
"""The smallest prime above 2^256, so that every 32-byte secret is an element."""
SHARE_BYTES = 33
SECRET_BYTES = 32


def split(secret: bytes, points: Sequence[int], threshold: int) -> dict[int, int]:
    """Share a secret among ``points``; any ``threshold`` of the shares give it back.

    Parameters
    ----------
    secret : bytes
        32 bytes.
    points : sequence of int
        The x of each share, distinct, 1 .. ``PRIME - 1``.
    threshold : int
        t, 1 .. number of points. Fewer shares say nothing about the secret.

    Returns
    -------
    dict
        Share by point.

    Raises
    ------
    SecAggError
        For a value out of range.
    """
    if len(secret) != SECRET_BYTES:
        raise SecAggError(f"a secret to share has {SECRET_BYTES} bytes, not {len(secret)}")
    if len(set(points)) != len(points) or any(not 0 < point < PRIME for point in points):
        raise SecAggError("points of shares must be distinct and above 0")
    if not 1 <= threshold <= len(points):
        raise SecAggError(f"a threshold of {threshold} among {len(points)} holders is impossible")
    terms = [secrets.randbelow(PRIME) for _ in range(threshold - 1)]
    terms.append(int.from_bytes(secret, "big"))  # highest power first, for Horner's rule
    shares = {}
    for point in points:
        value = 0
        for term in terms:
            value = (value * point + term) % PRIME
        shares[point] = value
    return shares


def combine(shares: Mapping[int, int], threshold: int) -> bytes:
    """Return the secret behind at least ``threshold`` shares, all of which must agree.

    Raises
    ------
    RoundAbandoned
        When shares are too few, or do not lie on one polynomial of degree t - 1.
    """
    if len(shares) < threshold:
        raise RoundAbandoned(f"{len(shares)} shares of a secret where {threshold} are needed")
    points = tuple(sorted(shares))
    base, rest = points[:threshold], points[threshold:]
    for point in rest:
        if _at(base, shares, point) != shares[point] % PRIME:
            raise RoundAbandoned("shares of one secret contradict each other")
    secret = _at(base, shares, 0)
    if secret >= 1 << (8 * SECRET_BYTES):
        raise RoundAbandoned("shares that belong to no secret of 32 bytes")
    return secret.to_bytes(SECRET_BYTES, "big")


def _at(base: tuple[int, ...], shares: Mapping[int, int], x: int) -> int:
    weights = _lagrange(base, x)
    return sum(w * shares[point] for w, point in zip(weights, base, strict=True)) % PRIME


@lru_cache(maxsize=4096)
def _lagrange(base: tuple[int, ...], x: int) -> tuple[int, ...]:
    """Return the weight of each base point in the value at x."""
    weights = []
    for point in base:
        above = below = 1
        for other in base:
            if other != point:
                above = above * (x - other) % PRIME
                below = below * (point - other) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return tuple(weights)
