"""TracedUploads: complaints about a model find the update that is least like the others."""

from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from strategies.reputation import ReputationSettings
from strategies.wrappers.aggregation import _EVERYBODY
from strategies.wrappers.market_messages import COMPLAINED, VISITED
from strategies.wrappers.reputation_selection import ReputationSelection, SelectionSettings
from strategies.wrappers.traced_uploads import TracedUploads, cosines
from strategies.wrappers.vectors import to_array
from tests.peers import grid_of, settings_of

UPDATES = np.array([[1.0, 0.0], [1.0, 0.1], [0.9, -0.1], [-1.0, 0.0]])


def reply(request: Message, record: Any) -> Message:
    found = Message(RecordDict(), reply_to=request)
    found.content = RecordDict(record)
    return found


def played(strategy: Any, complained: int) -> Any:
    grid = grid_of(settings_of(clients=4), get_node_ids=lambda: range(4))
    start = ArrayRecord({"model": to_array(np.full(2, 5.0))})
    requests = sorted(
        strategy.configure_train(1, start, ConfigRecord(), grid),
        key=lambda request: request.metadata.dst_node_id,
    )
    replies = [
        reply(
            request,
            {
                "arrays": ArrayRecord({"model": to_array(5.0 + UPDATES[n])}),
                "metrics": MetricRecord({"num-examples": 10}),
            },
        )
        for n, request in enumerate(requests)
    ]
    strategy.aggregate_train(1, replies)
    asked = strategy.configure_evaluate(1, start, ConfigRecord(), grid)
    ratings = {"num-examples": 10, VISITED: 3, COMPLAINED: complained}
    return strategy.aggregate_evaluate(
        1, [reply(request, {"metrics": MetricRecord(ratings)}) for request in asked]
    )


def test_cosines_by_hand() -> None:
    found = cosines(np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[1, 0.96, 0], [0.96, 1, 0], [0, 0, 0]], atol=1e-15)


def test_every_upload_is_behind_every_slice() -> None:
    traced = TracedUploads(FedAvg(**_EVERYBODY), 2)
    metrics = played(traced, complained=1)
    found = traced.delivered()
    assert found.nodes == (0, 1, 2, 3)
    assert found.covers.all()
    assert found.covers.shape == (2, 4)
    np.testing.assert_allclose(found.similarity[1], cosines(UPDATES))
    assert dict(metrics) == {"rated": 4, "complaints": 4}


def test_a_complaint_is_blamed_on_the_update_that_is_least_like_the_others() -> None:
    chosen = SelectionSettings(ReputationSettings(), users=4)
    layer = ReputationSelection(TracedUploads(FedAvg(**_EVERYBODY), 2), chosen)
    played(layer, complained=0b11)
    assert set(layer.last.blamed) == {(0, "3"), (1, "3")}
    after = layer.reputations()
    assert after["3"] < 0.5 < min(after[name] for name in "012")


def test_without_complaints_everybody_gains() -> None:
    chosen = SelectionSettings(ReputationSettings(), users=4)
    layer = ReputationSelection(TracedUploads(FedAvg(**_EVERYBODY), 2), chosen)
    played(layer, complained=0)
    assert layer.last.blamed == ()
    assert len(set(layer.reputations().values())) == 1
