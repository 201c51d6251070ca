"""The opened sum is the plain integer sum, or nothing is opened at all."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.secagg.errors import RoundAbandoned, SecAggError
from strategies.secagg.masks import Words, reduce
from strategies.secagg.member import Member
from strategies.secagg.opening import check_keys
from strategies.secagg.rehearsal import Dropouts, rehearse
from strategies.secagg.terms import Terms, terms_for


def inputs_of(members: int, bits: int, size: int = 3, seed: int = 0) -> dict[int, Words]:
    rng = np.random.default_rng(seed)
    return {m: rng.integers(0, 1 << bits, size, dtype=np.uint64) for m in range(members)}


def plain_sum(inputs: dict[int, Words], members: set[int], bits: int) -> Words:
    return reduce(np.add.reduce([inputs[m] for m in sorted(members)]), bits)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 9), st.integers(0, 8), st.integers(8, 62), st.integers(0, 2**32), st.data())
def test_the_sum_is_exact_with_every_tolerated_dropout(
    members: int, neighbours: int, bits: int, seed: int, data: st.DataObject
) -> None:
    """0, 1 and up to the tolerated number of dropouts, spread over the steps at random."""
    try:
        terms = terms_for(members, 0, 0, neighbours, bits)
    except SecAggError:
        terms = terms_for(members, bits=bits)
    inputs = inputs_of(members, bits, seed=seed)
    room = members - terms.least_survivors
    gone = data.draw(st.lists(st.integers(0, members - 1), max_size=room, unique=True))
    steps = [data.draw(st.integers(0, 2)) for _ in gone]
    share, mask, opened = (
        [m for m, s in zip(gone, steps, strict=True) if s == n] for n in range(3)
    )
    seen = rehearse(inputs, terms, Dropouts(share, mask, opened))
    survivors = set(inputs) - set(share) - set(mask)
    assert set(seen.masked) == survivors
    assert np.array_equal(seen.total, plain_sum(inputs, survivors, bits))


@pytest.mark.parametrize("step", ["share", "mask", "open"])
@pytest.mark.parametrize("gone", [0, 1, 6])
def test_twenty_clinics_up_to_the_threshold_at_each_step(step: str, gone: int) -> None:
    inputs, terms = inputs_of(20, 40), terms_for(20)
    seen = rehearse(inputs, terms, Dropouts(**{step: range(gone)}))
    survivors = set(range(20)) - (set() if step == "open" else set(range(gone)))
    assert np.array_equal(seen.total, plain_sum(inputs, survivors, 40))


@pytest.mark.parametrize("step", ["share", "mask", "open"])
@pytest.mark.parametrize("neighbours", [0, 10])
def test_one_dropout_too_many_opens_nothing(step: str, neighbours: int) -> None:
    terms = terms_for(20, 0, 0, neighbours)
    too_many = 20 - terms.least_survivors + 1
    if step == "open" and neighbours:
        too_many = 20 - terms.threshold + 1
    with pytest.raises(RoundAbandoned):
        rehearse(inputs_of(20, 40), terms, Dropouts(**{step: range(too_many)}))


def test_without_its_masks_no_upload_is_its_input() -> None:
    inputs = inputs_of(5, 40)
    seen = rehearse(inputs, terms_for(5))
    assert not any(np.any(seen.masked[m] == inputs[m]) for m in inputs)


Shares = dict[int, dict[int, int]]


def one_wrong(shares: Shares) -> None:
    shares[3][1] += 1


def all_wrong_alike(shares: Shares) -> None:
    for said in shares.values():
        said[2] += 1  # a polynomial again, through another secret


def exchanged(shares: Shares) -> None:
    shares[0], shares[1] = shares[1], shares[0]


@pytest.mark.parametrize(
    ("tamper", "dropped"),
    [
        (one_wrong, (4,)),
        (all_wrong_alike, ()),
        (all_wrong_alike, (4,)),
        (exchanged, ()),
        (exchanged, (4,)),
    ],
)
def test_false_shares_open_nothing(
    tamper: Callable[[Shares], None], dropped: tuple[int, ...]
) -> None:
    with pytest.raises(RoundAbandoned, match="clinic"):
        rehearse(inputs_of(6, 40), terms_for(6), Dropouts(mask=dropped), tamper=tamper)


def test_a_false_share_among_more_than_enough_changes_nothing() -> None:
    inputs = inputs_of(6, 40)
    seen = rehearse(inputs, terms_for(6), tamper=one_wrong)
    honest = rehearse(inputs, terms_for(6))
    assert np.array_equal(seen.total, honest.total)


def test_a_false_share_is_noticed_even_among_exactly_the_threshold() -> None:
    terms = terms_for(6)
    with pytest.raises(RoundAbandoned, match="inconsistent"):
        rehearse(inputs_of(6, 40), terms, Dropouts(open=[5]), tamper=one_wrong)


def test_keys_that_were_used_before_are_refused() -> None:
    terms, seen = terms_for(3), set[bytes]()
    adverts = [Member(m, b"s", terms).advertise() for m in range(3)]
    check_keys(adverts, seen)
    with pytest.raises(RoundAbandoned, match="replayed"):
        check_keys(adverts, seen)
    fresh = [Member(m, b"s", terms).advertise() for m in range(3)]
    with pytest.raises(RoundAbandoned, match="replayed"):
        check_keys([fresh[0], adverts[1], fresh[2]], seen)


def test_a_transcript_says_nothing_of_secrets_in_its_text() -> None:
    member = Member(0, b"s", Terms(3, 2))
    for secret in (member.cipher_key, member.mask_key, member.self_mask):
        assert repr(secret) not in repr(member)
