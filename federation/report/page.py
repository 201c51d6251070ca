"""The page itself: result.json in, one HTML file out, nothing fetched and nothing run in it."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.errors import DataError
from datasets.files import read_text
from federation.console import data_title
from federation.console import who as who_trains
from federation.flags import UsageError
from federation.report.grid import Grid, Result, grid_of, title_of
from federation.report.numbers import Interval, Number, number
from federation.report.pictures import MOST, learning_curves, privacy_curves, reputations
from federation.report.sections import (
    boards,
    certified,
    drawn_anew,
    heat_maps,
    proven_epsilon,
    sales,
    settings_of,
    traced,
    warnings_of,
)
from federation.results import write_text
from federation.titles import strategy_title

PAGE = "report.html"
MAX_RESULT_BYTES = 1 << 30
MAX_PAGE_BYTES = 2_000_000
_UNREADABLE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Line:
    """One sentence of the summary, with a value in it."""

    before: str
    value: Interval | None = None
    after: str = ""
    number: Number | None = None


def report(options: argparse.Namespace) -> int:
    """Write the page of a directory that ``simulate`` or ``compare`` left behind."""
    out = Path(options.directory)
    with _readable(out):
        page = page_of(read_result(out))
    write_text(out / PAGE, page)
    sys.stdout.write(f"report: {out / PAGE}\n")
    return 0


def read_result(out: Path) -> dict[str, Any]:
    """Return the result.json of a directory.

    Raises
    ------
    UsageError
        When there is none, or none that a page can be made of.
    """
    path = out / "result.json"
    if not path.is_file():
        where = "no result.json there" if out.is_dir() else "no such directory"
        raise UsageError(f"report {out}: {where}; name the --out of a simulate or compare")
    with _readable(out):
        found = json.loads(read_text(path, MAX_RESULT_BYTES))
        grid_of(found)
    if not found["runs"]:
        raise UsageError(f"report {out}: its result.json has no finished run")
    return dict(found)


@contextmanager
def _readable(out: Path) -> Iterator[None]:
    """Turn whatever is missing in a result.json into one line: it comes from the user."""
    try:
        yield
    except UsageError:
        raise
    except DataError as fault:
        raise UsageError(f"report {fault}; name the --out of simulate or compare") from fault
    except _UNREADABLE as fault:
        raise UsageError(
            f"report {out}: its result.json is none of simulate or compare "
            f"({type(fault).__name__}); name the --out of one"
        ) from fault


def write_report(out: Path, result: Result) -> Path:
    """Write ``report.html`` beside a result.json."""
    write_text(out / PAGE, page_of(result))
    return out / PAGE


def page_of(result: Result) -> str:
    """Return the page of a result.

    Parameters
    ----------
    result : mapping
        result.json of ``simulate`` or ``compare``.

    Returns
    -------
    str
        HTML; the same bytes for the same result.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html").render(_view(grid_of(result)))
    return "\n".join(line for line in page.splitlines() if line.strip()) + "\n"


def _view(grid: Grid) -> dict[str, Any]:
    result = grid.result
    shared, names, differing = settings_of(grid)
    private = [] if grid.is_market else certified(grid)
    rounds = traced(grid)
    return {
        "title": _title(grid),
        "subtitle": _subtitle(grid),
        "style": (_HERE / "page.css").read_text(encoding="utf-8"),
        "glance": _glance(grid),
        "failed": result.get("failed", []),
        "market": grid.is_market,
        "measures": grid.measures,
        "strategies": grid.strategies,
        "seeds": grid.seeds,
        "boards": boards(grid),
        "heats": heat_maps(grid),
        "curves": privacy_curves(grid),
        "learning": learning_curves(grid),
        "private": private,
        "unit": private[0]["unit"] if private else "",
        "warnings": warnings_of(grid),
        "anew": drawn_anew(grid),
        "reputations": reputations(grid),
        "unshown": max(len(rounds) - MOST, 0),
        "sales": sales(grid),
        "command": result.get("command", "not known: made by an earlier version"),
        "versions": list(result["versions"].items()),
        "differing_names": names,
        "differing": differing,
        "shared": shared,
    }


def _title(grid: Grid) -> str:
    settings = grid.result["settings"]
    data = Path(settings["data"]).stem if settings["data"] else data_title(settings)
    if "cells" not in grid.result:
        return f"{strategy_title(settings)} on {data}"
    if len(grid.strategies) == 1:
        return f"{grid.strategies[0]} on {data}"
    return f"{len(grid.strategies)} strategies on {data}"


def _subtitle(grid: Grid) -> str:
    first = grid.result["runs"][0]
    who = f"{first['clients']} {who_trains(grid.result['settings'])}"
    who += f" and {first['users']} users" if grid.is_market else ""
    parts = [who, _count(len(grid.result["runs"]), "run"), _count(grid.seeds, "seed")]
    if len(grid.combinations) > 1:
        parts.append(f"{len(grid.combinations)} combinations of attacks and settings")
    elif (attack := first["cell"].get("attack", "none")) != "none":
        hostile = (first.get("attack") or {}).get("attackers")
        who = f"{len(hostile)} of {first['clients']} attack" if hostile else "attacked"
        parts.append(f"{who} ({attack})")
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _glance(grid: Grid) -> list[Line]:
    lines = _best(grid)
    if len(grid.values("attack")) > 1:
        lines.append(_toughest(grid))
    floors: Mapping[str, Any] = grid.result.get("floors", {})
    said = {
        "majority": ("The floor: calling every record by the commonest class is right in", "%."),
        "nearest_rule": ("Without training, the nearest published medians are right in", "%."),
        "mean_rule": (
            "Without training, 'mean attribute at least 3' is right in",
            "%; its threshold was chosen with sight of the data.",
        ),
    }
    for name, (before, after) in said.items():
        if name in floors:
            value = number(grid.result, ("floors", name), 100.0, 1)
            lines.append(Line(before, None, f" {after}", value))
    return lines


def _ranked(grid: Grid, values: Mapping[str, Interval]) -> str:
    sign = 1 if grid.measures[0].high else -1

    def height(name: str) -> float:
        mean = values[name].mean.value
        return float("-inf") if mean is None else sign * mean

    return max(values, key=height)


def _best(grid: Grid) -> list[Line]:
    """Return the best of all and, where that is one without noise, the best with noise."""
    measure, swept = grid.measures[0], grid.combinations[0]
    values = {s: v for s in grid.strategies if (v := grid.interval(s, swept, measure)) is not None}
    best = _ranked(grid, values)
    value, where = values[best], title_of(swept)
    known = ", 95 % interval in brackets" if value.known else ", one seed: no interval"
    if len(values) == 1:
        return [Line(f"{best}: {measure.label}", value, f" {measure.unit}{known}.")]
    alike = sum(other.mean.value == value.mean.value for other in values.values()) - 1
    name = f"{best} and {alike} more alike" if alike else best
    before = f"Best{f' with {where}' if where else ''}: {name}, {measure.label}"
    lines = [Line(before, value, f" {measure.unit}{known}{_within(value, values)}.")]
    noised = {s: v for s, v in values.items() if proven_epsilon(grid, s, swept) is not None}
    if noised and best not in noised:
        first = _ranked(grid, noised)
        words = f"Best of those with noise (the one above has none): {first}, {measure.label}"
        lines.append(Line(words, noised[first], f" {measure.unit}."))
    return lines


def _within(best: Interval, values: Mapping[str, Interval]) -> str:
    """Return how many other means lie in the best one's interval: a rank is not a difference."""
    low, high = best.low.value, best.high.value
    if low is None or high is None:
        return ""
    means = [other.mean.value for other in values.values() if other is not best]
    inside = sum(mean is not None and low <= mean <= high for mean in means)
    if inside == len(means):
        return f"; all {len(means)} others lie within it" if inside > 1 else "; the other one too"
    return f"; {inside or 'none'} of the other {len(means)} within it"


def _toughest(grid: Grid) -> Line:
    """Return the strategy whose worst attack costs it least, over all combinations."""
    measure = grid.measures[0]
    sign = 1 if measure.high else -1
    worst: dict[str, tuple[Interval, str]] = {}
    for strategy in grid.strategies:
        found = [
            (value, title_of(swept))
            for swept in grid.combinations
            if (value := grid.interval(strategy, swept, measure)) is not None
            and value.mean.value is not None
        ]
        worst[strategy] = min(found, key=lambda pair: sign * float(pair[0].mean.value or 0.0))
    best = _ranked(grid, {name: value for name, (value, _) in worst.items()})
    value, where = worst[best]
    return Line(
        f"Toughest: {best}{_silent(grid, best)}, in its worst case ({where}) {measure.label}",
        value,
        f" {measure.unit}.",
    )


def _silent(grid: Grid, strategy: str) -> str:
    """Return that a strategy adds no noise, where others of the comparison do."""
    noised = {
        name
        for name in grid.strategies
        for swept in grid.combinations
        if proven_epsilon(grid, name, swept) is not None
    }
    return " (without noise)" if noised and strategy not in noised else ""
