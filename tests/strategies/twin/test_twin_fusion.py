"""Fusion, rendering and complaints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.twin.complaint import complaints, differences
from strategies.twin.errors import TwinError
from strategies.twin.fusion import (
    MAX_OBJECTS,
    Deliveries,
    Twin,
    broadcast_shape,
    covers_of,
    empty_twin,
    fuse,
    medoids,
)
from strategies.twin.grid import Grid
from strategies.twin.rendering import RESOLUTION, raster_shape, render
from strategies.twin.table import object_table

GRID = Grid.uniform()
METHODS = ("medoid", "vote")
HERE = 1
"""The near left approaching cube, in which the scenes below have a pedestrian."""
PERSON = (1, 10.0, -0.5, 3.0)


def delivered(scenes, weights=None, ties=None):
    count = len(scenes)
    return Deliveries(
        scenes,
        covers_of(scenes, GRID),
        np.ones(count) if weights is None else np.array(weights, float),
        np.arange(count, dtype=float) if ties is None else np.array(ties, float),
    )


@pytest.mark.parametrize("method", [*METHODS, "union"])
def test_one_delivery_is_shown_as_it_is(scene, method):
    made = scene(PERSON, (3, 40.0, 0.5, -3.0))
    twin = fuse(delivered([made]), GRID, method)
    shown, want = twin.table(), object_table(made.objects)
    np.testing.assert_allclose(shown[np.argsort(shown[:, 0])], want)
    assert twin.covered.all()
    assert differences(shown, want, GRID).max() < 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "lie", [(), ((1, 20.0, -0.5, 3.0),), (PERSON, (2, 15.0, -1.0, 3.0)), ((3, 10.0, -0.5, 3.0),)]
)
def test_a_majority_hides_one_attacker(scene, method, lie):
    scenes = [scene(PERSON), scene((1, 10.2, -0.5, 3.0)), scene(*lie)]
    twin = fuse(delivered(scenes), GRID, method)
    visited = np.ones(8, bool)
    assert not complaints(twin, object_table(scenes[0].objects), visited, GRID).any()
    assert twin.source[HERE] != 2


def test_a_union_shows_what_a_minority_says(scene):
    scenes = [scene(PERSON), scene(PERSON), scene((2, 15.0, -1.0, 3.0))]
    twin = fuse(delivered(scenes), GRID, "union")
    assert sorted(twin.table()[:, 0]) == [1.0, 2.0]
    assert complaints(twin, object_table(scenes[0].objects), np.ones(8, bool), GRID)[HERE]


@pytest.mark.parametrize("method", METHODS)
def test_reputation_outweighs_numbers(scene, method):
    scenes = [scene(PERSON), scene(), scene()]
    assert len(fuse(delivered(scenes), GRID, method).table()) == 0
    trusted = fuse(delivered(scenes, weights=[1.0, 0.3, 0.3]), GRID, method)
    assert len(trusted.table()) == 1


def test_ties_go_by_the_hash_and_not_by_the_index(scene):
    scenes = [scene(PERSON), scene()]
    for ties, winner in (([0.1, 0.9], 1), ([0.9, 0.1], 0)):
        assert fuse(delivered(scenes, ties=ties), GRID).source[HERE] == winner


def test_only_those_who_cover_a_cube_have_a_say(scene):
    scenes = [scene(PERSON), scene(covers=0b11111101), scene(covers=0b11111101)]
    twin = fuse(delivered(scenes), GRID)
    assert twin.source[HERE] == 0 and len(twin.table()) == 1
    dark = fuse(delivered([scene(PERSON, covers=0)]), GRID)
    assert not dark.covered.any() and len(dark.table()) == 0
    assert not complaints(dark, object_table(scenes[0].objects), np.ones(8, bool), GRID).any()


def test_medoid_by_hand():
    alike = np.array([[[1.0, 0.9, 0.2], [0.9, 1.0, 0.3], [0.2, 0.3, 1.0]]])
    covers = np.ones((3, 1), bool)
    ties = np.arange(3.0)
    assert medoids(alike, covers, np.ones(3), ties).tolist() == [1]
    assert medoids(alike, covers, np.array([1.0, 1.0, 9.0]), ties).tolist() == [2]
    assert medoids(alike, covers & False, np.ones(3), ties).tolist() == [-1]


def test_vote_averages_by_weight(scene):
    scenes = [scene((1, 10.0, -0.5, 3.0)), scene((1, 12.0, -0.5, 3.0))]
    row = fuse(delivered(scenes, weights=[3.0, 1.0]), GRID, "vote").table()[0]
    ranges = [object_table(s.objects)[0, 1] for s in scenes]
    assert row[1] == pytest.approx(0.75 * ranges[0] + 0.25 * ranges[1])
    assert row[0] == 1.0


def test_broadcasts_survive_the_way(scene):
    twin = fuse(delivered([scene(PERSON, (3, 40.0, 0.5, -3.0), covers=0b11)]), GRID)
    array = twin.as_array()
    assert array.shape == broadcast_shape(GRID) == (8, 1 + MAX_OBJECTS, 5)
    assert array.dtype == np.float64
    back = Twin.from_array(array, GRID)
    np.testing.assert_array_equal(back.objects, twin.objects)
    np.testing.assert_array_equal(back.covered, twin.covered)
    assert not Twin.from_array(empty_twin(GRID).as_array(), GRID).covered.any()


def test_broadcasts_that_are_none_are_refused():
    good = empty_twin(GRID).as_array()
    for at, value in (((0, 1, 0), 4.0), ((0, 1, 0), 0.5), ((0, 1, 1), np.nan)):
        bad = good.copy()
        bad[at] = value
        with pytest.raises(TwinError):
            Twin.from_array(bad, GRID)
    with pytest.raises(TwinError, match="shape"):
        Twin.from_array(good[:4], GRID)


def test_deliveries_that_do_not_fit_are_refused(scene):
    scenes, covers = [scene()], np.ones((1, 8), bool)
    for weights, ties in (
        ([1.0, 1.0], [0.0]),
        ([1.0], [0.0, 1.0]),
        ([-1.0], [0.0]),
        ([np.nan], [0]),
    ):
        with pytest.raises(TwinError):
            Deliveries(scenes, covers, np.array(weights), np.array(ties))
    with pytest.raises(TwinError, match="unknown fusion"):
        fuse(delivered(scenes), GRID, "mean")
    with pytest.raises(TwinError, match="cubes"):
        fuse(Deliveries(scenes, covers[:, :4], np.ones(1), np.ones(1)), GRID)


def test_nothing_delivered_leaves_nothing_covered():
    assert not fuse(delivered([]), GRID).covered.any()


def test_a_rendering_peaks_where_the_object_is():
    grid = Grid.uniform()
    # The centre of a bin: range bin 3 of 20, azimuth bin 5 of 20, Doppler bin 8 of 12.
    position = [
        grid.range_edges[-1] * 3.5 / 20,
        grid.azimuth_edges[0] + 2 * grid.azimuth_edges[-1] * 5.5 / 20,
        grid.doppler_edges[0] + 2 * grid.doppler_edges[-1] * 8.5 / 12,
    ]
    drawn = render(np.array([[2, *position, 1.0]]), grid)
    assert drawn.shape == raster_shape(grid) == (8, 3, *RESOLUTION)
    assert drawn[HERE, 1, 3, 5, 2] == pytest.approx(1.0)
    assert drawn.max() == drawn[HERE, 1, 3, 5, 2]
    assert not drawn[:, [0, 2]].any()
    # One bin further in range, 2.5 of the bump's 3 m.
    assert drawn[HERE, 1, 4, 5, 2] == pytest.approx(np.exp(-0.5 * (2.5 / 3) ** 2))


rows = st.lists(
    st.tuples(
        st.sampled_from([1.0, 2.0, 3.0]),
        st.floats(0, 50),
        st.floats(-1.5, 1.5),
        st.floats(-13, 13),
        st.floats(0, 1),
    ),
    max_size=5,
).map(lambda drawn: np.array(drawn, float).reshape(len(drawn), 5))


@given(one=rows, other=rows)
@settings(max_examples=80, deadline=None)
def test_differences_are_symmetric_and_bounded(one, other):
    found = differences(one, other, GRID)
    assert np.all(found >= 0) and np.all(found <= 1)
    np.testing.assert_array_equal(found, differences(other, one, GRID))
    np.testing.assert_array_equal(differences(one, one[::-1], GRID), 0.0)


def test_users_complain_only_of_what_they_visit(scene):
    truth = object_table(scene(PERSON).objects)
    twin = fuse(delivered([scene()]), GRID)
    visited = np.zeros(8, bool)
    assert not complaints(twin, truth, visited, GRID).any()
    visited[HERE] = True
    assert complaints(twin, truth, visited, GRID).tolist() == (np.arange(8) == HERE).tolist()


def test_neighbouring_frames_are_no_reason_to_complain():
    """An object that moves on for 0.1 s, as fast as CARRADA's fastest, still counts as the same."""
    now = np.array([[3.0, 12.0, -0.7, 6.0, 1.0]])
    later = now + np.array([0, -1.3, 0.03, 0.42, 0])
    assert differences(now, later, GRID)[HERE] < 0.5
    assert differences(now, now + np.array([0, 8, 0, 0, 0]), GRID)[HERE] > 0.6


def test_what_is_wrong_near_a_wall_is_held_against_its_own_cube():
    """Its bump shows on the other side as well, but peaks where it is."""
    truth = np.array([[1.0, 24.0, -0.5, 3.0, 1.0]])
    cube = int(GRID.locate(truth[:, 1:4])[0])
    found = differences(np.zeros((0, 5)), truth, GRID)
    assert found[cube] > 0.6
    assert not np.delete(found, cube).any()
    assert render(truth, GRID)[cube + 4].max() > 0.6


def test_a_phantom_shows_beside_an_object_that_is_there():
    truth = np.array([[1.0, 10.0, -0.5, 3.0, 1.0]])
    for label in (1.0, 2.0, 3.0):
        phantom = np.array([[label, 20.0, -1.0, 8.0, 1.0]])
        assert differences(np.concatenate([truth, phantom]), truth, GRID)[HERE] > 0.6
