"""The grid of cubes, coverage, and objects as tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.carrada import axes
from datasets.carrada.objects import RadarObject
from strategies.twin.coverage import covered_scene, draw_coverage
from strategies.twin.errors import TwinError
from strategies.twin.fusion import covers_of, occupied
from strategies.twin.grid import Grid
from strategies.twin.table import object_table

GRID = Grid.uniform()


def test_cubes_by_hand():
    assert GRID.shape == (2, 2, 2) and GRID.cubes == 8
    assert GRID.range_edges == pytest.approx((0, 25, 50))
    positions = np.array(
        [[10, -0.5, -1], [10, -0.5, 1], [10, 0.5, -1], [40, -0.5, -1], [40, 0.5, 1], [99, 9, 99]]
    )
    assert GRID.locate(positions).tolist() == [0, 1, 2, 4, 7, 7]
    # A wall belongs to the slice behind it.
    assert GRID.locate(np.array([[25.0, 0.0, 0.0]])).tolist() == [7]


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    position=st.tuples(
        st.floats(0, axes.MAX_RANGE),
        st.floats(-axes.MAX_AZIMUTH, axes.MAX_AZIMUTH),
        st.floats(-axes.MAX_SPEED, axes.MAX_SPEED),
    ),
)
def test_every_position_lies_between_the_edges_of_its_one_cube(shape, position):
    grid = Grid.uniform(*shape)
    rows = grid.cube_of(np.array([position]))
    assert rows.shape == (1, grid.cubes) and rows.sum() == 1
    at = np.unravel_index(int(grid.locate(np.array([position]))[0]), shape)
    for edges, index, value in zip(grid.edges, at, position, strict=True):
        assert edges[index] <= value <= edges[index + 1]


@given(st.integers(0, 255))
def test_bits_name_cubes(bits):
    cubes = GRID.cubes_from_bits(bits)
    assert GRID.bits_from_cubes(cubes) == bits
    assert cubes.sum() == bits.bit_count()


@pytest.mark.parametrize(
    "edges",
    [
        ((0.0,), (0.0, 1.0), (0.0, 1.0)),
        ((0.0, 0.0), (0.0, 1.0), (0.0, 1.0)),
        ((0.0, np.nan), (0.0, 1.0), (0.0, 1.0)),
        ((0.0, np.inf), (0.0, 1.0), (0.0, 1.0)),
        (tuple(np.arange(66.0)), (0.0, 1.0), (0.0, 1.0)),
    ],
)
def test_grids_that_are_none_are_refused(edges):
    with pytest.raises(TwinError):
        Grid(*edges)


def test_counts_of_slices_are_checked():
    for counts in ((0, 2, 2), (4, 4, 4), (-1, -1, 2)):
        with pytest.raises(TwinError, match="grid of"):
            Grid.uniform(*counts)
    assert Grid.uniform(1, 1, 1).cubes == 1


def test_tables_hold_the_objects(scene):
    made = scene((2, 10.0, 0.5, 3.0))
    row = object_table(made.objects)[0]
    assert row.tolist() == [2, *(pytest.approx(v, abs=0.22) for v in (10.0, 0.5, 3.0)), 0.9]
    assert object_table(()).shape == (0, 5)
    with pytest.raises(TwinError, match="one view"):
        object_table([RadarObject(1, None, (0, 0, 1, 1))])


def test_a_device_delivers_the_cubes_that_it_covers(scene):
    whole = scene((1, 10.0, -0.5, 3.0), (3, 40.0, 0.5, 3.0), (2, 10.0, -0.45, 3.0))
    near = GRID.cubes_from_bits(0b0011)
    part = covered_scene(whole, near, GRID)
    assert part.objects == (whole.objects[0], whole.objects[2])
    assert part.covers == 0b0011 and not (part.mask == 3).any()
    assert np.array_equal(
        part.mask[part.mask < 3], np.where(whole.mask == 3, 0, whole.mask)[part.mask < 3]
    )
    assert covers_of([part, whole], GRID).tolist() == [near.tolist(), [True] * 8]
    assert occupied(object_table(part.objects), GRID).tolist() == [False, True] + [False] * 6


def test_what_it_sees_stays_where_an_unseen_box_of_the_class_overlaps(scene):
    whole = scene((1, 10.0, -0.5, 3.0), (1, 10.0, -0.45, -3.0))
    part = covered_scene(whole, GRID.cubes_from_bits(0b0010), GRID)
    alone = scene((1, 10.0, -0.5, 3.0))
    assert np.array_equal(part.mask, alone.mask)


def test_coverage_has_its_share():
    drawn = draw_coverage(20_000, GRID, 0.3, np.random.default_rng(0))
    # 160,000 draws: the standard error is 0.0011.
    assert drawn.shape == (20_000, 8) and drawn.mean() == pytest.approx(0.3, abs=0.005)
