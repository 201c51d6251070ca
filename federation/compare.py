"""The grid of a comparison: strategies x swept settings x seeds, on all cores, paired by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from federation.flags import UsageError, convert
from federation.results import summary_of_runs
from federation.runner import run_one
from federation.statistics import paired_difference
from server.report import run_entry
from strategies.presets import compose
from strategies.settings import Settings, SettingsError, nearest

FIXED = frozenset({"strategy", "seed", "backend"})


@dataclass(frozen=True)
class Cell:
    """One run of the grid: settings, and the swept values that tell it apart."""

    settings: Settings
    swept: tuple[tuple[str, Any], ...]


def parse_sweeps(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return ``{setting: values}`` from ``name=v1,v2`` texts.

    Raises
    ------
    UsageError, SettingsError
        For a text of another form, an unknown name (with the nearest) or a bad value.
    """
    known = {item.name for item in fields(Settings)} - FIXED
    sweeps: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not equals or not values.strip():
            raise UsageError(f"--sweep {text}: write name=value,value, as in epsilon=1,5,20")
        if name not in known:
            raise SettingsError(f"--sweep {text}: unknown setting {name!r}{nearest(name, known)}")
        found = [convert(name, part.strip()) for part in values.split(",") if part.strip()]
        if name in sweeps or not found or len(set(found)) != len(found):
            raise UsageError(f"--sweep {text}: name each setting once, and each value once")
        sweeps[name] = found
    return sweeps


def attack_sweep(attacks: str | None) -> list[str]:
    """Return ``--attacks a,b`` as the sweep it is short for."""
    return [] if attacks is None else [f"attack={attacks}"]


def build_grid(
    strategies: Sequence[str],
    sweeps: Mapping[str, Sequence[Any]],
    seeds: Sequence[int],
    overrides: Mapping[str, Any],
    preset: str | None,
) -> list[Cell]:
    """Return every run of the grid, checked before the first one starts."""
    cells = []
    for strategy in strategies:
        for values in product(*sweeps.values()):
            swept = tuple(zip(sweeps, values, strict=True))
            for seed in seeds:
                settings = compose(strategy, {**overrides, **dict(swept), "seed": seed}, preset)
                cells.append(Cell(settings, swept))
    return cells


def run_cell(cell: Cell) -> dict[str, Any]:
    """Run one cell and return its entry in result.json."""
    entry = run_entry(run_one(cell.settings))
    return entry | {"cell": entry["cell"] | dict(cell.swept), "swept": dict(cell.swept)}


def summarise_grid(runs: Sequence[Mapping[str, Any]], first: str) -> list[dict[str, Any]]:
    """Summarise runs by cell, with the paired difference in accuracy to the first strategy."""
    rows = summary_of_runs(runs)
    accuracy: dict[tuple[str, str, int], float] = {
        (run["strategy"], _swept(run), run["seed"]): run["final"]["accuracy"] for run in runs
    }
    differences: dict[tuple[str, str], list[tuple[float, float]]] = {}
    cells: dict[tuple[str, str], Mapping[str, Any]] = {}
    for run in runs:
        key = (run["strategy"], _swept(run))
        cells[key] = run["cell"]
        other = accuracy.get((first, key[1], run["seed"]))
        if run["strategy"] != first and other is not None:
            differences.setdefault(key, []).append((run["final"]["accuracy"], other))
    for (strategy, swept), pairs in differences.items():
        own, base = zip(*pairs, strict=True)
        rows.append(
            {
                "strategy": strategy,
                "cell": cells[strategy, swept],
                "metric": "accuracy_minus_first",
                **paired_difference(own, base).as_dict(),
            }
        )
    return rows


def _swept(run: Mapping[str, Any]) -> str:
    # A strategy without noise has epsilon None in its cell: pair on what was asked for.
    return repr(sorted(run.get("swept", {}).items()))
