"""A narrowed grid shows fewer nodes, and Flower's own strategies go by what it shows."""

from collections.abc import Iterable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp.strategy import FedAvg, Krum, Strategy

from strategies.wrappers.narrowed_grid import GridView, NarrowedGrid, standing_of
from tests.peers import grid_of, settings_of

SETTINGS = settings_of(clients=5)
EVERYBODY = {"min_train_nodes": 0, "min_evaluate_nodes": 0, "min_available_nodes": 0}
MODEL = ArrayRecord({"model": Array(np.zeros(3))})


def destinations(messages: Iterable[Message]) -> list[int]:
    return [message.metadata.dst_node_id for message in messages]


def test_only_the_chosen_are_seen_in_the_order_they_were_chosen() -> None:
    grid = grid_of(SETTINGS)
    view = NarrowedGrid(grid, [1003, 1001, 4711])
    assert view.get_node_ids() == [1003, 1001]
    assert {node.node_id for node in view.get_nodes()} == {1001, 1003}
    assert grid.get_node_ids() == [1000, 1001, 1002, 1003, 1004]


def test_views_nest() -> None:
    view = NarrowedGrid(NarrowedGrid(grid_of(SETTINGS), [1000, 1001, 1002]), [1002, 1004])
    assert view.get_node_ids() == [1002]


@pytest.mark.parametrize("strategy", [FedAvg(**EVERYBODY), Krum(**EVERYBODY)], ids=type)
def test_flowers_own_strategies_ask_only_those_they_see(strategy: Strategy) -> None:
    view = NarrowedGrid(grid_of(SETTINGS), [1001, 1004])
    asked = destinations(strategy.configure_train(1, MODEL, ConfigRecord(), view))
    assert sorted(asked) == [1001, 1004]
    asked = destinations(strategy.configure_evaluate(1, MODEL, ConfigRecord(), view))
    assert sorted(asked) == [1001, 1004]
    nobody = NarrowedGrid(grid_of(SETTINGS), [])
    assert destinations(strategy.configure_train(1, MODEL, ConfigRecord(), nobody)) == []


def test_everything_else_passes_through() -> None:
    grid = grid_of(SETTINGS)
    view = GridView(grid)
    assert view.run is grid.run
    view.set_run(grid.run)
    content = RecordDict({"config": ConfigRecord()})
    hello = view.create_message(content, "query.hello", 1000, "1")
    (identity,) = view.push_messages([hello])
    (reply,) = view.pull_messages([identity])
    assert reply.content.config_records["config"]["role"] == "clinic"
    (again,) = view.send_and_receive([Message(content, 1001, "query.hello")], timeout=3.0)
    assert again.metadata.src_node_id == 1001
    assert list(view.get_node_ids()) == grid.get_node_ids()
    assert len(list(view.get_nodes())) == 5


def test_reputations_reach_the_layers_further_in() -> None:
    grid = grid_of(SETTINGS)
    assert standing_of(grid) == {}
    outer = NarrowedGrid(grid, [1000, 1001], {1000: 0.6, 1001: 0.5})
    inner = NarrowedGrid(GridView(outer), [1001])
    assert standing_of(inner) == {1000: 0.6, 1001: 0.5}
    assert standing_of(NarrowedGrid(inner, [1001], {1001: 0.1})) == {1001: 0.1}
