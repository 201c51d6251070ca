"""The pictures of a page: accuracy over epsilon and rounds, reputations over rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from federation.details import HONEST
from federation.report.charts import Chart, Line, draw
from federation.report.grid import Grid, Swept, swept_of, title_of
from federation.report.numbers import Interval
from federation.report.sections import traced
from federation.statistics import summarise

MOST = 12
"""Pictures of one kind; a page stays below 2 MB and is read by people."""
_KINDS = {HONEST: 0, "type 1": 0, "attacker": 11, "type 2": 11, "type 3": 8}
"""Palette by kind: the honest solid blue, attackers dashed red or orange."""


@dataclass(frozen=True)
class Picture:
    """A drawn picture and what stands below it."""

    title: str
    svg: str
    caption: str


def privacy_curves(grid: Grid) -> list[Picture]:
    """Return accuracy over epsilon, one picture for each combination of what else was swept."""
    if grid.is_market or len(grid.values("epsilon")) < 2:  # noqa: PLR2004 - a curve
        return []
    measure = grid.measures[0]
    found = []
    for number, rest in enumerate(grid.without("epsilon")[:MOST]):
        lines = [
            line
            for style, strategy in enumerate(grid.strategies)
            if (line := _over_epsilon(grid, strategy, rest, style)) is not None
        ]
        title = title_of(rest) or "all strategies"
        chart = Chart(
            f"eps{number}",
            f"held-out accuracy over nominal epsilon, {title}: {_words(lines)}",
            "nominal \u03b5 (logarithmic; without unit)",
            f"held-out {measure.heading.replace(', ', ' (')})",
            lines,
            _marks(grid),
            log=True,
            limits=_limits(lines),
            points=True,
        )
        caption = (
            f"Mean and 95 % interval of the mean over {grid.seeds} paired seeds. A strategy "
            "without noise is level: nothing of it depends on \u03b5."
        )
        found.append(Picture(title, draw(chart), caption))
    return found


def _over_epsilon(grid: Grid, strategy: str, rest: Swept, style: int) -> Line | None:
    points: list[tuple[float, Interval]] = []
    for epsilon in grid.values("epsilon"):
        swept = grid.joined(rest, epsilon=epsilon)
        value = None if swept is None else grid.interval(strategy, swept, grid.measures[0])
        if value is not None and value.mean.value is not None:
            points.append((float(epsilon), value))
    if not points:
        return None
    points.sort(key=lambda point: point[0])
    low, high = _band([value for _, value in points])
    y = [100 * float(value.mean.value or 0.0) for _, value in points]
    return Line(strategy, [x for x, _ in points], y, low, high, style)


def _band(values: Sequence[Interval]) -> tuple[list[float], list[float]]:
    if not all(value.known for value in values):
        return [], []
    low = [100 * float(value.low.value or 0.0) for value in values]
    high = [100 * float(value.high.value or 0.0) for value in values]
    return low, high


def learning_curves(grid: Grid) -> list[Picture]:
    """Return accuracy over the rounds, mean over seeds, of the first combination."""
    if grid.is_market:
        return []
    swept = grid.combinations[0]
    lines = []
    for style, strategy in enumerate(grid.strategies):
        curves = [_accuracies(grid.result["runs"][n]) for n in grid.runs(strategy, swept)]
        length = min((len(curve) for curve in curves), default=0)
        if not length:
            continue
        points = [summarise([curve[r] for curve in curves]) for r in range(length)]
        known = len(curves) > 1
        lines.append(
            Line(
                strategy,
                list(range(length)),
                [100 * point.mean for point in points],
                [100 * max(point.ci95_low, 0.0) for point in points] if known else (),
                [100 * min(point.ci95_high, 1.0) for point in points] if known else (),
                style,
            )
        )
    if not lines:
        return []
    count = len(grid.runs(grid.strategies[0], swept))
    title = title_of(swept) or "each round"
    chart = Chart(
        "rounds",
        f"held-out accuracy over the rounds, {title}: {_words(lines)}",
        "round",
        "held-out accuracy (%)",
        lines,
        _marks(grid),
        limits=_limits(lines),
    )
    bands = f"Mean over {count} seeds; bands: 95 % interval of the mean." if count > 1 else ""
    caption = bands or f"One run, seed {grid.result['runs'][0]['seed']}: no interval."
    return [Picture(title, draw(chart), caption)]


def _accuracies(run: Mapping[str, Any]) -> list[float]:
    return [float(row["accuracy"]) for row in run.get("rounds") or [] if "accuracy" in row]


def reputations(grid: Grid) -> list[Picture]:
    """Return reputations over the rounds of every traced run, attackers marked."""
    found: list[Picture] = []
    limits = _reputation_limits(grid)
    for title, place in traced(grid):
        trace = grid.result["runs"][place]["trace"]
        if not trace["reputations"] or len(found) >= MOST:
            continue
        lines: list[Line] = []
        seen: set[str] = set()
        for name, curve in trace["reputations"].items():
            kind = trace["kinds"].get(name, HONEST)
            count = sum(trace["kinds"].get(n, HONEST) == kind for n in trace["reputations"])
            attacks = name in trace["attackers"]
            label = f"{kind}{', attacks' if attacks and kind != 'attacker' else ''} ({count})"
            lines.append(
                Line("" if kind in seen else label, trace["rounds"], curve,
                     style=_KINDS.get(kind, 0), thin=True)
            )  # fmt: skip
            seen.add(kind)
        marks = _threshold(grid, place)
        chart = Chart(
            f"rep{place}",
            f"reputation of {len(lines)} participants over the rounds, {title}; attackers: "
            f"{', '.join(trace['attackers']) or 'none'}",
            "round",
            "reputation R (0 to 1)",
            lines,
            marks,
            limits=limits,
        )
        caption = (
            "One line a participant, of one seed: no interval. Solid blue: honest; dashed: "
            "attackers, which only the experimenter knows."
        )
        found.append(Picture(title, draw(chart), caption))
    return found


def _reputation_limits(grid: Grid) -> tuple[float, float]:
    """Return one range for all pictures, so that they can be held beside each other."""
    values = [
        value
        for _, place in traced(grid)
        for curve in grid.result["runs"][place]["trace"]["reputations"].values()
        for value in curve
        if value is not None
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    return max(floor(10 * low - 0.5) / 10, -0.02), min(ceil(10 * high + 0.5) / 10, 1.02)


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """Return a range that shows every mean, and of the intervals what is a percentage."""
    lowest = min(y for line in lines for y in (*line.y, *line.low) if y is not None)
    return max(10 * floor(min(lowest, 60.0) / 10), 0) - 2.0, 102.0


def _threshold(grid: Grid, place: int) -> dict[str, float]:
    run = grid.result["runs"][place]
    settings = (grid.block(run["strategy"], swept_of(run)) or grid.result)["settings"]
    theta, chosen = float(settings["theta"]), settings.get("selection", "none") != "none"
    if grid.is_market:
        chosen = run["strategy"] != "no-reputation"
    return {} if not chosen else {f"trusted from \u03b8 = {theta:g}": theta}


def _marks(grid: Grid) -> dict[str, float]:
    floors = grid.result.get("floors", {})
    return {"majority class": 100 * floors["majority"]} if "majority" in floors else {}


def _words(lines: Sequence[Line]) -> str:
    ends = [f"{line.label} ends at {line.y[-1]:.1f} %" for line in lines if line.y]
    return "; ".join(ends)
