"""Users complain of what is wrong where they are, and say nothing of what they saw."""

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from clients.app import app
from clients.carrada_scenes import grid_of, true_frame
from datasets.carrada.scene import scene_of
from strategies.market_world import as_bits, true_tokens, user_part
from strategies.settings import Settings
from strategies.twin.fusion import Deliveries, Twin, empty_twin, fuse
from strategies.twin.table import object_table
from strategies.wrappers.vectors import to_array
from tests.clients.test_device import context_of
from tests.markets import market_settings

SYNTHETIC = market_settings(visit=0.6)
PAYLOAD = market_settings(market="payload", visit=1.0)


def rate(settings: Settings, user: int, twin: np.ndarray, number: int = 1) -> MetricRecord:
    content = RecordDict(
        {
            "arrays": ArrayRecord({"twin": to_array(np.asarray(twin, np.float64).ravel())}),
            "config": ConfigRecord({"server-round": number}),
        }
    )
    partition = settings.clients + user
    reply = app(Message(content, 1000 + partition, "evaluate"), context_of(settings, partition))
    assert set(reply.content) == {"metrics"}
    return reply.content.metric_records["metrics"]


def test_a_user_complains_of_every_spoiled_cube_it_visits_and_of_no_other() -> None:
    truth = true_tokens(SYNTHETIC, 0)[3]
    shown = np.stack([truth, np.where(np.arange(8) % 2, 0, truth), np.zeros(8, np.int64)])
    shown[1, 2], shown[0, 5] = 4711, 99
    for user in range(6):
        visited = user_part(SYNTHETIC, user, 0)[3]
        rating = rate(SYNTHETIC, user, shown, 4)
        assert rating["visited"] == as_bits(visited)
        assert rating["complained"] == as_bits(visited) & (1 << 2 | 1 << 5)
        assert set(rating) == {"num-examples", "visited", "complained"}


def test_the_truth_and_an_empty_twin_leave_nothing_to_complain_of() -> None:
    truth = true_tokens(SYNTHETIC, 1)[0]
    assert rate(SYNTHETIC, 0, truth, 16)["complained"] == 0
    assert rate(SYNTHETIC, 0, np.zeros(0), 16)["complained"] == 0


def twin_of(settings: Settings, number: int, shift: int = 0, seen: bool = True) -> Twin:
    grid = grid_of(settings)
    scene = scene_of(true_frame(settings, number, shift))
    if not seen:
        scene = scene.with_content((), np.zeros_like(scene.mask))
    covers = np.ones((1, grid.cubes), np.bool_)
    return fuse(Deliveries([scene], covers, np.ones(1), np.zeros(1)), grid)


def cubes_with_objects(settings: Settings, number: int) -> int:
    grid = grid_of(settings)
    table = object_table(true_frame(settings, number).objects)
    return as_bits(np.asarray(grid.cube_of(table[:, 1:4]).any(axis=0)))


@pytest.mark.parametrize("number", [1, 7, 16, 30])
def test_a_user_of_payloads_sees_its_own_frame(number: int) -> None:
    """The frame passes; a twin without its objects does not."""
    twin = twin_of(PAYLOAD, number)
    assert rate(PAYLOAD, 0, twin.as_array(), number)["complained"] == 0
    hidden = twin_of(PAYLOAD, number, seen=False)
    there = cubes_with_objects(PAYLOAD, number)
    assert there > 0
    assert rate(PAYLOAD, 0, hidden.as_array(), number)["complained"] == there


def test_the_next_frame_rarely_differs_enough_to_complain() -> None:
    """Devices are a frame before or behind, 0.1 s: it should not cost an honest one much."""
    complaints = [
        rate(PAYLOAD, 0, twin_of(PAYLOAD, number, shift).as_array(), number)["complained"] != 0
        for number in range(1, 31)
        for shift in (-1, 1)
    ]
    assert np.mean(complaints) <= 0.1


def test_what_nobody_covered_is_unknown_and_no_lie() -> None:
    nothing = empty_twin(grid_of(PAYLOAD))
    assert rate(PAYLOAD, 0, nothing.as_array())["complained"] == 0


def test_a_threshold_of_one_never_complains() -> None:
    patient = PAYLOAD.changed(complaint_threshold=1.0)
    assert rate(patient, 0, twin_of(PAYLOAD, 1, seen=False).as_array())["complained"] == 0


@pytest.mark.parametrize("settings", [SYNTHETIC, PAYLOAD], ids=lambda s: s.market)
def test_a_broadcast_of_another_size_is_an_error_of_the_server(settings: Settings) -> None:
    with pytest.raises(ValueError, match="reshape"):
        rate(settings, 0, np.zeros(7))
