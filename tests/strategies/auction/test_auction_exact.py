"""Winners and payments are exact: brute force, HiGHS and OR-Tools are the oracles."""

from importlib.util import find_spec

import numpy as np
import pytest

from strategies.auction import solve
from strategies.auction import solver as solver_module
from tests.strategies.auction.auction_oracles import (
    brute_force,
    milp_optimum,
    ortools_optima,
    random_markets,
)


def _hold_against_brute_force(rng, count):
    """Compare ``count`` markets of each of several sizes with all their subsets."""
    for size in range(1, 9):
        for money in (4, 1_500_000):
            markets = random_markets(rng, count, size, money)
            best, without = brute_force(markets)
            for g in range(count):
                outcome = solve(
                    markets.values[g],
                    markets.bids[g],
                    markets.channels[g],
                    int(markets.capacity[g]),
                    ties=markets.ties[g],
                )
                won = outcome.winners
                surplus = markets.values[g] - markets.bids[g]
                assert surplus[won].sum() == outcome.welfare == best[g]
                assert (surplus[won] > 0).all()
                assert markets.channels[g][won].sum() <= markets.capacity[g]
                critical = markets.bids[g] + best[g] - without[g]
                np.testing.assert_array_equal(outcome.payments, np.where(won, critical, 0))


@pytest.mark.parametrize("table_work", [solver_module.TABLE_WORK, 0], ids=["table", "classes"])
def test_small_markets_equal_brute_force(table_work, monkeypatch):
    """Both algorithms, 1,600 markets each, half of them full of ties."""
    monkeypatch.setattr(solver_module, "TABLE_WORK", table_work)
    _hold_against_brute_force(np.random.default_rng(7), 100)


@pytest.mark.slow
@pytest.mark.parametrize("table_work", [solver_module.TABLE_WORK, 0], ids=["table", "classes"])
def test_hundred_thousand_small_markets_equal_brute_force(table_work, monkeypatch):
    """10^5 markets for each algorithm."""
    monkeypatch.setattr(solver_module, "TABLE_WORK", table_work)
    _hold_against_brute_force(np.random.default_rng(11), 6_250)


def _market(rng, size, widest):
    values = rng.integers(500_000, 1_500_000, size)
    bids = rng.integers(100_000, 500_000, size)
    return values, bids, rng.integers(1, widest + 1, size), rng.permutation(size)


@pytest.mark.parametrize("table_work", [solver_module.TABLE_WORK, 0], ids=["table", "classes"])
@pytest.mark.parametrize(("size", "widest", "capacity"), [(40, 4, 30), (60, 9, 50)])
def test_larger_markets_equal_milp(size, widest, capacity, table_work, monkeypatch):
    """The welfare and every single payment, each W_(-i) by a solve of its own."""
    monkeypatch.setattr(solver_module, "TABLE_WORK", table_work)
    values, bids, channels, ties = _market(np.random.default_rng(size), size, widest)
    outcome = solve(values, bids, channels, capacity, ties=ties)
    surplus = values - bids
    best = milp_optimum(surplus, channels, capacity)
    assert outcome.welfare == best
    for i in np.flatnonzero(outcome.winners):
        others = np.arange(size) != i
        without = milp_optimum(surplus[others], channels[others], capacity)
        assert outcome.payments[i] == bids[i] + best - without


@pytest.mark.skipif(find_spec("ortools") is None, reason="OR-Tools is not installed")
@pytest.mark.parametrize(("size", "widest", "capacity"), [(600, 4, 100), (1500, 12, 150)])
def test_large_markets_equal_ortools(size, widest, capacity):
    """The class decomposition's welfare and every payment of some hundred offers and more."""
    values, bids, channels, ties = _market(np.random.default_rng(size), size, widest)
    outcome = solve(values, bids, channels, capacity, ties=ties)
    surplus = values - bids
    winners = np.flatnonzero(outcome.winners)
    keep = [np.arange(size) != i for i in winners]
    problems = [(surplus, channels, capacity)]
    problems += [(surplus[others], channels[others], capacity) for others in keep]
    best, *without = ortools_optima(problems)
    assert outcome.welfare == best
    np.testing.assert_array_equal(outcome.payments[winners], bids[winners] + best - without)


def test_algorithms_agree_on_middling_markets(monkeypatch):
    """Sizes that brute force cannot reach, with class sizes larger than what fits."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        values, bids, channels, ties = _market(rng, int(rng.integers(20, 90)), 7)
        capacity = int(rng.integers(1, 60))
        outcomes = []
        for work in (10**9, 0):
            monkeypatch.setattr(solver_module, "TABLE_WORK", work)
            outcomes.append(solve(values, bids, channels, capacity, ties=ties))
        table, classes = outcomes
        assert table.welfare == classes.welfare
        both = table.winners & classes.winners
        np.testing.assert_array_equal(table.payments[both], classes.payments[both])
