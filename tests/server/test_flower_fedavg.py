"""What Flower's own FedAvg does with the broken replies that docs/attacks.md lists.

No CheckedGrid: Flower's strategy on a plain grid, one bad clinic of seven. A reply would be
handled if the run went on, the model were that of the other six and somebody said who was bad.
"""

from functools import cache
from typing import Literal

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from flwr.serverapp.strategy.strategy_utils import InconsistentMessageReplies
from numpy.typing import NDArray

from federation.backends.inprocess import FIRST_NODE
from server.duplicates import RepeatingGrid
from strategies.attack_settings import attackers_of
from strategies.settings import Settings
from strategies.wrappers.vectors import to_array
from tests.peers import grid_of, settings_of

Outcome = Literal["dead", "not finite", "other model", "silent"]

FLOWER: dict[str, Outcome] = {
    "nan": "not finite",
    "inf": "not finite",
    "wrong-shape": "dead",
    "shape-1": "other model",
    "wrong-key": "dead",
    "extra-key": "dead",
    "extra-metric": "dead",
    "weight-zero": "silent",
    "weight-nan": "not finite",
    "weight-huge": "other model",
    "weight-negative": "other model",
    "zero-update": "other model",
    "huge-header": "dead",
    "stale-round": "other model",
    "duplicate-reply": "other model",
}
"""The fifteen cases: the run dies, the model is lost or bent, or nothing is said."""


def fedavg(attack: str, attackers: float = 1.0) -> NDArray[np.float64]:
    """Return the model after three rounds of Flower's FedAvg."""
    settings = settings_of("fedavg", attack=attack, attackers=attackers)
    grid, strategy = network(settings), FedAvg(fraction_evaluate=0.0)
    arrays = ArrayRecord({"model": to_array(np.zeros(10))})
    for number in (1, 2, 3):
        requests = list(strategy.configure_train(number, arrays, ConfigRecord(), grid))
        # Flower samples with Python's global generator; where (1,) comes first it is dead at once.
        requests.sort(key=lambda request: request.metadata.dst_node_id)
        for request in requests:  # as over a network: what a client alters is its own copy
            own = {key: record.copy() for key, record in request.content.items()}
            request.content = RecordDict(own)
        merged, _ = strategy.aggregate_train(number, grid.send_and_receive(requests))
        arrays = arrays if merged is None else merged
    return np.asarray(arrays["model"].numpy())


def network(settings: Settings) -> Grid:
    """Return the clinics of the settings, some of which may answer twice."""
    hostile = {FIRST_NODE + number for number in attackers_of(settings)}

    def repeats(request: Message) -> bool:
        return request.metadata.dst_node_id in hostile

    grid = grid_of(settings)
    return RepeatingGrid(grid, repeats) if settings.attack == "duplicate-reply" else grid


@cache
def without_it() -> NDArray[np.float64]:
    """The model of the six others: Flower does go on when a client raises."""
    return fedavg("crashes")


def outcome_of(attack: str) -> Outcome:
    try:
        with np.errstate(all="ignore"):
            model = fedavg(attack)
    except (ValueError, InconsistentMessageReplies):
        return "dead"
    if not np.isfinite(model).all():
        return "not finite"
    same = np.allclose(model, without_it(), rtol=1e-9, atol=1e-15)
    return "silent" if same else "other model"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("attack", FLOWER)
def test_flower_alone_handles_none_of_the_fifteen(attack: str) -> None:
    assert outcome_of(attack) == FLOWER[attack]


def test_weights_that_add_up_to_nothing_end_a_run_of_flower() -> None:
    settings = settings_of("fedavg")
    grid, strategy = grid_of(settings), FedAvg(fraction_evaluate=0.0)
    arrays = ArrayRecord({"model": to_array(np.zeros(10))})
    replies = grid.send_and_receive(strategy.configure_train(1, arrays, ConfigRecord(), grid))
    for reply in replies:
        reply.content["metrics"]["num-examples"] = 0
    with pytest.raises(ZeroDivisionError):
        strategy.aggregate_train(1, replies)


def test_a_huge_weight_owns_the_model_of_flower() -> None:
    """With weight 1e18 of one clinic the merged model is that clinic's own."""
    settings = settings_of("fedavg", attack="weight-huge", attackers=1.0)
    grid, strategy = grid_of(settings), FedAvg(fraction_evaluate=0.0)
    arrays = ArrayRecord({"model": to_array(np.zeros(10))})
    replies = grid.send_and_receive(strategy.configure_train(1, arrays, ConfigRecord(), grid))
    (own,) = [
        reply.content["arrays"]["model"].numpy()
        for reply in replies
        if reply.metadata.src_node_id - FIRST_NODE in attackers_of(settings)
    ]
    merged, _ = strategy.aggregate_train(1, replies)
    assert merged is not None
    np.testing.assert_allclose(merged["model"].numpy(), own, rtol=1e-12)
