"""The tables of a page: leaderboard, robustness, privacy, sales, settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.report.grid import Grid, Swept, title_of
from federation.report.numbers import NONE, Interval, Measure, Number, interval, number
from strategies.privacy.report_warnings import SEEDED

MOST_WARNINGS = 6
BASELINES = {
    "federated_nonprivate": "no noise, no attack, steps of {first} (baseline)",
    "centralised_svm": "centralised linear SVM (baseline)",
}
FLOORS = {
    "majority": "majority class (floor)",
    "nearest_rule": "nearest published medians, untrained (floor)",
    "mean_rule": "mean attribute \u2265 3, untrained (floor)",
}


@dataclass(frozen=True)
class Row:
    """One line of a leaderboard; ``kind`` is strategy, baseline or floor."""

    name: str
    kind: str
    values: Sequence[Interval | Number | None]
    difference: Interval | None = None
    bar: "Bar | None" = None
    epsilon: Number | None = None


@dataclass(frozen=True)
class Bar:
    """Where mean and interval lie, percent of the width."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True)
class Board:
    """A leaderboard of one combination."""

    title: str
    rows: Sequence[Row]
    low: str
    high: str


@dataclass(frozen=True)
class Heat:
    """A value of a heat map and its share of the colour scale, 0 to 1."""

    value: Interval
    share: float


@dataclass(frozen=True)
class HeatMap:
    """Strategies x attacks."""

    title: str
    measure: Measure
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Heat | None]]]


def boards(grid: Grid) -> list[Board]:
    """Return a leaderboard for each combination, best first."""
    return [_board(grid, swept) for swept in grid.combinations]


def _board(grid: Grid, swept: Swept) -> Board:
    first, sign = grid.measures[0], 1 if grid.measures[0].high else -1
    found = []
    for name in grid.strategies:
        values = [grid.interval(name, swept, measure) for measure in grid.measures]
        if values[0] is not None:
            difference = grid.interval(name, swept, first, "_minus_first")
            epsilon = proven_epsilon(grid, name, swept)
            found.append(Row(name, "strategy", values, difference, None, epsilon))
    found.sort(key=lambda row: -sign * _mean(row.values[0]))
    rows = [*found, *_references(grid, swept)]
    low, high = _range(rows, grid.measures[0])
    placed = [_with_bar(row, low, high) for row in rows]
    ends = [f"{first.scale * end:.{first.digits}f}" for end in (low, high)]
    ends = ends if ends[0] != ends[1] else ["", ""]
    return Board(title_of(swept), placed, *ends)


def _references(grid: Grid, swept: Swept) -> list[Row]:
    """Return baselines and floors of the combination, as the first strategy's cell has them."""
    strategy = next((s for s in grid.strategies if (s, swept) in grid.blocks), None)
    if strategy is None or grid.is_market:
        return []
    path = grid.blocks[strategy, swept]
    block = grid.block(strategy, swept) or {}
    rows = [
        Row(
            text.format(first=strategy),
            "baseline",
            [
                interval(grid.result, (*path, "baselines", name, "summary", m.name), m)
                for m in grid.measures
            ],
        )
        for name, text in BASELINES.items()
        if name in block.get("baselines", {})
    ]
    for name, text in FLOORS.items():
        if name in block.get("floors", {}):
            value = number(grid.result, (*path, "floors", name), 100.0, 1)
            rows.append(Row(text, "floor", [value, *[None] * (len(grid.measures) - 1)]))
    return rows


def proven_epsilon(grid: Grid, strategy: str, swept: Swept) -> Number | None:
    """Return the epsilon of the first seed's run that is proven against a curious server."""
    for place in grid.runs(strategy, swept)[:1]:
        if _table(grid, place):
            path = ("runs", place, "privacy", "certified_epsilon", "server", "proven")
            found = number(grid.result, path, 1.0, 1)
            text = "unbounded" if found.value is None else f"{found.value:.3g}"
            return Number(found.pointer, found.value, text)
    return None


def _mean(value: Interval | Number | None) -> float:
    found = value.mean.value if isinstance(value, Interval) else value.value if value else None
    return float("-inf") if found is None else float(found)


def _range(rows: Sequence[Row], measure: Measure) -> tuple[float, float]:
    known = []
    for row in rows:
        value = row.values[0]
        ends = (value.low, value.mean, value.high) if isinstance(value, Interval) else (value,)
        known += [end.value for end in ends if end is not None and end.value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if measure.scale == 100.0:  # noqa: PLR2004 - a rate: intervals of few seeds leave 0..1
        low, high = max(low, 0.0), min(high, 1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _with_bar(row: Row, low: float, high: float) -> Row:
    value = row.values[0]
    if isinstance(value, Interval):
        ends = (value.low.value, value.mean.value, value.high.value)
    else:
        ends = (None, value.value if value else None, None)
    if ends[1] is None:
        return row
    placed = [_percent(ends[1] if end is None else end, low, high) for end in ends]
    return Row(row.name, row.kind, row.values, row.difference, Bar(*placed), row.epsilon)


def _percent(value: float, low: float, high: float) -> float:
    return round(2 + 96 * min(max((value - low) / (high - low), 0.0), 1.0), 2)


def heat_maps(grid: Grid) -> list[HeatMap]:
    """Return strategy x attack of the ranking metric; of a market, of tampering as well."""
    attacks = grid.values("attack")
    if len(attacks) < 2:  # noqa: PLR2004 - one attack is no map
        return []
    measures = grid.measures[:2] if grid.is_market else grid.measures[:1]
    return [
        _heat_map(grid, rest, attacks, measure)
        for measure in measures
        for rest in grid.without("attack")
    ]


def _heat_map(grid: Grid, rest: Swept, attacks: Sequence[str], measure: Measure) -> HeatMap:
    table: list[tuple[str, list[Interval | None]]] = []
    for strategy in grid.strategies:
        row = []
        for attack in attacks:
            swept = grid.joined(rest, attack=attack)
            row.append(None if swept is None else grid.interval(strategy, swept, measure))
        table.append((strategy, row))
    means = [v.mean.value for _, row in table for v in row if v and v.mean.value is not None]
    low, high = min(means, default=0.0), max(means, default=1.0)
    rows = [
        (name, [None if v is None else Heat(v, _share(v, low, high)) for v in row])
        for name, row in table
    ]
    columns = ["no attackers" if attack == "none" else attack for attack in attacks]
    return HeatMap(title_of(rest), measure, columns, rows)


def _share(value: Interval, low: float, high: float) -> float:
    if value.mean.value is None or high <= low:
        return 0.0
    return round((value.mean.value - low) / (high - low), 4)


def certified(grid: Grid) -> list[dict[str, Any]]:
    """Return what each strategy's noise certifies, of the first seed's run of every cell.

    Cells with the same figures share a row; where they differ, each names its combination.
    """
    rows: list[dict[str, Any]] = []
    for strategy in grid.strategies:
        seen: list[tuple[str, ...]] = []
        for swept in grid.combinations:
            for place in grid.runs(strategy, swept)[:1]:
                if not _table(grid, place):
                    continue
                row = _certified(grid, strategy, place)
                figures = tuple(value.text for value in (row["nominal"], *row["proven"]))
                if figures not in seen:
                    again = row["nominal"].text in {text for text, *_ in seen}
                    rows.append(row | {"cell": title_of(swept) if again else ""})
                    seen.append(figures)
    return rows


def _certified(grid: Grid, strategy: str, place: int) -> dict[str, Any]:
    path = ("runs", place, "privacy")
    return {
        "strategy": strategy,
        "nominal": _short(grid, (*path, "nominal_epsilon")),
        "delta": _short(grid, (*path, "delta")),
        "unit": grid.result["runs"][place]["privacy"]["unit"],
        "proven": [
            _short(grid, (*path, "certified_epsilon", who, "proven"))
            for who in ("server", "eavesdropper", "broadcast")
        ],
    }


def _table(grid: Grid, place: int) -> Mapping[str, Any]:
    """Return the certified epsilon of a run by adversary; empty where nothing was noised."""
    found = (grid.result["runs"][place].get("privacy") or {}).get("certified_epsilon") or {}
    return dict(found) if "proven" in found.get("server", {}) else {}


def _short(grid: Grid, path: Sequence[str | int]) -> Number:
    found = number(grid.result, path)
    text = "unbounded" if found.value is None else f"{found.value:.4g}"
    return Number(found.pointer, found.value, text)


def warnings_of(grid: Grid) -> list[str]:
    """Return what a reader of the privacy figures has to know, once each, with whose it is."""
    found: dict[str, list[str]] = {}
    for strategy in grid.strategies:
        for swept in grid.combinations:
            for place in grid.runs(strategy, swept)[:1]:
                for text in _warnings(grid, place):
                    names = found.setdefault(text, [])
                    names += [] if strategy in names else [strategy]
    several = len(grid.strategies) > 1
    shown = [f"{', '.join(names)}: {text}" if several else text for text, names in found.items()]
    return shown[:MOST_WARNINGS]


def drawn_anew(grid: Grid) -> bool:
    """Return whether noise came from the operating system, so that no command repeats it."""
    noised = [place for place in range(len(grid.result["runs"])) if _table(grid, place)]
    return any(
        not any(text.startswith(SEEDED) for text in _warnings(grid, place)) for place in noised
    )


def _warnings(grid: Grid, place: int) -> list[str]:
    return list(grid.result["runs"][place]["privacy"]["warnings"]) if _table(grid, place) else []


def traced(grid: Grid) -> list[tuple[str, int]]:
    """Return title and place of each run that was followed round by round, attacked ones first."""
    found = []
    for swept in sorted(grid.combinations, key=lambda swept: ("attack", "none") in swept):
        for strategy in grid.strategies:
            for place in grid.runs(strategy, swept):
                run = grid.result["runs"][place]
                if run.get("trace"):
                    words = ", ".join(filter(None, (strategy, title_of(swept))))
                    found.append((f"{words}, seed {run['seed']}", place))
    return found


def sales(grid: Grid) -> list[dict[str, Any]]:
    """Return who won how often and was paid what, by kind, of every traced run with an auction."""
    tables = []
    for title, place in traced(grid):
        kinds = grid.result["runs"][place]["trace"].get("by_kind")
        if not kinds:
            continue
        path = ("runs", place, "trace", "by_kind")
        tables.append(
            {
                "title": title,
                "rows": [
                    {
                        "kind": kind,
                        "participants": number(grid.result, (*path, kind, "participants"), 1, 0),
                        "wins": number(grid.result, (*path, kind, "wins"), 1, 0),
                        "paid": number(grid.result, (*path, kind, "paid"), 1e-6, 2),
                        "share": _part(row["wins"], [r["wins"] for r in kinds.values()]),
                    }
                    for kind, row in kinds.items()
                ],
            }
        )
    return tables


def _part(value: float, values: Sequence[float]) -> float:
    return round(100 * value / max(*values, 1), 2)


def settings_of(grid: Grid) -> tuple[list[tuple[str, Any]], list[str], list[tuple[str, list[Any]]]]:
    """Return settings that all cells share, the strategies, and settings that differ by them."""
    blocks: dict[str, Mapping[str, Any]] = {}
    for strategy, swept in grid.blocks:
        block = grid.block(strategy, swept)
        if block is not None:
            blocks.setdefault(strategy, block["settings"])
    names = list(blocks)
    swept_names = {name for swept in grid.combinations for name, _ in swept}
    every = [name for name in blocks[names[0]] if name not in {"strategy", "seed", *swept_names}]
    shared, differing = [], []
    for name in every:
        values = [blocks[strategy].get(name, NONE) for strategy in names]
        if all(value == values[0] for value in values):
            shared.append((name, _plain(values[0])))
        else:
            differing.append((name, [_plain(value) for value in values]))
    return shared, names, differing


def _plain(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value
