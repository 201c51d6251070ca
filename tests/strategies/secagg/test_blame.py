"""Who is named as a liar, and when nobody can be."""

from strategies.secagg.blame import (
    FALSE_LETTER,
    NOT_SIGNED,
    accused_by,
    certain,
    named_by,
    right_secret,
    tells,
)
from strategies.secagg.shamir import split

SECRET = bytes(range(32))


def shares_of(false: set[int], holders: int = 7, threshold: int = 5) -> dict[int, int]:
    shares = split(SECRET, range(1, holders + 1), threshold)
    return {point: share + 7**point * (point in false) for point, share in shares.items()}


def test_the_secret_is_found_without_the_false_shares() -> None:
    assert right_secret(shares_of(set()), 5, SECRET.__eq__) == (SECRET, frozenset())
    for false in ({3}, {1, 7}):
        assert right_secret(shares_of(false), 5, SECRET.__eq__) == (SECRET, frozenset(false))
        found = right_secret(shares_of(false), 5, SECRET.__eq__, doubted=[2, 3])
        assert found == (SECRET, frozenset(false))
    assert right_secret(shares_of({1, 2, 3}), 5, SECRET.__eq__) is None


def test_an_honest_holder_that_was_doubted_is_not_named_for_it() -> None:
    assert right_secret(shares_of(set()), 5, SECRET.__eq__, doubted=[4]) == (SECRET, frozenset())
    assert right_secret(shares_of({4}), 5, SECRET.__eq__, doubted=[4, 5]) == (
        SECRET,
        frozenset({4}),
    )


def test_errors_that_cancel_blame_nobody() -> None:
    """Equal errors at 1 and 2 cancel at 0 among 1, 2, 5, 6 and 7: there 3 and 4 look false."""
    shares = split(SECRET, range(1, 8), 5)
    found = right_secret({p: s + (p in (1, 2, 3)) for p, s in shares.items()}, 5, SECRET.__eq__)
    assert found == (SECRET, frozenset({3, 4}))
    assert certain(frozenset({3, 4}), 7, 5, 0) == frozenset()
    assert certain(frozenset({3, 4}), 7, 5, 2) == frozenset()
    assert certain(frozenset({3, 4}), 9, 5, 2) == {3, 4}
    assert certain(frozenset({3}), 6, 5, 0) == {3}


def test_a_failed_search_tells_only_where_the_liars_assumed_were_ruled_out() -> None:
    assert tells(7, 5, 1)
    assert not tells(5, 5, 1)  # exactly enough: any one of them may have lied
    assert not tells(100, 60, 3)  # too many to try


def test_one_dispute_names_nobody_and_more_than_the_colluders_do() -> None:
    assert named_by({(1, 4)}, 0) == {}
    assert set(named_by({(1, 4), (2, 4)}, 0)) == {4}
    assert set(named_by({(1, 4), (1, 5)}, 0)) == {1}
    assert named_by({(1, 4), (2, 4)}, 2) == {}


def test_as_many_accusers_as_may_drop_out_cannot_have_anybody_left_out() -> None:
    said = [(f"partition:{n}", FALSE_LETTER.format(9)) for n in range(3)]
    assert accused_by(said[:2], 2) == {}
    assert accused_by([*said[:2], said[0]], 2) == {}  # twice the same voice
    assert set(accused_by(said, 2)) == {9}
    assert set(accused_by([(w, NOT_SIGNED.format(8)) for w, _ in said], 2)) == {8}
    assert accused_by([(w, f"{t} and more") for w, t in said], 2) == {}
