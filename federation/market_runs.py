"""The same market over many seeds: vectorised where the mechanism alone is run, else by messages.

The vectorised market and the one over Flower messages are equal to the last bit for one seed
(tests/scenarios/test_market_equivalence.py), so figures over seeds take seconds.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from federation.parallel import map_parallel
from federation.statistics import pick, summarise
from server.market_report import FIGURES, figures_of, market_entry
from strategies.market import simulate_market
from strategies.market.run import MarketRun
from strategies.market.simulate import Mode
from strategies.market.table import SHAPE
from strategies.market_settings import market_of
from strategies.settings import Settings

Entry = dict[str, Any]
Progress = Callable[[float], None]
MODES: Mapping[str, Mode] = {"none": "none", "unfiltered": "unfiltered", "reputation": "filtered"}
_PLAIN = {
    "market": "synthetic",
    "auction": "knapsack",
    "reserve": 0,
    "budget": 0,
    "top_k": 0,
    "types": "",
    "backend": "inprocess",
    "signatures": "auto",
}


def vectorisable(settings: Settings) -> bool:
    """Return whether the vectorised market knows these settings."""
    whole = settings.rounds % settings.episode_length == 0
    return whole and all(getattr(settings, name) == value for name, value in _PLAIN.items())


def entries_of(
    settings: Settings,
    seeds: Sequence[int],
    workers: int | None = None,
    progress: Progress | None = None,
    cell: Mapping[str, Any] | None = None,
) -> list[Entry]:
    """Return one run of result.json for each seed, without its rounds.

    Parameters
    ----------
    settings : Settings
        Of every run but for the seed.
    seeds : sequence of int
        One market each.
    workers : int, optional
        Processes where markets run over messages; all available cores when None.
    progress : callable, optional
        Called with the share done, in (0, 1].
    cell : mapping, optional
        What tells these runs apart from others.
    """
    if vectorisable(settings):
        run = simulate_market(market_of(settings), list(seeds), MODES[settings.selection])
        if progress:
            progress(1.0)
        return entries_of_run(run, settings, seeds, cell)
    tasks = [settings.changed(seed=seed) for seed in seeds]
    finals = map_parallel(run_final, tasks, workers, progress)
    return _entries(settings, seeds, finals, cell)


def entries_of_run(
    run: MarketRun,
    settings: Settings,
    seeds: Sequence[int],
    cell: Mapping[str, Any] | None = None,
) -> list[Entry]:
    """Return one run of result.json for each seed of a vectorised market."""
    return _entries(settings, seeds, figures_of(run), cell)


def _entries(
    settings: Settings,
    seeds: Sequence[int],
    finals: Sequence[dict[str, Any]],
    cell: Mapping[str, Any] | None,
) -> list[Entry]:
    shared = {
        "strategy": settings.strategy,
        "cell": {"market": settings.market, "attack": settings.attack} | dict(cell or {}),
        "clients": settings.clients,
        "users": settings.users,
    }
    return [
        {**shared, "seed": seed, "final": final} for seed, final in zip(seeds, finals, strict=True)
    ]


def run_final(settings: Settings) -> dict[str, Any]:
    """Run one market over messages and return its figures."""
    from federation.runner import run_market_one

    final: dict[str, Any] = market_entry(run_market_one(settings))["final"]
    return final


def summary_of_markets(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Summarise runs of the same strategy and cell over their seeds, each figure by itself."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run["strategy"], run["cell"]]), []).append(run)
    return [
        {"strategy": group[0]["strategy"], "cell": group[0]["cell"], "metric": name}
        | summarise(pick([run["final"] for run in group], name)).as_dict()
        for group in groups.values()
        for name in FIGURES
    ]


def shape_of(by_mode: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """Return the share of seeds for which each statement about figures 4 and 5 holds.

    Parameters
    ----------
    by_mode : mapping
        Final figures by selection ``none``, ``unfiltered`` and ``reputation``, the same seeds in
        the same order.
    """
    held = [
        _held(none, raw, filtered)
        for none, raw, filtered in zip(
            by_mode["none"], by_mode["unfiltered"], by_mode["reputation"], strict=True
        )
    ]
    columns = zip(*held, strict=True)
    return {name: sum(column) / len(held) for name, column in zip(SHAPE, columns, strict=True)}


def _held(
    none: Mapping[str, float], raw: Mapping[str, float], filtered: Mapping[str, float]
) -> tuple[bool, ...]:
    first, second, third = (filtered[f"share_type{kind}"] for kind in (1, 2, 3))
    return (
        first > max(second, third),
        third >= second + 0.10,
        none["welfare"] > filtered["welfare"] > raw["welfare"],
        none["attack_rate"] > 2 * max(raw["attack_rate"], filtered["attack_rate"]),
        filtered["adjusted_welfare"] > none["adjusted_welfare"],
    )
