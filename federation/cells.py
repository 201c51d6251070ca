"""What a worker does for a comparison: run cells, and the baselines beside them.

Functions of this module are called in other processes: arguments and results are plain values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any

from federation.compare import Cell
from federation.details import Detail, details_of, details_of_market, trace_of
from federation.market_runs import MODES, entries_of_run, vectorisable
from federation.outputs import now
from federation.repeat import baseline_settings, metrics_in
from server.errors import RunFailed
from strategies.settings import Settings

AT_ONCE = 16
"""Seeds of one vectorised market: enough to be fast, few enough to lose little when killed."""


@dataclass(frozen=True)
class Task:
    """What a worker gets: cells that differ only in their seed, or baselines.

    Parameters
    ----------
    cells : tuple of Cell
        To run together.
    traced : bool
        Whether the first of them keeps what its layers did, round by round.
    baseline : Settings, optional
        Measure the baselines of these settings instead.
    """

    cells: tuple[Cell, ...] = ()
    traced: bool = False
    baseline: Settings | None = None


@dataclass(frozen=True)
class Done:
    """What a worker gives back for one cell: its entry, or why the run failed."""

    cell: Cell
    entry: dict[str, Any]
    details: Sequence[Detail]
    started: str
    seconds: float
    failure: str = ""


@dataclass(frozen=True)
class BaselineDone:
    """Metrics of the two baselines on one split."""

    settings: Settings
    metrics: dict[str, dict[str, Any]]


def work(task: Task) -> list[Done] | BaselineDone:
    """Do one task."""
    if task.baseline is not None:
        return BaselineDone(task.baseline, baselines(task.baseline))
    if vectorised(task.cells[0].settings):
        return _markets(task)
    return [_timed(task.cells[0], task.traced)]


def vectorised(settings: Settings) -> bool:
    """Return whether cells that differ in their seed are run together."""
    return settings.is_market and vectorisable(settings)


def run_cell(cell: Cell, traced: bool = False) -> tuple[dict[str, Any], list[Detail]]:
    """Run one cell over messages; return its entry in result.json and its details."""
    from federation.runner import run_market_one, run_one
    from server.market_report import market_entry
    from server.report import run_entry

    if cell.settings.is_market:
        market = run_market_one(cell.settings)
        entry, records = market_entry(market), market.rounds
    else:
        run = run_one(cell.settings)
        entry, records = run_entry(run), run.rounds
    swept = dict(cell.swept)
    entry = entry | {"cell": entry["cell"] | swept, "swept": swept}
    details = details_of(records)
    if traced and details:
        entry["trace"] = trace_of(details, entry)
    return entry, details


def baselines(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return ``{baseline: metrics}`` of one seed."""
    from federation.baselines import centralised_svm
    from federation.vectorised import cohort, federate

    clinics = cohort(settings, settings.seed)
    found = {
        "centralised_svm": centralised_svm(clinics, settings.l2),
        "federated_nonprivate": federate(clinics, settings, None).diagnoses[0],
    }
    return {
        name: {metric: judged[metric] for metric in metrics_in(judged)}
        for name, judged in ((name, model.as_dict()) for name, model in found.items())
    }


@lru_cache(maxsize=4096)
def baseline_of(settings: Settings) -> Settings | None:
    """Return the settings that the baselines of a run are measured under; None for a market."""
    return None if settings.is_market else baseline_settings(settings)


def _timed(cell: Cell, traced: bool) -> Done:
    started, clock = now(), perf_counter()
    try:
        entry, details = run_cell(cell, traced)
    except RunFailed as fault:
        settings = cell.settings
        entry = {"strategy": settings.strategy, "cell": dict(cell.swept), "seed": settings.seed}
        return Done(cell, entry, (), started, perf_counter() - clock, str(fault))
    return Done(cell, entry, details, started, perf_counter() - clock)


def _markets(task: Task) -> list[Done]:
    from strategies.market import simulate_market
    from strategies.market_settings import market_of

    started, clock = now(), perf_counter()
    settings, seeds = task.cells[0].settings, [cell.settings.seed for cell in task.cells]
    run = simulate_market(market_of(settings), seeds, MODES[settings.selection])
    swept = dict(task.cells[0].swept)
    entries = [entry | {"swept": swept} for entry in entries_of_run(run, settings, seeds, swept)]
    details: list[Detail] = details_of_market(run) if task.traced else []
    if task.traced:
        entries[0]["market"] = {"devices": _devices(run.types[0].tolist())}
        entries[0]["trace"] = trace_of(details, entries[0])
    each = (perf_counter() - clock) / len(seeds)
    return [
        Done(cell, entry, () if place else details, started, each)
        for place, (cell, entry) in enumerate(zip(task.cells, entries, strict=True))
    ]


def _devices(types: Sequence[int]) -> dict[str, list[str]]:
    return {
        f"type{kind}": [str(n) for n, own in enumerate(types) if own == kind] for kind in (1, 2, 3)
    }
