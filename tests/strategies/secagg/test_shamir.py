"""Shamir's sharing: any t shares give the secret back, fewer say nothing, false ones are noticed."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.secagg.errors import RoundAbandoned, SecAggError
from strategies.secagg.shamir import PRIME, combine, split


def test_the_field_is_the_smallest_prime_above_every_secret() -> None:
    def is_prime(n: int) -> bool:  # Fermat to many bases: no pseudoprime of this size survives
        return all(pow(base, n - 1, n) == 1 for base in (2, 3, 5, 7, 11, 13, 17, 19, 23))

    assert is_prime(PRIME)
    assert not any(is_prime(2**256 + odd) for odd in range(1, 297, 2))


@given(st.binary(min_size=32, max_size=32), st.integers(1, 12), st.data())
def test_any_threshold_of_shares_gives_the_secret(
    secret: bytes, threshold: int, data: st.DataObject
) -> None:
    points = data.draw(
        st.lists(st.integers(1, 10**6), min_size=threshold, max_size=14, unique=True)
    )
    shares = split(secret, points, threshold)
    chosen = data.draw(st.lists(st.sampled_from(points), min_size=threshold, unique=True))
    assert combine({point: shares[point] for point in chosen}, threshold) == secret


def test_a_line_by_hand() -> None:
    # f(x) = 5 + 7 x: t = 2, shares at 1 and 3 are 12 and 26
    assert combine({1: 12, 3: 26}, 2) == (5).to_bytes(32, "big")


def test_fewer_shares_fit_every_secret() -> None:
    """With t - 1 shares fixed, a share at one more point can be found for any secret."""
    shares = split(secrets.token_bytes(32), [1, 2, 3], 3)
    for other in (bytes(32), b"\xff" * 32):
        # Lagrange through (0, other), (1, s1), (2, s2) at x = 3: 1 s0 - 3 s1 + 3 s2
        third = (int.from_bytes(other, "big") - 3 * shares[1] + 3 * shares[2]) % PRIME
        assert combine({1: shares[1], 2: shares[2], 3: third}, 3) == other


def test_too_few_shares_open_nothing() -> None:
    shares = split(bytes(32), range(1, 6), 4)
    with pytest.raises(RoundAbandoned, match="3 shares"):
        combine({point: shares[point] for point in (1, 2, 3)}, 4)


@given(st.integers(1, 7), st.integers(1, PRIME - 1))
def test_one_false_share_too_many_is_noticed(point: int, change: int) -> None:
    shares = split(b"s" * 32, range(1, 8), 4)
    shares[point] = (shares[point] + change) % PRIME
    with pytest.raises(RoundAbandoned, match="contradict"):
        combine(shares, 4)


@pytest.mark.parametrize(
    ("secret", "points", "threshold"),
    [
        (bytes(31), [1, 2], 1),
        (bytes(32), [1, 1], 1),
        (bytes(32), [0, 1], 1),
        (bytes(32), [1, 2], 3),
        (bytes(32), [1, 2], 0),
    ],
)
def test_impossible_sharings_are_refused(secret: bytes, points: list[int], threshold: int) -> None:
    with pytest.raises(SecAggError):
        split(secret, points, threshold)
