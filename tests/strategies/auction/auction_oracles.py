"""Slow but obvious solutions that the auction is held against."""

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Markets:
    """G markets of n offers each, one a row."""

    values: np.ndarray
    bids: np.ndarray
    channels: np.ndarray
    capacity: np.ndarray
    ties: np.ndarray


def random_markets(rng, count, size, money=1_500_000):
    """Draw markets; little money makes ties and offers that cannot win common."""
    return Markets(
        values=rng.integers(0, money, (count, size)),
        bids=rng.integers(0, money, (count, size)) // 2,
        channels=rng.integers(1, 5, (count, size)),
        capacity=rng.integers(1, 2 * size + 1, count),
        ties=rng.permuted(np.tile(np.arange(size), (count, 1)), axis=1),
    )


def brute_force(markets):
    """Return W (G,) and W_(-i) (G, n) by trying all 2^n sets of every market."""
    size = markets.values.shape[1]
    sets = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
    load = markets.channels @ sets.T
    worth = (markets.values - markets.bids) @ sets.T
    worth = np.where(load <= markets.capacity[:, None], worth, 0)
    without = [worth[:, sets[:, i] == 0].max(axis=1) for i in range(size)]
    return worth.max(axis=1), np.stack(without, axis=1)


def milp_optimum(surplus, channels, capacity):
    """Return the optimum of one knapsack by HiGHS, in micro-credits."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    result = milp(
        -surplus.astype(float),
        constraints=LinearConstraint(channels[None, :].astype(float), ub=float(capacity)),
        integrality=np.ones(surplus.size),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    chosen = np.round(result.x).astype(bool)
    return int(surplus[chosen].sum())


_ORTOOLS = """
import json, sys
from ortools.algorithms.python import knapsack_solver
kind = knapsack_solver.SolverType.KNAPSACK_MULTIDIMENSION_BRANCH_AND_BOUND_SOLVER
answers = []
for surplus, channels, capacity in json.load(sys.stdin):
    solver = knapsack_solver.KnapsackSolver(kind, "oracle")
    solver.init(surplus, [channels], [capacity])
    answers.append(solver.solve())
print(json.dumps(answers))
"""


def ortools_optima(problems):
    """Return the optima of (surplus, channels, capacity) problems, by OR-Tools in a process.

    OR-Tools and HiGHS cannot be imported together, hence the process of its own.
    """
    text = json.dumps([(s.tolist(), c.tolist(), int(b)) for s, c, b in problems])
    done = subprocess.run(
        [sys.executable, "-c", _ORTOOLS], input=text, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])
