"""The Flower strategies offered: what each merges to, and that none waits or trusts too few."""

from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray
from scipy import stats

from strategies.settings import AGGREGATIONS, Settings
from strategies.wrappers.aggregation import build_aggregation
from strategies.wrappers.base import averages_linearly
from strategies.wrappers.vectors import to_array, to_vector
from tests.peers import grid_of, settings_of

MODELS = np.random.default_rng(0).normal(size=(9, 5))
SIZES = [10, 20, 30, 40, 50, 60, 70, 80, 90]


def settings(aggregation: str, **changes: Any) -> Settings:
    return settings_of("fedavg", clients=9, aggregation=aggregation, **changes)


def replies(models: NDArray[np.float64] = MODELS, sizes: list[int] = SIZES) -> list[Message]:
    found = []
    for model, size in zip(models, sizes, strict=False):
        content = RecordDict(
            {
                "arrays": ArrayRecord({"model": to_array(model)}),
                "metrics": MetricRecord({"num-examples": size}),
            }
        )
        found.append(Message(content, dst_node_id=1, message_type="train"))
    return found


def merged(aggregation: str, given: list[Message] | None = None, **changes: Any) -> Any:
    strategy = build_aggregation(settings(aggregation, **changes))
    if aggregation == "fedadam":
        start = ArrayRecord({"model": to_array(np.zeros(5))})
        strategy.configure_train(1, start, ConfigRecord(), grid_of(settings(aggregation)))
    arrays, _ = strategy.aggregate_train(1, replies() if given is None else given)
    return None if arrays is None else to_vector(arrays["model"])


def distances(models: NDArray[np.float64], f: int) -> NDArray[np.float64]:
    """Krum's scores by brute force: the sum of squared distances to the n - f - 2 nearest."""
    squared = ((models[:, None] - models[None]) ** 2).sum(axis=2)
    return np.sort(squared, axis=1)[:, 1 : len(models) - f - 1].sum(axis=1)


def test_fedavg_weighs_by_records() -> None:
    expected = np.average(MODELS, axis=0, weights=SIZES)
    np.testing.assert_allclose(merged("fedavg"), expected, rtol=1e-13)


def test_fedmedian_is_the_median_of_each_coordinate() -> None:
    np.testing.assert_allclose(merged("fedmedian"), np.median(MODELS, axis=0))


def test_fedtrimmedavg_cuts_its_share_at_each_end() -> None:
    expected = stats.trim_mean(MODELS, 0.25, axis=0)
    np.testing.assert_allclose(merged("fedtrimmedavg", trim=0.25), expected)


def test_fedadam_steps_by_the_server_rate() -> None:
    """First step of Adam from zero with bias correction: eta m / (sqrt v + tau), Flower's betas."""
    small, large = merged("fedadam", server_rate=0.01), merged("fedadam", server_rate=0.02)
    np.testing.assert_allclose(2 * small, large, rtol=1e-12)
    assert (np.sign(small) == np.sign(merged("fedavg"))).all()


@pytest.mark.parametrize("f", [0, 1, 3])
def test_krum_takes_the_upload_nearest_to_the_others(f: int) -> None:
    best = MODELS[np.argmin(distances(MODELS, f))]
    np.testing.assert_array_equal(merged("krum", byzantine=f), best)


@pytest.mark.parametrize("f", [0, 1, 3])
def test_multikrum_averages_the_n_minus_f_minus_2_best(f: int) -> None:
    chosen = np.argsort(distances(MODELS, f))[: 9 - f - 2]
    expected = np.average(MODELS[chosen], axis=0, weights=np.array(SIZES)[chosen])
    np.testing.assert_allclose(merged("multikrum", byzantine=f), expected, rtol=1e-12)


def test_bulyan_ignores_one_attacker_of_nine() -> None:
    attacked = MODELS.copy()
    attacked[4] = 1e6
    assert np.abs(merged("bulyan", replies(attacked), byzantine=1)).max() < np.abs(MODELS).max()


def test_multikrum_goes_by_the_replies_that_came() -> None:
    """f = 2 of 9, two honest clinics fail: 7 replies, 3 are averaged, the attackers are not."""
    attacked = MODELS[:7].copy()
    attacked[0], attacked[1] = 1e6, -1e6
    found = merged("multikrum", replies(attacked), byzantine=2)
    chosen = np.argsort(distances(attacked, 2))[:3]
    np.testing.assert_allclose(
        found, np.average(attacked[chosen], axis=0, weights=np.array(SIZES)[chosen])
    )
    assert np.abs(found).max() < 10


@pytest.mark.parametrize(("aggregation", "needed"), [("krum", 7), ("multikrum", 7), ("bulyan", 11)])
def test_too_few_replies_for_f_attackers_are_not_merged(aggregation: str, needed: int) -> None:
    models = np.random.default_rng(1).normal(size=(11, 5))
    strategy = build_aggregation(
        settings(aggregation, byzantine=1).changed(clients=11, byzantine=2)
    )
    few = replies(models[: needed - 1], [*SIZES, 10, 20])
    assert strategy.aggregate_train(1, few) == (None, None)
    enough = replies(models[:needed], [*SIZES, 10, 20])
    assert strategy.aggregate_train(1, enough)[0] is not None


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_nobody_is_waited_for(aggregation: str) -> None:
    """Flower's defaults poll forever on an empty grid; a hang here would end in the time-out."""
    strategy = build_aggregation(settings(aggregation))
    empty = grid_of(settings(aggregation), get_node_ids=list)
    start = ArrayRecord({"model": to_array(np.zeros(5))})
    assert list(strategy.configure_train(1, start, ConfigRecord(), empty)) == []
    assert list(strategy.configure_evaluate(1, start, ConfigRecord(), empty)) == []
    assert strategy.aggregate_train(1, []) == (None, None)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_everybody_is_asked(aggregation: str) -> None:
    strategy = build_aggregation(settings(aggregation))
    start = ArrayRecord({"model": to_array(np.zeros(5))})
    grid = grid_of(settings(aggregation))
    asked = strategy.configure_train(1, start, ConfigRecord(), grid)
    assert sorted(m.metadata.dst_node_id for m in asked) == sorted(grid.get_node_ids())


def test_only_a_plain_weighted_mean_is_linear() -> None:
    linear = [a for a in AGGREGATIONS if averages_linearly(build_aggregation(settings(a)))]
    assert linear == ["fedavg"]

    class Cautious(FedAvg):
        """A user's subclass may do anything with the replies."""

    assert not averages_linearly(Cautious())
