"""Figures 4 and 5 of the market paper, over many seeds, for the calibrations A and B.

Ismail et al., "Enhancing Trust and Security in the Vehicular Metaverse", section IV-B;
docs/market.md says what of them reproduces.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from federation.market_figures import draw_fig4, draw_fig5
from federation.market_runs import Entry, Progress, entries_of, shape_of, summary_of_markets
from server.market_report import MONEY
from server.report import versions
from strategies.market_presets import MARKET_STRATEGIES, compose_market
from strategies.settings import Settings

FIGURES = ("market-fig4", "market-fig5")
COMPARED = ("no-reputation", "reputation-unfiltered", "reputation")
SETS = {"A": "market-a", "B": "market-b"}
BASE = COMPARED[0]


def market_figure(
    what: str,
    overrides: Mapping[str, Any],
    preset: str | None,
    seeds: Sequence[int],
    out: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure figure 4 or 5 and draw it.

    Parameters
    ----------
    what : str
        ``market-fig4`` or ``market-fig5``.
    overrides : mapping
        Settings the user named.
    preset : str, optional
        One calibration; both when None.
    seeds : sequence of int
        One market of every cell for each.
    out : Path
        Existing directory that the PNG is written to.
    workers : int, optional
        Processes.
    progress : callable, optional
        Called with the share of cells done, in (0, 1].

    Returns
    -------
    dict
        settings, versions, seeds, runs, summary (mean, std, 95 % interval, n of every figure by
        strategy and set, and its ratio to no reputation for money), shape (share of seeds for
        which each statement of the paper holds, by set) and figures (paths written).
    """
    cells = figure_cells(overrides, preset)
    runs: list[Entry] = []
    for number, (cell, settings) in enumerate(cells):
        runs += entries_of(settings, seeds, workers, _part(progress, number, len(cells)), cell)
    add_ratios(runs)
    result = {
        "what": what,
        "settings": cells[0][1].as_dict(),
        "versions": versions(),
        "seeds": list(seeds),
        "floors": {},
        "baselines": {},
        "runs": runs,
        "summary": summary_of_markets(runs) + _ratio_rows(runs),
        "shape": {name: shape_of(by_selection(runs, name)) for name in _sets(preset)},
    }
    draw = draw_fig4 if what == "market-fig4" else draw_fig5
    result["figures"] = [str(draw(result, out / f"{what}.png"))]
    return result


def figure_cells(
    overrides: Mapping[str, Any], preset: str | None
) -> list[tuple[dict[str, Any], Settings]]:
    """Return the cells of a figure: every set and strategy with its settings, all checked.

    Raises
    ------
    SettingsError
        When a named setting does not go with the market or the figure.
    """
    named = {key: value for key, value in overrides.items() if key not in ("dataset", "selection")}
    return [
        ({"set": name}, compose_market(strategy, named, SETS[name]))
        for name in _sets(preset)
        for strategy in COMPARED
    ]


def add_ratios(runs: Sequence[Entry]) -> None:
    """Add to every run its money figures as ratios to no reputation in the same world."""
    base = {(_world(run), run["seed"]): run["final"] for run in runs if run["strategy"] == BASE}
    for run in runs:
        own, other = run["final"], base.get((_world(run), run["seed"]))
        if other is not None:
            run["ratio"] = {name: own[name] / other[name] for name in MONEY if other[name]}


def by_selection(
    runs: Sequence[Mapping[str, Any]], name: str
) -> dict[str, list[Mapping[str, float]]]:
    """Return the final figures of one set by ``--selection``, seeds in order."""
    return {
        str(MARKET_STRATEGIES[strategy][1]["selection"]): [
            run["final"]
            for run in runs
            if run["strategy"] == strategy and run["cell"]["set"] == name
        ]
        for strategy in COMPARED
    }


def _ratio_rows(runs: Sequence[Entry]) -> list[dict[str, Any]]:
    ratios = [{**run, "final": run["ratio"]} for run in runs if "ratio" in run]
    rows = summary_of_markets(ratios)
    kept = [row for row in rows if row["metric"] in MONEY]
    return [{**row, "metric": f"{row['metric']}_ratio"} for row in kept]


def _world(run: Mapping[str, Any]) -> str:
    return repr(sorted(run["cell"].items()))


def _sets(preset: str | None) -> list[str]:
    return [name for name, listed in SETS.items() if preset in (None, listed)]


def _part(progress: Progress | None, number: int, total: int) -> Progress | None:
    if progress is None:
        return None
    report = progress
    return lambda share: report((number + share) / total)
