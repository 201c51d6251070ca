"""Trust under noise: the tables of accuracy under twelve attacks, and what each part costs.

Usage: ``python benchmarks/trust.py TABLE [--seeds N] [--first-seed S] [--workers W]`` with TABLE
one of rules, sleepers, auction, counts, clinics, skew, aware, share, speed. Default seeds 1000 to
1039 were never used to choose a constant. With several workers set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from datasets import load_table
from datasets.federated import cut
from federation.parallel import map_parallel
from strategies.privacy.contenders import CONTENDERS
from strategies.privacy.gaussian import mu_of_epsilon
from strategies.privacy.sweep import cohort_of
from strategies.trust.attacks import ATTACKS, GATE_AWARE
from strategies.trust.auctioned import Market, play_auctioned
from strategies.trust.contestants import by_round, likelihood
from strategies.trust.known_noise import KnownNoiseDetector
from strategies.trust.prototype import Plan, Scene, play
from strategies.trust.rules import RULES
from strategies.trust.schedules import Schedule

DELTA = 1e-5
LIKELIHOOD = "likelihood"
SLEEPERS = Schedule("from", 5)


@dataclass(frozen=True)
class Cell:
    """One number of a table, over seeds."""

    rule: str
    epsilon: float
    plan: Plan
    seeds: tuple[int, ...]
    clinics: int = 20
    cutting: tuple[tuple[str, Any], ...] = ()
    market: Market | None = None
    label: str = ""


@dataclass
class Result:
    """What a cell gave, one row a seed: accuracy, honest out, found or malicious share."""

    cell: Cell
    rows: np.ndarray = field(repr=False)

    def mean(self, column: int) -> float:
        """Return a mean in percent, over seeds."""
        return 100 * float(np.mean(self.rows[:, column]))

    @property
    def error(self) -> float:
        """Return the standard error of the accuracy in percent."""
        return 100 * float(self.rows[:, 0].std(ddof=1) / np.sqrt(len(self.rows)))


@lru_cache(maxsize=256)
def scene_of(seed: int, clinics: int, cutting: tuple[tuple[str, Any], ...]) -> Scene:
    parts = cut(_table(), clients=clinics, seed=seed, **dict(cutting))
    cohort, test = cohort_of(parts, CONTENDERS["dp-gd"], seed)
    return Scene(cohort.signed, cohort.count, test)


@lru_cache(maxsize=1)
def _table() -> Any:
    return load_table()


def run_cell(cell: Cell) -> Result:
    mu = inf if cell.epsilon == inf else mu_of_epsilon(cell.epsilon, DELTA)
    plan = cell.plan.changed(mu=mu)
    rows = []
    for seed in cell.seeds:
        scene = scene_of(seed, cell.clinics, cell.cutting)
        dimension = scene.signed.shape[-1]
        if cell.market is not None:
            detector = KnownNoiseDetector(dimension)
            sold = play_auctioned(scene, plan, cell.market, detector, seed)
            rows.append((sold.accuracy, sold.honest_out, sold.malicious_share))
            continue
        if cell.rule == LIKELIHOOD:
            merge = likelihood(dimension, noisy=mu != inf)
        else:
            merge = by_round(cell.rule, plan.attackers)
        played = play(scene, plan, merge, seed)
        rows.append((played.accuracy, played.honest_out, played.found))
    return Result(cell, np.array(rows))


def report(results: Sequence[Result], third: str = "found") -> None:
    """Print, for each group of cells that differ only by attack, the worst and all."""
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        cell = result.cell
        groups.setdefault((cell.label, cell.rule, cell.epsilon), []).append(result)
    for (label, rule, epsilon), group in groups.items():
        worst = min(group, key=lambda result: result.mean(0))
        out = max(result.mean(1) for result in group)
        name = " ".join(part for part in (label, rule) if part)
        print(
            f"{name:<30} eps {epsilon:<4g} worst {worst.mean(0):5.1f} +- {worst.error:3.1f} by "
            f"{worst.cell.plan.attack:<15} honest out, worst {out:4.1f}"
        )
        for result in group:
            print(
                f"    {result.cell.plan.attack:<15} accuracy {result.mean(0):5.1f} +- "
                f"{result.error:3.1f}   honest out {result.mean(1):5.1f}   "
                f"{third} {result.mean(2):5.1f}"
            )
        print(flush=True)


def cells(
    rules: Sequence[str], epsilons: Sequence[float], attacks: Sequence[str], plan: Plan, **rest: Any
) -> list[Cell]:
    return [
        Cell(rule, epsilon, plan.changed(attack=attack), **rest)
        for rule in rules
        for epsilon in epsilons
        for attack in attacks
    ]


def table_of(name: str, seeds: tuple[int, ...]) -> tuple[list[Cell], str]:
    """Return the cells of a table and what its third column is called."""
    every, noisy = tuple(ATTACKS), (5.0, 2.0, 1.0)
    rest: dict[str, Any] = {"seeds": seeds}
    if name == "rules":
        rules = [*RULES, LIKELIHOOD]
        return cells(rules, (inf, 10.0, *noisy), every, Plan(), **rest), "found"
    if name == "sleepers":
        plan = Plan(schedule=SLEEPERS)
        return cells([LIKELIHOOD], (inf, 10.0, *noisy), every, plan, **rest), "found"
    if name == "share":
        made = []
        for share in (0.1, 0.2, 0.3, 0.4, 0.5):
            for label, plan in (("", Plan()), (" sleepers", Plan(schedule=SLEEPERS))):
                chosen = plan.changed(first_share=share)
                text = f"share {share}{label}"
                made += cells([LIKELIHOOD], noisy, every, chosen, label=text, **rest)
        return made, "found"
    if name == "auction":
        made = []
        for label, market in (
            ("auction", Market()),
            ("undercutting", Market(undercut=0.7)),
            ("without probe", Market(probe=False)),
        ):
            made += cells([LIKELIHOOD], noisy, every, Plan(), market=market, label=label, **rest)
        return made, "winners"
    if name == "counts":
        made = cells([LIKELIHOOD], noisy, ("sign-flip",), Plan(attackers=0), label="f=0", **rest)
        for count in (2, 4, 8, 9):
            plan, label = Plan(attackers=count), f"f={count}"
            made += cells([LIKELIHOOD], noisy, every, plan, label=label, **rest)
        return made, "found"
    if name == "clinics":
        plan = Plan(attackers=15)
        return cells([LIKELIHOOD], noisy, every, plan, clinics=50, label="V=50", **rest), "found"
    if name == "skew":
        made = []
        for alpha in (5.0, 1.0, 0.5):
            cutting = (("scheme", "dirichlet"), ("alpha", alpha), ("minimum", 8))
            label = f"dirichlet {alpha:g}"
            made += cells([LIKELIHOOD], noisy, every, Plan(), cutting=cutting, label=label, **rest)
        return made, "found"
    aware = tuple(GATE_AWARE)
    return cells([LIKELIHOOD, "median"], noisy, aware, Plan(), **rest), "found"


def speed() -> None:
    """Print what one round costs at several sizes."""
    rng = np.random.default_rng(0)
    for clinics in (20, 100, 1000):
        detector = KnownNoiseDetector(10)
        names = [f"clinic-{number}" for number in range(clinics)]
        taken = []
        for round_ in range(1, 11):
            uploads = 5.0 / np.sqrt(10) + 3.0 * rng.standard_normal((clinics, 10))
            clock = time.perf_counter()
            detector.update(round_, names, uploads, 27, 3.0)
            taken.append(time.perf_counter() - clock)
        median, last = 1e3 * float(np.median(taken)), 1e3 * taken[-1]
        print(f"{clinics:>5} clinics: round {median:7.1f} ms, the tenth {last:7.1f} ms")


TABLES = ("rules", "sleepers", "share", "auction", "counts", "clinics", "skew", "aware", "speed")


def main() -> None:
    """Run one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.table == "speed":
        speed()
        return
    seeds = tuple(range(arguments.first_seed, arguments.first_seed + arguments.seeds))
    chosen, third = table_of(arguments.table, seeds)
    run: Callable[[Cell], Result] = run_cell
    report(map_parallel(run, chosen, workers=arguments.workers), third)


if __name__ == "__main__":
    main()
