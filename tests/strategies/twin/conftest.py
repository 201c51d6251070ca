"""Scenes for the tests of the twin."""

from collections.abc import Callable

import pytest

from datasets.carrada import axes
from datasets.carrada.objects import RadarObject
from datasets.carrada.scene import Scene, mask_of_boxes

SceneMaker = Callable[..., Scene]


def place(label: int, range_m: float, azimuth: float, speed: float) -> RadarObject:
    """An object of 4 x 2 x 6 bins about a position."""
    row = round(range_m / axes.RANGE_STEP) - 2
    column = round(speed / axes.DOPPLER_STEP) + axes.DOPPLER_ZERO - 1
    angle = round(azimuth / axes.ANGLE_STEP) + axes.ANGLE_ZERO - 3
    ra_box = (256 - row - 4, angle, 256 - row, angle + 6)
    return RadarObject(label, (row, column, row + 4, column + 2), ra_box, 0.9)


@pytest.fixture
def scene() -> SceneMaker:
    """Make a scene of (label, metres, radians, m/s) entries."""

    def make(*entries: tuple[int, float, float, float], covers: int = 255) -> Scene:
        objects = tuple(place(*entry) for entry in entries)
        mask = mask_of_boxes(objects)
        return Scene("2001-02-03-04-05-06", "000091", 9100, covers, objects, mask)

    return make
