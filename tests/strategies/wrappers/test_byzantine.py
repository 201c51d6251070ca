"""f of a round: what the cohort allows, less who was found out; failures never lower it."""

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message
from hypothesis import given
from hypothesis import strategies as st

from federation.runner import run_one
from server.federation import run_federation
from strategies.presets import compose
from strategies.wrappers.aggregation import build_aggregation
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.byzantine import ByzantineRule
from strategies.wrappers.narrowed_grid import NarrowedGrid
from strategies.wrappers.vectors import to_array
from tests.peers import Peers, grid_of, raises, settings_of
from tests.strategies.wrappers.test_aggregation import replies


@pytest.fixture(autouse=True, scope="module")
def no_collecting() -> Iterator[None]:
    """Flower's Bulyan collects garbage a few times a call: a second each in a test process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda *_: 0)
        yield


FACTOR = {"krum": 2, "multikrum": 2, "bulyan": 4}


def rule(aggregation: str, byzantine: int, clients: int = 20) -> ByzantineRule:
    settings = settings_of("fedavg", clients=clients, aggregation=aggregation, byzantine=byzantine)
    built = build_aggregation(settings)
    assert isinstance(built, ByzantineRule)
    return built


def ask(built: ByzantineRule, nodes: int) -> None:
    settings = settings_of("fedavg", clients=20)
    grid = grid_of(settings)
    view = NarrowedGrid(grid, list(grid.get_node_ids())[:nodes])
    start = ArrayRecord({"model": to_array(np.zeros(5))})
    assert len(list(built.configure_train(1, start, ConfigRecord(), view))) == nodes


def uploads(count: int, seed: int = 3) -> list[Message]:
    models = np.random.default_rng(seed).normal(size=(count, 5))
    return replies(models, [10] * count)


@pytest.mark.parametrize("aggregation", FACTOR)
@given(st.integers(0, 4), st.integers(0, 20))
def test_f_is_what_the_cohort_allows(aggregation: str, byzantine: int, cohort: int) -> None:
    built = rule(aggregation, byzantine)
    ask(built, cohort)
    arrays, metrics = built.aggregate_train(1, uploads(cohort))
    if cohort < 3:
        assert (arrays, metrics) == (None, None)
        assert "needs 3 replies and has" in built.unmerged
        return
    assert metrics is not None
    assert metrics["byzantine"] == min(byzantine, (cohort - 3) // FACTOR[aggregation])
    assert built.unmerged == ""


@pytest.mark.parametrize("aggregation", FACTOR)
def test_a_lowered_f_is_back_in_the_next_round(aggregation: str) -> None:
    built = rule(aggregation, 2)
    for cohort, expected in ((20, 2), (4, 0), (20, 2)):
        ask(built, cohort)
        _, metrics = built.aggregate_train(1, uploads(cohort))
        assert metrics is not None
        assert metrics["byzantine"] == expected


@pytest.mark.parametrize("aggregation", FACTOR)
def test_the_lowered_rule_is_that_of_a_run_with_the_lower_f(aggregation: str) -> None:
    built, lower = rule(aggregation, 2), rule(aggregation, 1)
    cohort = FACTOR[aggregation] + 3
    ask(built, cohort)
    found, _ = built.aggregate_train(1, uploads(cohort))
    expected, _ = lower.aggregate_train(1, uploads(cohort))
    assert found is not None
    assert expected is not None
    assert found["model"].data == expected["model"].data


@pytest.mark.parametrize("aggregation", FACTOR)
def test_failures_lower_nothing_but_the_found_out_do(aggregation: str) -> None:
    """Of 2 f + 3 (4 f + 3) asked two are missing: too few, unless both were caught."""
    cohort = 2 * FACTOR[aggregation] + 3
    built = rule(aggregation, 2)
    ask(built, cohort)
    built.tell(accepted=cohort - 2, caught=0)
    assert built.aggregate_train(1, uploads(cohort - 2)) == (None, None)
    assert f"needs {cohort} replies and has {cohort - 2}" in built.unmerged
    built.tell(accepted=cohort - 2, caught=2)
    _, metrics = built.aggregate_train(1, uploads(cohort - 2))
    assert metrics is not None
    assert metrics["byzantine"] == 0


def test_what_an_outer_layer_drops_is_found_out_too() -> None:
    built = rule("krum", 2)
    ask(built, 7)
    built.tell(accepted=7, caught=0)
    _, metrics = built.aggregate_train(1, uploads(6))
    assert metrics is not None
    assert metrics["byzantine"] == 1


@pytest.mark.parametrize("aggregation", FACTOR)
def test_broken_clinics_up_to_f_do_not_stop_a_run(aggregation: str) -> None:
    settings = compose(
        "fedavg",
        {"clients": 20, "rounds": 2, "aggregation": aggregation, "byzantine": 4}
        | {"attack": "nan", "attackers": 4.0},
    )
    run = run_one(settings)
    assert [record.metrics["byzantine"] for record in run.rounds[1:]] == [0, 0]
    assert [len(record.sizes) for record in run.rounds[1:]] == [16, 16]


def test_crashed_clinics_beyond_what_f_allows_stop_the_round_with_a_reason() -> None:
    settings = settings_of("fedavg", clients=9, aggregation="krum", byzantine=3)
    peers = Peers({0: raises})
    with pytest.raises(Exception, match="no usable reply"):
        run_federation(grid_of(settings, peers), settings)


class FirstOnly(StrategyWrapper):
    """An outer layer that chooses the first n of the clinics, as an auction would."""

    def __init__(self, inner: Any, count: int) -> None:
        super().__init__(inner)
        self.count = count

    def configure_train(self, server_round: int, arrays: Any, config: Any, grid: Any) -> Any:
        view = NarrowedGrid(grid, list(grid.get_node_ids())[: self.count])
        return self.inner.configure_train(server_round, arrays, config, view)


@pytest.mark.parametrize(
    ("aggregation", "expected"), [("krum", 1), ("multikrum", 1), ("bulyan", 0)]
)
def test_a_small_cohort_lowers_f_in_a_whole_run(aggregation: str, expected: int) -> None:
    settings = settings_of("fedavg", clients=15, aggregation=aggregation, byzantine=3)
    run = run_federation(grid_of(settings), settings, wrap=lambda inner: FirstOnly(inner, 5))
    assert [record.metrics["byzantine"] for record in run.rounds[1:]] == [expected] * 3
    assert [len(record.sizes) for record in run.rounds[1:]] == [5, 5, 5]


def test_a_cohort_of_two_merges_nothing_and_says_why() -> None:
    settings = settings_of("fedavg", clients=15, aggregation="krum", byzantine=3)
    with pytest.raises(Exception, match="krum with f 0 needs 3 replies and has 2"):
        run_federation(grid_of(settings), settings, wrap=lambda inner: FirstOnly(inner, 2))
