"""What a user sees of a market in the terminal: tables of figures, one column a case."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from federation.console import OnRound, print_whole, share_bar
from server.loop import RoundRecord
from strategies.settings import Settings
from strategies.wrappers.market_messages import MICRO

LABELS = {
    "share_type1": ("% sold by type 1, attacks rarely", 100.0),
    "share_type2": ("% sold by type 2, half the rounds", 100.0),
    "share_type3": ("% sold by type 3, half the episodes", 100.0),
    "attack_rate": ("% of deliveries tampered with", 100.0),
    "honest_excluded": ("% of type 1 shut out", 100.0),
    "blame_precision": ("% of blame that was right", 100.0),
    "welfare": ("welfare, credits a round", 1 / MICRO),
    "adjusted_welfare": ("  less tampered deliveries", 1 / MICRO),
    "payments": ("paid to devices, credits a round", 1 / MICRO),
    "surplus": ("left to the provider, credits a round", 1 / MICRO),
    "overpayment": ("paid over cost", 1.0),
    "welfare_ratio": ("welfare over no reputation", 1.0),
    "adjusted_welfare_ratio": ("  less tampered deliveries", 1.0),
}
"""Words and scale of each figure, in the order they are shown."""
_DIGITS = {100.0: 1, 1.0: 2, 1 / MICRO: 2}


@contextmanager
def market_bar(settings: Settings, quiet: bool) -> Iterator[OnRound]:
    """Show how far a run is, on standard error."""
    with share_bar(f"{settings.strategy}, {settings.rounds} rounds", quiet) as show:

        def on_round(record: RoundRecord) -> None:
            show(record.round / settings.rounds)

        yield on_round


def print_market(result: Mapping[str, Any], paths: Mapping[str, Any]) -> None:
    """Print one market with its interval over seeds, what was noticed, and the files."""
    console = Console(highlight=False)
    entry, settings = result["runs"][0], result["settings"]
    summary = {row["metric"]: row for row in result["summary"]}
    seeds = max((row["n"] for row in summary.values()), default=1)
    console.print(
        f"{entry['strategy']}, {settings['market']} market: {entry['clients']} devices, "
        f"{entry['users']} users, {settings['rounds']} rounds"
    )
    table = _table(
        [f"seed {entry['seed']}"] + ([f"{seeds} seeds, 95 %"] if seeds > 1 else []),
    )
    for name, (label, scale) in LABELS.items():
        if name not in entry["final"]:
            continue
        value = entry["final"][name]
        cells = ["-" if value is None else f"{scale * value:.{_DIGITS[scale]}f}"]
        if seeds > 1:
            cells.append(interval(summary[name], scale))
        table.add_row(label, *cells)
    print_whole(console, table)
    market = entry["market"]
    console.print(
        f"{market['deliveries']} deliveries, {market['tampered']} tampered with; users complained "
        f"of {market['cubes_wrong']} of {market['cubes_shown']} cubes shown; a device was blamed "
        f"{market['blamed']} times, {market['guilty']} times rightly"
    )
    if market["unused_replies"] or market["overbooked"] or market["rounds_without_delivery"]:
        console.print(
            f"{market['unused_replies']} replies not used, {market['overbooked']} overbooked, "
            f"{market['rounds_without_delivery']} rounds without a delivery",
            style="yellow",
        )
    console.print(f"{entry['final']['seconds']:.2f} s for {settings['rounds']} rounds")
    _print_paths(console, paths)


def print_markets(result: Mapping[str, Any], paths: Mapping[str, Any]) -> None:
    """Print every figure with its interval, one column for each strategy, a table for each cell."""
    console = Console(highlight=False)
    rows = result["summary"]
    for cell in _distinct([row["cell"] for row in rows]):
        own = [row for row in rows if row["cell"] == cell]
        names = _distinct([row["strategy"] for row in own])
        by_key = {(row["strategy"], row["metric"]): row for row in own}
        title = ", ".join(f"{key} {value}" for key, value in cell.items())
        seeds = max(row["n"] for row in own)
        console.print(f"{title}; mean \u00b1 95 % interval over {seeds} seeds")
        table = _table(names)
        for metric, (label, scale) in LABELS.items():
            if (names[0], metric) in by_key:
                cells = [interval(by_key[name, metric], scale) for name in names]
                table.add_row(label, *cells)
        print_whole(console, table)
    for name, shape in result.get("shape", {}).items():
        console.print(f"the paper's shape, share of seeds for which it holds, set {name}:")
        for statement, share in shape.items():
            console.print(f"  {share:6.1%}  {statement}")
    _print_paths(console, paths)


def interval(row: Mapping[str, Any], scale: float) -> str:
    """Return 'mean \u00b1 half width' of a summary row."""
    digits = _DIGITS[scale]
    if row["mean"] is None:
        return "-"
    text = f"{scale * row['mean']:.{digits}f}"
    if row["ci95_high"] is None:
        return text
    return f"{text} \u00b1{scale * (row['ci95_high'] - row['mean']):.{digits}f}"


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name.replace("-", "-\n", 1), justify="right", no_wrap=True)
    return table


def _distinct(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _print_paths(console: Console, paths: Mapping[str, Any]) -> None:
    for label, path in paths.items():
        console.print(f"{label}: {path}", soft_wrap=True)
