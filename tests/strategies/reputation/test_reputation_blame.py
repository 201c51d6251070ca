"""Algorithm 1 and the rule that turns blame into evidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.reputation import (
    NEGATIVE,
    POSITIVE,
    VACUOUS,
    ReputationError,
    blame,
    blame_everyone,
    events,
)


def _one_cube(similarity, reputation=None, ties=None, covers=None, **options):
    """Return who is blamed for a single complained-of cube, as a list."""
    size = len(similarity)
    blamed = blame(
        np.array(similarity, dtype=float)[None],
        np.array([covers or [True] * size]),
        np.array([True]),
        np.full(size, 0.5) if reputation is None else reputation,
        np.arange(size) if ties is None else np.array(ties),
        **options,
    )
    return np.flatnonzero(blamed[0]).tolist()


def test_least_similar_device_is_blamed():
    """Means to the others by hand: (.9+.2)/2, (.9+.3)/2, (.2+.3)/2."""
    assert _one_cube([[1, 0.9, 0.2], [0.9, 1, 0.3], [0.2, 0.3, 1]]) == [2]


def test_devices_that_do_not_cover_the_cube_do_not_count():
    """Device 3 looks worst and makes device 0 look good, but was not there."""
    similarity = [
        [1, 0.4, 0.3, 1.0],
        [0.4, 1, 0.9, 0.0],
        [0.3, 0.9, 1, 0.0],
        [1.0, 0.0, 0.0, 1],
    ]
    assert _one_cube(similarity, covers=[True, True, True, False]) == [0]


def test_a_lone_device_is_blamed():
    """|S_k| = 1."""
    assert _one_cube(np.ones((3, 3)), covers=[False, True, False]) == [1]


def test_of_two_the_lower_reputation_is_blamed():
    """|S_k| = 2: similarity is symmetric and cannot tell."""
    assert _one_cube(np.ones((2, 2)), reputation=[0.6, 0.55], ties=[0, 1]) == [1]


def test_of_two_the_coin_can_be_chosen():
    """The coin is the round's key, whatever the reputations."""
    options = {"reputation": [0.6, 0.55], "pair_rule": "coin"}
    assert _one_cube(np.ones((2, 2)), ties=[3, 8], **options) == [0]
    assert _one_cube(np.ones((2, 2)), ties=[8, 3], **options) == [1]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_ties_fall_to_the_key_not_to_the_index(size):
    """All alike: each permutation of keys blames its smallest."""
    for first in range(size):
        ties = np.roll(np.arange(size), first)
        assert _one_cube(np.full((size, size), 0.1), ties=ties) == [first]


def test_rounding_does_not_break_a_tie():
    """Sums of the same numbers in another order are still a tie."""
    a, b, c = 0.1, 0.2, 0.3
    similarity = np.array([[1, a, b, c], [a, 1, c, b], [b, c, 1, a], [c, b, a, 1]])
    assert _one_cube(similarity, ties=[5, 4, 3, 9]) == [2]


def test_keys_can_differ_by_cube():
    """A coin a cube: keys of shape (K, n)."""
    covers = np.ones((2, 2), dtype=bool)
    ties = np.array([[1, 2], [2, 1]])
    blamed = blame(np.ones((2, 2, 2)), covers, covers[:, 0], [0.5, 0.5], ties)
    assert blamed.tolist() == [[True, False], [False, True]]


def test_nobody_is_blamed_without_a_complaint_or_a_device():
    """Silence blames nobody, and an empty cube has nobody to blame."""
    covers = np.array([[True, True, True], [False, False, False]])
    similarity = np.ones((2, 3, 3))
    blamed = blame(similarity, covers, np.array([False, True]), np.ones(3), np.arange(3))
    assert not blamed.any()


@given(seed=st.integers(0, 2**32 - 1), cubes=st.integers(1, 5), size=st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_batches_equal_single_markets_and_order_does_not_matter(seed, cubes, size):
    """Leading axes are independent; permuting devices permutes the blame."""
    rng = np.random.default_rng(seed)
    similarity = rng.integers(0, 3, (2, cubes, size, size)) / 2
    similarity = np.maximum(similarity, similarity.swapaxes(-1, -2))
    covers = rng.random((2, cubes, size)) < 0.6
    complained = rng.random((2, cubes)) < 0.7
    reputation = rng.integers(0, 3, (2, size)) / 4
    ties = np.stack([rng.permutation(size) for _ in range(2)])
    batch = blame(similarity, covers, complained, reputation, ties)
    order = rng.permutation(size)
    for g in range(2):
        single = blame(similarity[g], covers[g], complained[g], reputation[g], ties[g])
        np.testing.assert_array_equal(batch[g], single)
        mixed = blame(
            similarity[g][:, order][:, :, order],
            covers[g][:, order],
            complained[g],
            reputation[g][order],
            ties[g][order],
        )
        np.testing.assert_array_equal(mixed, single[:, order])
    np.testing.assert_array_equal(batch.sum(-1), complained & covers.any(-1))
    assert not (batch & ~covers).any()


def test_a_similarity_that_is_no_number_is_refused():
    """It would otherwise blame nobody, in silence."""
    with pytest.raises(ReputationError, match="not a number"):
        _one_cube(np.full((3, 3), np.nan))
    with pytest.raises(ReputationError, match="unknown pair rule"):
        _one_cube(np.ones((2, 2)), pair_rule="dice")


def test_without_the_filter_all_who_cover_are_blamed():
    """The paper's case without Algorithm 1."""
    covers = np.array([[True, False, True], [True, True, True]])
    assert blame_everyone(covers, np.array([True, False])).tolist() == [
        [True, False, True],
        [False, False, False],
    ]


def test_events_by_hand():
    """Two cubes, three devices, three users: complaint, silence on a visit, no visit."""
    visits = np.array([[True, True], [True, False], [False, False]])
    complaints = np.array([[True, False], [False, False], [False, False]])
    covers = np.array([[True, True, False], [False, True, True]])
    blamed = np.array([[True, False, False], [False, False, False]])
    assert events(visits, complaints, covers, blamed).tolist() == [
        [NEGATIVE, POSITIVE, VACUOUS],
        [POSITIVE, POSITIVE, VACUOUS],
        [POSITIVE, VACUOUS, VACUOUS],
    ]


def test_one_blame_outweighs_all_silence():
    """q = 1 for any of the user's complaints, however many good cubes it visited."""
    visits = np.ones((1, 3), dtype=bool)
    complaints = np.array([[False, False, True]])
    covers = np.ones((3, 1), dtype=bool)
    blamed = np.array([[False], [False], [True]])
    assert events(visits, complaints, covers, blamed).tolist() == [[NEGATIVE]]


def test_a_complaint_about_an_unvisited_cube_counts_for_nothing():
    """A user cannot rate what it did not see."""
    visits = np.array([[False, True]])
    complaints = np.array([[True, False]])
    covers = np.array([[True], [False]])
    assert events(visits, complaints, covers, covers).tolist() == [[VACUOUS]]
