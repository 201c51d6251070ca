"""The grid of a comparison: strategies x attacks x swept settings x seeds, paired by seed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from federation.flags import UsageError, convert
from federation.results import summary_of_runs
from federation.statistics import paired_difference, pick
from strategies.presets import compose
from strategies.settings import Settings, SettingsError, nearest

FIXED = frozenset({"strategy", "seed", "backend", "dataset", "ledger"})
MAX_RUNS = 1_000_000
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One run of the grid: settings, and the swept values that tell it apart."""

    settings: Settings
    swept: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        """Return what to call the cell in a message."""
        return named(self.settings.strategy, self.swept)


def named(strategy: str, swept: Sequence[tuple[str, Any]]) -> str:
    """Return what to call a strategy under swept values."""
    shown = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
             for name, value in swept]  # fmt: skip
    return ", ".join([strategy, *shown])


def parse_names(flag: str, text: str) -> list[str]:
    """Return the names of a list with commas.

    Raises
    ------
    UsageError
        For an empty list or a name given twice.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise UsageError(f"{flag} {text!r}: name each once, with commas")
    return names


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


def with_attacks(sweeps: Mapping[str, list[Any]], text: str | None) -> dict[str, list[Any]]:
    """Return the sweeps with the attacks of ``--attacks`` before them.

    Raises
    ------
    UsageError
        When the attack is swept twice.
    """
    if text is None:
        return dict(sweeps)
    if "attack" in sweeps:
        raise UsageError("--attacks and --sweep attack=... say the same: give one of them")
    return {"attack": parse_names("--attacks", text), **sweeps}


def build_grid(
    strategies: Sequence[str],
    sweeps: Mapping[str, Sequence[Any]],
    seeds: Sequence[int],
    overrides: Mapping[str, Any],
    preset: str | None,
) -> list[Cell]:
    """Return every run of the grid, checked before the first one starts.

    Raises
    ------
    SettingsError
        When a strategy refuses a combination; the line names the cell.
    UsageError
        When a swept setting is fixed by a flag as well, or the grid is too large.
    """
    for name in sweeps:
        if name in overrides and len(sweeps[name]) > 1:
            raise UsageError(f"--{name.replace('_', '-')} is swept and fixed: leave out one")
    combinations = list(product(*sweeps.values()))
    if len(strategies) * len(combinations) * len(seeds) > MAX_RUNS:
        raise UsageError(f"a grid of more than {MAX_RUNS:,} runs: sweep less, or fewer --seeds")
    cells = []
    for strategy in strategies:
        for values in combinations:
            swept = tuple(zip(sweeps, values, strict=True))
            settings = _composed(strategy, swept, {**overrides, "seed": seeds[0]}, preset)
            cells += [Cell(settings.changed(seed=seed), swept) for seed in seeds]
    return cells


def _composed(
    strategy: str,
    swept: tuple[tuple[str, Any], ...],
    overrides: Mapping[str, Any],
    preset: str | None,
) -> Settings:
    try:
        return compose(strategy, {**overrides, **dict(swept)}, preset)
    except SettingsError as fault:
        if not swept or "unknown strategy" in str(fault):
            raise
        raise SettingsError(f"cell {named(strategy, swept)}: {fault}") from fault


def summarise_grid(
    runs: Sequence[Entry], first: str, rows: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Summarise runs by cell, with paired differences to the first strategy.

    Parameters
    ----------
    runs : sequence of mapping
        Entries of result.json.
    first : str
        The strategy that the others are held against, seed by seed and cell by cell.
    rows : list of dict, optional
        Means by cell; :func:`federation.results.summary_of_runs` of a diagnosis model when None.

    Returns
    -------
    list of dict
        The means, then ``METRIC_minus_first`` of every metric but the time.
    """
    found = summary_of_runs(runs) if rows is None else list(rows)
    metrics = list(dict.fromkeys(row["metric"] for row in found if row["metric"] != "seconds"))
    base = {(_swept(run), run["seed"]): run for run in runs if run["strategy"] == first}
    groups: dict[tuple[str, str], list[tuple[Entry, Entry]]] = {}
    for run in runs:
        other = base.get((_swept(run), run["seed"]))
        if run["strategy"] != first and other is not None:
            groups.setdefault((run["strategy"], _swept(run)), []).append((run, other))
    for (strategy, _), pairs in groups.items():
        for metric in metrics:
            own = pick([_final(run) for run, _ in pairs], metric)
            others = pick([_final(run) for _, run in pairs], metric)
            found.append(
                {
                    "strategy": strategy,
                    "cell": pairs[0][0]["cell"],
                    "metric": f"{metric}_minus_first",
                    **paired_difference(own, others).as_dict(),
                }
            )
    return found


def _final(run: Entry) -> dict[str, float]:
    return {k: v for k, v in run["final"].items() if isinstance(v, int | float)}


def _swept(run: Entry) -> str:
    # A strategy without noise has epsilon None in its cell: pair on what was asked for.
    return json.dumps(sorted(run.get("swept", {}).items()))
