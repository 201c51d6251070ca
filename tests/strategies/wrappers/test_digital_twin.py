"""The twin: deliveries in, fused, broadcast, rated; nothing delivered, nothing broadcast."""

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from datasets.carrada.objects import RadarObject
from datasets.carrada.payload import encode
from datasets.carrada.scene import Scene, mask_of_boxes
from strategies.twin.fusion import Twin
from strategies.twin.grid import Grid
from strategies.wrappers.digital_twin import DigitalTwin
from strategies.wrappers.medium import Medium
from strategies.wrappers.narrowed_grid import NarrowedGrid
from strategies.wrappers.payload_medium import PayloadMedium
from strategies.wrappers.synthetic_medium import SyntheticMedium
from strategies.wrappers.traceable import Traceable
from strategies.wrappers.vectors import to_vector
from tests.peers import grid_of, settings_of

GRID = Grid.uniform()
EMPTY = ArrayRecord()
CAR = RadarObject(3, (60, 40, 66, 43), (190, 150, 196, 160), 0.9)


def delivery(node: int, record: ConfigRecord) -> Message:
    request = Message(RecordDict(), node, "train")
    return Message(RecordDict({"delivery": record}), reply_to=request)


def tokens(node: int, *values: int) -> Message:
    return delivery(node, ConfigRecord({"tokens": list(values), "body": b""}))


def payload(node: int, *objects: RadarObject, covers: int = 255) -> Message:
    scene = Scene("2001-02-03-04-05-06", "000091", 9100, covers, objects, mask_of_boxes(objects))
    sent = encode(scene)
    return delivery(node, ConfigRecord({"mask": sent.mask_png, "metadata": sent.metadata}))


def test_tokens_are_compared_by_equality_and_all_are_broadcast() -> None:
    twin = DigitalTwin(SyntheticMedium(3))
    arrays, metrics = twin.aggregate_train(1, [tokens(5, 7, 0, 9), tokens(6, 7, 8, 2)])
    assert arrays is not None
    assert to_vector(arrays["twin"]).tolist() == [7, 0, 9, 7, 8, 2]
    assert metrics is not None
    assert dict(metrics.items()) == {"delivered": 2, "covered": 3}
    found = twin.delivered()
    assert found.nodes == (5, 6)
    assert found.covers.tolist() == [[True, True], [False, True], [True, True]]
    assert found.similarity[:, 0, 1].tolist() == [1.0, 0.0, 0.0]
    assert isinstance(twin, Traceable)


def test_payloads_are_fused_cube_by_cube() -> None:
    medium = PayloadMedium(GRID, "medoid")
    twin = DigitalTwin(medium)
    arrays, _ = twin.aggregate_train(1, [payload(5, CAR), payload(6, CAR), payload(7)])
    assert arrays is not None
    shape = (GRID.cubes, -1, 5)
    shown = Twin.from_array(to_vector(arrays["twin"]).reshape(shape), GRID)
    assert shown.covered.all()
    assert shown.table()[:, 0].tolist() == [3.0]
    assert shown.table()[0, 1] == pytest.approx(CAR.range_m or 0.0, abs=1e-9)
    cube = int(GRID.locate(np.array([[CAR.range_m, CAR.azimuth_rad, CAR.velocity_mps]]))[0])
    alike = twin.delivered().similarity[cube]
    assert alike[0, 1] == 1.0
    assert alike[0, 2] == 0.0


def test_reputations_weigh_what_is_shown() -> None:
    """Two that hide against one that shows: with weights .9 to .1 + .1 the medoid is the one."""
    replies = [payload(1000), payload(1001), payload(1002, CAR)]

    def shown(standing: dict[int, float] | None) -> int:
        twin = DigitalTwin(PayloadMedium(GRID, "medoid"))
        grid = grid_of(settings_of(clients=3))
        view = NarrowedGrid(grid, grid.get_node_ids(), standing)
        twin.configure_train(1, EMPTY, ConfigRecord(), view)
        twin.aggregate_train(1, replies)
        medium = twin.medium
        assert isinstance(medium, PayloadMedium)
        return len(medium.twin.table())

    assert shown(None) == 0
    assert shown({1000: 0.1, 1001: 0.1, 1002: 0.9}) == 1


@pytest.mark.parametrize("medium", [SyntheticMedium(8), PayloadMedium(GRID)], ids=type)
def test_without_deliveries_there_is_no_twin_and_no_rating(medium: Medium) -> None:
    twin, grid = DigitalTwin(medium), grid_of(settings_of(clients=3))
    twin.aggregate_train(
        1,
        [tokens(5, *[1] * 8)]
        if medium.cubes == 8 and isinstance(medium, SyntheticMedium)
        else [payload(5, CAR)],
    )
    assert len(list(twin.configure_evaluate(1, EMPTY, ConfigRecord(), grid))) == 3
    arrays, metrics = twin.aggregate_train(2, [])
    assert arrays is None
    assert metrics is not None
    assert metrics["delivered"] == 0
    assert list(twin.configure_evaluate(2, EMPTY, ConfigRecord(), grid)) == []
    assert twin.delivered().nodes == ()


def test_everybody_that_is_left_is_asked_and_the_old_twin_stays_at_home() -> None:
    twin, grid = DigitalTwin(SyntheticMedium(8)), grid_of(settings_of(clients=3))
    requests = list(twin.configure_train(4, EMPTY, ConfigRecord(), NarrowedGrid(grid, [1002])))
    assert [request.metadata.dst_node_id for request in requests] == [1002]
    assert list(requests[0].content) == ["config"]
    assert requests[0].content.config_records["config"]["server-round"] == 4


def test_ratings_are_noted_by_user() -> None:
    twin = DigitalTwin(SyntheticMedium(8))
    request = Message(RecordDict(), 9, "evaluate")
    record = MetricRecord({"num-examples": 1, "visited": 0b0110, "complained": 0b1010})
    metrics = twin.aggregate_evaluate(1, [Message(RecordDict({"m": record}), reply_to=request)])
    assert twin.ratings == {9: (0b0110, 0b0010)}
    assert metrics is not None
    assert dict(metrics.items()) == {"rated": 1, "complaints": 1}
