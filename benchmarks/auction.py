"""Time winner determination and all VCG payments beside OR-Tools and naive VCG, in one run.

Usage: ``python benchmarks/auction.py [--quick]``. Every row solves the same random market three
ways: ours (winners and every payment), one OR-Tools branch-and-bound solve (winners only), and
naive VCG (one OR-Tools solve for W and one per winner for its W_(-i)). Naive VCG is measured at
N = 20; for larger markets it is one solve times the number of solves it needs, marked ``~``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ortools.algorithms.python import knapsack_solver

from strategies.auction import Outcome, solve

KIND = knapsack_solver.SolverType.KNAPSACK_MULTIDIMENSION_BRANCH_AND_BOUND_SOLVER


@dataclass(frozen=True)
class Case:
    """A market of ``offers`` for ``capacity`` channels with sizes 1..``widest``."""

    offers: int
    capacity: int
    widest: int


CASES = (
    Case(20, 20, 4),
    Case(10_000, 1_000, 4),
    Case(10_000, 1_000, 10),
    Case(100_000, 10_000, 4),
    Case(100_000, 10_000, 10),
)


def best_time(action: Callable[[], object], repeats: int) -> float:
    """Return the shortest of several runs in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def ortools_optimum(surplus: list[int], channels: list[int], capacity: int) -> int:
    """Solve one knapsack by OR-Tools."""
    solver = knapsack_solver.KnapsackSolver(KIND, "benchmark")
    solver.init(surplus, [channels], [capacity])
    return int(solver.solve())


def naive_vcg(surplus: list[int], channels: list[int], capacity: int, outcome: Outcome) -> int:
    """Solve once for W and once per winner; return the sum of payments."""
    best = ortools_optimum(surplus, channels, capacity)
    total = 0
    for i in np.flatnonzero(outcome.winners).tolist():
        rest = surplus[:i] + surplus[i + 1 :], channels[:i] + channels[i + 1 :]
        total += int(outcome.bids[i]) + best - ortools_optimum(*rest, capacity)
    return total


def measure(case: Case) -> str:
    """Solve a market in all three ways and return its row."""
    rng = np.random.default_rng(case.offers)
    values = rng.integers(500_000, 1_500_000, case.offers)
    bids = rng.integers(100_000, 500_000, case.offers)
    channels = rng.integers(1, case.widest + 1, case.offers)
    ties = rng.permutation(case.offers)

    def ours() -> Outcome:
        return solve(values, bids, channels, case.capacity, ties=ties)

    outcome = ours()  # compiles or loads the kernels before the clock starts
    small = case.offers <= 100
    mine = best_time(ours, 500 if small else 10)
    problem = (values - bids).tolist(), channels.tolist(), case.capacity
    assert ortools_optimum(*problem) == outcome.welfare
    single = best_time(lambda: ortools_optimum(*problem), 200 if small else 1)
    if small:
        assert naive_vcg(*problem, outcome) == outcome.payments.sum()
        naive, mark = best_time(lambda: naive_vcg(*problem, outcome), 20), " "
    else:
        naive, mark = single * (1 + int(outcome.winners.sum())), "~"
    return (
        f"{case.offers:>7} {case.capacity:>6} 1..{case.widest:<3} {outcome.winners.sum():>7}"
        f" {mine * 1e3:>11.3f} {single * 1e3:>11.3f} {mark}{naive * 1e3:>13.2f}"
        f" {single / mine:>9.1f}x {mark}{naive / mine:>10.1f}x"
    )


def main() -> None:
    """Print a row per market."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out N = 100,000")
    quick = parser.parse_args().quick
    print("times in ms; ours and naive give winners and all payments, OR-Tools one optimum")
    print(
        f"{'N':>7} {'B':>6} {'sizes':<6} {'winners':>7} {'ours':>11} {'OR-Tools':>11}"
        f" {'naive VCG':>14} {'OR-T/ours':>10} {'naive/ours':>12}"
    )
    for case in CASES:
        if not (quick and case.offers > 10_000):
            print(measure(case), flush=True)


if __name__ == "__main__":
    main()
