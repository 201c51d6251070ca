"""Similarity of payloads in a cube: the formula by hand, and what it must be for any scenes."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets.carrada.scene import Scene, mask_of_boxes
from strategies.twin.grid import Grid
from strategies.twin.similarity import (
    closeness,
    mask_similarities,
    object_similarities,
    similarities,
)
from strategies.twin.table import object_table, stack

GRID = Grid.uniform()
NEAR_LEFT_APPROACHING = 1


def entries():
    return st.tuples(st.integers(1, 3), st.floats(2, 48), st.floats(-1.4, 1.4), st.floats(-12, 12))


def test_closeness_by_hand():
    one = np.array([[1, 10, 0, 0, 1.0]])
    other = np.array([[1, 13, 0, 0, 1.0], [1, 10, 0.2, 1.5, 1.0], [2, 10, 0, 0, 1.0]])
    np.testing.assert_allclose(closeness(one, other), [[np.exp(-0.5), np.exp(-1.0), 0.0]])


def test_masks_by_hand(scene):
    base = scene((1, 10.0, -0.5, 3.0))
    half = base.with_content(base.objects, base.mask.copy())
    rows = np.unique(np.nonzero(base.mask)[0])
    half.mask[rows[: len(rows) // 3]] = 0  # 9 rows: three of them gone
    alike = mask_similarities([base, half], GRID)
    assert alike[NEAR_LEFT_APPROACHING, 0, 1] == pytest.approx(6 / 9)
    assert alike[:, 0, 1].sum() == pytest.approx(7 + 6 / 9)  # empty cubes agree


def test_objects_by_hand(scene):
    one = scene((1, 10.0, -0.5, 3.0), (3, 15.0, -0.9, 3.0))
    other = scene((1, 10.0, -0.5, 3.0))
    alike = object_similarities(stack([one, other], GRID), GRID)
    assert alike[NEAR_LEFT_APPROACHING, 0, 1] == pytest.approx(2 / 3)
    assert alike[NEAR_LEFT_APPROACHING + 1, 0, 1] == 1.0


@given(st.lists(st.lists(entries(), max_size=3), min_size=1, max_size=4))
@settings(
    max_examples=60,
    deadline=None,
    # The fixture only makes scenes, it keeps nothing between examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_symmetric_bounded_and_one_for_itself(scene, drawn):
    scenes = [scene(*entry) for entry in drawn]
    alike = similarities(scenes, GRID)
    assert alike.shape == (8, len(scenes), len(scenes))
    assert np.all(alike >= 0) and np.all(alike <= 1)
    np.testing.assert_array_equal(alike, alike.transpose(0, 2, 1))
    np.testing.assert_array_equal(np.diagonal(alike, axis1=1, axis2=2), 1.0)


def test_equal_content_is_one_whatever_the_order_of_objects(scene):
    one = scene((1, 10.0, -0.5, 3.0), (3, 30.0, 0.5, -3.0))
    other = scene((3, 30.0, 0.5, -3.0), (1, 10.0, -0.5, 3.0))
    np.testing.assert_array_equal(similarities([one, other], GRID), 1.0)


def test_one_attacker_among_three_is_least_similar_where_it_lied(scene):
    honest = [scene((1, 10.0 + shift, -0.5, 3.0), (3, 30.0, 0.5, -3.0)) for shift in (0, 0.2)]
    lies = {
        "hide": scene((3, 30.0, 0.5, -3.0)),
        "reclass": scene((2, 10.0, -0.5, 3.0), (3, 30.0, 0.5, -3.0)),
        "move": scene((1, 20.0, -0.5, 3.0), (3, 30.0, 0.5, -3.0)),
        "insert": scene((1, 10, -0.5, 3.0), (3, 30.0, 0.5, -3.0), (2, 15, -1.0, 3.0)),
    }
    for name, lie in lies.items():
        alike = similarities([*honest, lie], GRID)
        totals = alike.sum(axis=2)
        assert np.argmin(totals[NEAR_LEFT_APPROACHING]) == 2, name
        others = np.delete(np.arange(8), NEAR_LEFT_APPROACHING)
        assert np.all(alike[others][:, 0, 2] == alike[others][:, 0, 1]), name


def test_an_object_that_crosses_a_wall_is_not_missing(scene):
    here, there = scene((1, 24.8, -0.5, 3.0)), scene((1, 25.2, -0.5, 3.0))
    before, behind = GRID.locate(
        np.concatenate([object_table(here.objects), object_table(there.objects)])[:, 1:4]
    )
    assert before != behind
    alike = similarities([here, there], GRID)
    assert alike[before, 0, 1] > 0.7 and alike[behind, 0, 1] > 0.7


def test_pixels_that_no_box_claims_count_in_every_doppler_slice(scene):
    bare = scene()
    painted = bare.with_content((), bare.mask.copy())
    painted.mask[200:205, 60:70] = 1
    alike = similarities([bare, painted], GRID)
    assert alike[:, 0, 1].tolist() == [0.5, 0.5, 1, 1, 1, 1, 1, 1]


def test_no_scenes_and_no_objects(scene):
    assert similarities([], GRID).shape == (8, 0, 0)
    np.testing.assert_array_equal(similarities([scene(), scene()], GRID), 1.0)
    assert isinstance(scene(), Scene) and not mask_of_boxes(()).any()
