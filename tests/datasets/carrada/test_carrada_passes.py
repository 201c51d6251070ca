"""Passes are the stretches with something to see; episodes are passes of different sequences."""

import numpy as np
import pytest

from datasets.carrada.passes import Pass, choose_passes, passes, position_at
from datasets.errors import DataError

BOX = {"boxes": [[100, 30, 104, 33]], "labels": [1]}
RA_BOX = {"boxes": [[152, 120, 156, 130]], "labels": [1]}


def rng(seed=0):
    return np.random.default_rng(seed)


def test_passes_are_runs_of_annotated_frames(builder):
    """Frames 4..13 of which 5, 6, 7 and the last two have an object."""
    names = [f"{n:06d}" for n in range(4, 14)]
    seen = ["000005", "000006", "000007", "000012", "000013"]
    builder.frames(*names)
    builder.boxes("range_doppler", dict.fromkeys(seen, BOX))
    builder.boxes("range_angle", dict.fromkeys(seen, RA_BOX))
    root = builder.open()
    name = root.sequences[0]
    assert passes(root) == (Pass(name, 1, 3), Pass(name, 8, 2))


def test_a_root_without_objects_has_nothing_to_sell(builder):
    builder.frames("000004", "000005")
    builder.boxes("range_doppler", {})
    builder.boxes("range_angle", {})
    with pytest.raises(DataError, match="no frame of it has an object"):
        passes(builder.open())


def test_every_frame_of_a_pass_has_an_object_and_its_neighbours_none(data):
    found = passes(data)
    assert {each.sequence for each in found} == set(data.sequences)
    for each in found:
        names = data.frames(each.sequence)
        inside = names[each.first : each.first + each.frames]
        assert len(inside) == each.frames
        assert all(data.frame(each.sequence, name).objects for name in inside)
        for edge in (each.first - 1, each.first + each.frames):
            if 0 <= edge < len(names):
                assert not data.frame(each.sequence, names[edge]).objects


LONG = [Pass("a", 5, 90), Pass("a", 200, 60), Pass("b", 0, 50), Pass("c", 3, 70), Pass("d", 1, 20)]


def test_episodes_are_of_different_sequences_as_long_as_there_are_any():
    chosen = choose_passes(LONG, 3, 50, rng())
    assert {each.sequence for each in chosen} == {"a", "b", "c"}  # d is too short
    for each in chosen:
        (whole,) = [p for p in (LONG[0], *LONG[2:]) if p.sequence == each.sequence]
        assert each.frames == 50
        assert whole.first <= each.first <= whole.first + whole.frames - 50
    again = choose_passes(LONG, 7, 50, rng())
    assert [p.sequence for p in again[:3]] == [p.sequence for p in again[3:6]]


def test_the_order_is_the_seeds():
    orders = {tuple(p.sequence for p in choose_passes(LONG, 3, 50, rng(s))) for s in range(40)}
    assert len(orders) == 6


def test_short_passes_are_slowed_down_rather_than_left_out():
    (chosen,) = choose_passes([Pass("d", 10, 20)], 1, 50, rng())
    assert chosen == Pass("d", 10, 20)
    at = [position_at(chosen, step, 50) for step in range(50)]
    assert (at[0], at[-1]) == (10, 29)
    assert set(np.diff(at)) == {0, 1}
    assert [position_at(Pass("a", 7, 50), step, 50) for step in (0, 1, 49)] == [7, 8, 56]
