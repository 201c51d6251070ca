"""Complaints become blame, blame becomes reputation, reputation decides who takes part."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Strategy

from server.federation import run_federation
from strategies.reputation import ReputationSettings
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.narrowed_grid import standing_of
from strategies.wrappers.reputation_selection import ReputationSelection, SelectionSettings
from strategies.wrappers.traceable import Delivered
from tests.peers import Peers, grid_of, raises, settings_of

SETTINGS = settings_of(clients=4)
REPUTATION = ReputationSettings(fading=0.8)
WEIGHT = (1 - 0.8**50) / (1 - 0.8)
PRAISED = 0.5 + (0.4 / 1.4 + 0.5 / 1.4 - 0.5) / WEIGHT
BLAMED = 0.5 + (0.5 / 1.6 - 0.5) / WEIGHT
NODES = (1000, 1001, 1002, 1003)
EMPTY = ArrayRecord()


class Core(Strategy):
    """An innermost strategy that asks everybody and says who is behind its broadcast."""

    def __init__(self, covers: Any, similarity: Any = None) -> None:
        self.covers = np.array(covers, dtype=bool)
        size = self.covers.shape[1]
        shape = (len(self.covers), size, size)
        self.similarity = np.ones(shape) if similarity is None else np.array(similarity, float)
        self.nodes: tuple[int, ...] = ()
        self.standing: dict[int, float] = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        self.nodes = tuple(grid.get_node_ids())
        self.standing = dict(standing_of(grid))
        return [Message(RecordDict(), node, "train") for node in self.nodes]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        self.nodes = tuple(reply.metadata.src_node_id for reply in replies)
        return None, None

    def configure_evaluate(self, *_: Any) -> Iterable[Message]:
        return []

    def aggregate_evaluate(self, *_: Any) -> MetricRecord | None:
        return None

    def delivered(self) -> Delivered:
        places = [NODES.index(node) for node in self.nodes]
        alike = self.similarity[:, places][:, :, places]
        return Delivered(self.nodes, self.covers[:, places], alike)

    def summary(self) -> None:
        pass


def reply_of(request: Message, content: RecordDict) -> Message:
    return Message(content, reply_to=request)


def rating(user: int, visited: int, complained: int) -> Message:
    request = Message(RecordDict(), user, "evaluate")
    metrics = MetricRecord({"num-examples": 1, "visited": visited, "complained": complained})
    return reply_of(request, RecordDict({"metrics": metrics}))


def selection(core: Strategy, users: int = 2, **changes: Any) -> ReputationSelection:
    return ReputationSelection(core, SelectionSettings(REPUTATION, users, **changes))


def play(
    layer: ReputationSelection,
    ratings: Sequence[Message],
    number: int = 1,
    silent: int | None = None,
) -> list[int]:
    """Play one round; ``silent`` does not deliver. Return who was asked."""
    grid = grid_of(SETTINGS)
    requests = list(layer.configure_train(number, EMPTY, ConfigRecord(), grid))
    replies = [
        reply_of(request, RecordDict({"metrics": MetricRecord({"num-examples": 1})}))
        for request in requests
        if request.metadata.dst_node_id != silent
    ]
    layer.aggregate_train(number, replies)
    layer.aggregate_evaluate(number, ratings)
    return [request.metadata.dst_node_id for request in requests]


ODD_ONE_OUT = np.ones((1, 4, 4))
ODD_ONE_OUT[0, 2, :] = ODD_ONE_OUT[0, :, 2] = 0.0


def test_the_least_similar_is_blamed_and_the_others_are_praised() -> None:
    """One cube, four devices, two users who complain: eqs. (1)-(4) by hand."""
    layer = selection(Core([[1, 1, 1, 1]], ODD_ONE_OUT))
    play(layer, [rating(1, 1, 1), rating(2, 1, 1)])
    assert layer.last.blamed == ((0, "1002"),)
    expected = {"1000": PRAISED, "1001": PRAISED, "1002": BLAMED, "1003": PRAISED}
    assert layer.reputations() == pytest.approx(expected, abs=1e-12)


def test_without_algorithm_1_everybody_at_the_cube_is_blamed() -> None:
    layer = selection(Core([[1, 1, 1, 0]], ODD_ONE_OUT), filtered=False)
    play(layer, [rating(1, 1, 1), rating(2, 1, 0)])
    half = 0.5 * (BLAMED + PRAISED)
    expected = {"1000": half, "1001": half, "1002": half, "1003": 0.5}
    assert layer.reputations() == pytest.approx(expected, abs=1e-12)


def test_silence_counts_only_where_one_was() -> None:
    """User 1 visits cube 0, user 2 neither cube: device 1 at cube 1 stays as it was."""
    layer = selection(Core([[1, 0, 0, 0], [0, 1, 0, 0]]))
    play(layer, [rating(1, 0b01, 0), rating(2, 0, 0)])
    assert layer.reputations()["1000"] == pytest.approx(0.5 * (PRAISED + 0.5), abs=1e-12)
    assert layer.reputations()["1001"] == 0.5


def test_a_complaint_about_a_cube_that_was_not_visited_does_not_count() -> None:
    layer = selection(Core([[1, 1, 1, 1]], ODD_ONE_OUT))
    play(layer, [rating(1, 0, 1), rating(2, 0, 1)])
    assert layer.last.blamed == ()
    assert set(layer.reputations().values()) == {0.5}


def test_who_is_blamed_is_shut_out_and_comes_back_when_it_is_forgotten() -> None:
    layer = ReputationSelection(
        Core([[1, 1, 1, 1]], ODD_ONE_OUT),
        SelectionSettings(ReputationSettings(fading=0.8, window=3), 2),
    )
    complain = [rating(1, 1, 1), rating(2, 1, 1)]
    assert play(layer, complain) == list(NODES)
    asked = [play(layer, [], number) for number in range(2, 6)]
    assert [1002 in nodes for nodes in asked] == [False, False, False, True]


def test_the_inner_strategy_sees_what_the_reputations_are() -> None:
    core = Core([[1, 1, 1, 1]], ODD_ONE_OUT)
    layer = selection(core)
    play(layer, [rating(1, 1, 1), rating(2, 1, 1)])
    play(layer, [], 2)
    assert core.standing == pytest.approx(
        {1000: PRAISED, 1001: PRAISED, 1002: BLAMED, 1003: PRAISED}, abs=1e-12
    )
    assert layer.last.trusted == ("1000", "1001", "1003")


def test_top_k_takes_the_best_and_among_equals_not_always_the_first() -> None:
    layer = selection(Core([[1, 1, 1, 1]], ODD_ONE_OUT), top_k=2)
    first = play(layer, [])
    assert len(first) == 2
    seen = {tuple(play(layer, [], number)) for number in range(2, 40)}
    assert len(seen) == 6  # every pair of four equals comes up
    best = selection(Core([[1, 0, 0, 0]]), top_k=1)
    asked = [play(best, [rating(1, 1, 0)], number) for number in range(1, 30)]
    found = asked.index([1000])  # only device 0 covers what the user visits
    assert found < 20
    assert asked[found:] == [[1000]] * (29 - found)


def test_nobody_trusted_asks_nobody_and_does_not_bother_the_inner_strategy() -> None:
    core = Core([[1, 1, 1, 1]])
    layer = selection(core, filtered=False)
    play(layer, [rating(1, 1, 1), rating(2, 1, 1)])
    core.nodes = (4711,)
    assert list(layer.configure_train(2, EMPTY, ConfigRecord(), grid_of(SETTINGS))) == []
    assert core.nodes == (4711,)


def test_who_was_asked_and_does_not_deliver_has_broken_the_deal() -> None:
    layer = selection(Core([[1, 1, 1, 1]]))
    play(layer, [rating(1, 1, 0)], silent=1003)
    assert layer.last.breaches == ("1003",)
    assert layer.reputations()["1003"] == pytest.approx(BLAMED, abs=1e-12)
    assert layer.reputations()["1000"] == pytest.approx(0.5 * (PRAISED + 0.5), abs=1e-12)


def test_replies_without_a_rating_are_no_evidence() -> None:
    layer = selection(Core([[1, 1, 1, 1]]))
    request = Message(RecordDict(), 7, "evaluate")
    play(layer, [reply_of(request, RecordDict({"metrics": MetricRecord({"num-examples": 9})}))])
    assert set(layer.reputations().values()) == {0.5}


def test_a_newcomer_starts_at_alpha_and_the_others_keep_what_they_have() -> None:
    layer = selection(Core([[1, 1, 1, 1]], ODD_ONE_OUT))
    play(layer, [rating(1, 1, 1), rating(2, 1, 1)])
    before = layer.reputations()
    larger = grid_of(settings_of(clients=5))
    layer.configure_train(2, EMPTY, ConfigRecord(), larger)
    assert layer.reputations() == {**before, "1004": 0.5}


def test_around_fedavg_without_ratings_all_stay_at_alpha_and_the_model_is_the_same() -> None:
    layers: list[ReputationSelection] = []

    def wrap(inner: Strategy) -> Strategy:
        assert isinstance(inner, FedAvg | StrategyWrapper)
        layers.append(ReputationSelection(inner, SelectionSettings(REPUTATION, 1)))
        return layers[0]

    settings = settings_of("fedavg")
    plain = run_federation(grid_of(settings), settings)
    wrapped = run_federation(grid_of(settings), settings, wrap=wrap)
    assert wrapped.weights.tobytes() == plain.weights.tobytes()
    assert set(layers[0].reputations().values()) == {0.5}


def test_around_fedavg_a_client_that_fails_is_not_asked_again() -> None:
    settings = settings_of("fedavg")
    grid = grid_of(settings, Peers({2: raises}))
    run = run_federation(
        grid, settings, wrap=lambda s: ReputationSelection(s, SelectionSettings(REPUTATION, 1))
    )
    assert [len(record.verdicts) for record in run.rounds[1:]] == [1, 0, 0]
    assert [len(record.sizes) for record in run.rounds[1:]] == [6, 6, 6]


def test_describe_names_the_constants() -> None:
    text = selection(Core([[1]]), top_k=3).describe()
    assert "R >= 0.5, best 3" in text
    assert "Algorithm 1" in text
