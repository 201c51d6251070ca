"""What a user sees in the terminal: one progress bar, then tables; data on standard output."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from federation.attack_console import print_attack
from federation.titles import strategy_title
from server.loop import RoundRecord
from strategies.settings import Settings

OnRound = Callable[[RoundRecord], None]


@contextmanager
def round_bar(settings: Settings, quiet: bool) -> Iterator[OnRound]:
    """Show round, accuracy and eps while a run goes, on standard error."""
    if quiet:
        yield lambda _: None
        return
    with _progress() as bar:
        task = bar.add_task("starting", total=settings.rounds)

        def show(record: RoundRecord) -> None:
            accuracy = record.metrics["accuracy"]
            bar.update(
                task,
                completed=record.round,
                description=(
                    f"round {record.round}/{settings.rounds}  accuracy {accuracy:6.1%}  "
                    f"{_spent(settings, record.round)}"
                ),
            )

        yield show


def data_title(settings: Mapping[str, Any]) -> str:
    """Return what the data are called in titles: the data set, or the file of another table."""
    is_market = settings["dataset"] == "carrada" and settings.get("task", "twin") == "twin"
    if is_market and settings.get("market") == "synthetic":
        return "the synthetic market"
    if settings["dataset"] == "carrada" and not settings["data"]:
        return "generated CARRADA scenes"
    return Path(settings["data"]).stem if settings["schema"] else settings["dataset"].upper()


def _spent(settings: Settings, rounds: int) -> str:
    if not settings.private:
        return "no noise"
    if settings.privacy == "global-dp":
        # What this nominal figure certifies takes a second to load: the table says it.
        return f"eps {settings.epsilon:g} nominal"
    from strategies.privacy.mechanisms import spent_epsilon

    uploads = min(rounds, settings.releases)
    ratings = min(rounds, settings.rounds) if settings.rates_privately else 0
    # Neither m nor the bound matters here.
    spent = spent_epsilon(settings, 1, 1.0, uploads, None, ratings)
    of = f"{settings.epsilon:g}"
    if settings.rates_privately:
        of = f"{spent_epsilon(settings, 1, 1.0, settings.releases, None, settings.rounds):.3g}"
    return f"eps {spent:.3g} of {of} spent"


@contextmanager
def share_bar(title: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show the share of a long job that is done, with the time left, on standard error."""
    if quiet:
        yield lambda _: None
        return
    with _progress() as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def print_run(result: Mapping[str, Any], paths: Mapping[str, Any]) -> None:
    """Print one run beside its baselines and floors, what its noise means, and the files."""
    console = Console(highlight=False)
    entry, settings = result["runs"][0], result["settings"]
    rows = result["summary"]
    seeds, ran = rows[0]["n"] if rows else 1, strategy_title(settings)
    table = Table(
        title=f"{entry['clients']} {who(settings)}, {data_title(settings)}, held-out records",
        title_justify="left",
        **_PLAIN,
    )
    table.add_column("mean \u00b1 95 % interval" if seeds > 1 else "", no_wrap=True)
    for name in _columns(entry["final"]).values():
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(f"{ran}, seed {entry['seed']}", *_figures(entry["final"]))
    if seeds > 1:
        by_metric = {row["metric"]: row for row in rows}
        table.add_row(f"{ran}, {seeds} seeds", *_intervals(by_metric))
    for key, label in (
        ("federated_nonprivate", "no noise, same steps"),
        ("centralised_svm", "centralised SVM"),
    ):
        if key in result["baselines"]:
            table.add_row(label, *_intervals(result["baselines"][key]["summary"]))
    table.add_section()
    table.add_row("floor: majority", f"{100 * result['floors']['majority']:.1f}")
    if "mean_rule" in result["floors"]:
        table.add_row("floor: mean \u2265 3 *", f"{100 * result['floors']['mean_rule']:.1f}")
    if "nearest_rule" in result["floors"]:
        share = 100 * result["floors"]["nearest_rule"]
        table.add_row("floor: nearest medians *", f"{share:.1f}")
    print_whole(console, table)
    if "nearest_rule" in result["floors"]:
        console.print(
            "* the class whose published medians of speed and extents are nearest: no\n"
            "  training, but the medians are of the whole real data set, and generated\n"
            "  scenes follow them"
        )
    if "mean_rule" in result["floors"]:
        console.print(
            "* malignant when the mean of the nine attributes is at least 3: no training, but\n"
            "  the threshold was chosen with sight of the data",
            soft_wrap=True,
        )
    _print_confusion(console, entry["final"], f" of seed {entry['seed']}" if seeds > 1 else "")
    if settings["privacy"] != "none":
        _print_privacy(console, entry["privacy"])
    if entry["market"]:
        paid = entry["market"]["payments"] / 1e6
        console.print(f"{entry['market']['uploads_bought']} uploads bought for {paid:.2f} credits")
    print_attack(console, entry, settings["byzantine"], who(settings))
    console.print(f"{entry['final']['seconds']:.2f} s for {settings['rounds']} rounds")
    for label, path in paths.items():
        console.print(f"{label}: {path}", soft_wrap=True)


def print_comparison(result: Mapping[str, Any], paths: Mapping[str, Any]) -> None:
    """Print mean and interval of each cell, and the difference to the first strategy."""
    console = Console(highlight=False)
    table = Table(
        title="held-out records, mean \u00b1 95 % interval over paired seeds",
        title_justify="left",
        **_PLAIN,
    )
    for name in ("strategy", "cell"):
        table.add_column(name)
    second = metrics_shown(row["metric"] for row in result["summary"])
    first = result["summary"][0]["strategy"]
    for name in ("accuracy %", _HEADINGS[second], f"minus {first}, points", "seeds"):
        table.add_column(name, justify="right", no_wrap=True)
    by_key: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in result["summary"]:
        by_key.setdefault((row["strategy"], _cell(row["cell"])), {})[row["metric"]] = row
    titles = _titles(result)
    for (strategy, cell), metrics in by_key.items():
        accuracy = metrics["accuracy"]
        difference = metrics.get("accuracy_minus_first")
        table.add_row(
            titles.get(strategy, strategy),
            cell,
            _interval(accuracy, 100.0, 1),
            _interval(metrics[second], 100.0, 1),
            "" if difference is None else _interval(difference, 100.0, 1),
            str(accuracy["n"]),
        )
    print_whole(console, table)
    floors = result["floors"]
    text = f"floors: majority class {floors['majority']:.1%}"
    if "mean_rule" in floors:
        text += f", mean attribute >= 3 without training {floors['mean_rule']:.1%}"
    if "nearest_rule" in floors:
        text += f", nearest published medians without training {floors['nearest_rule']:.1%}"
    console.print(text)
    for label, path in paths.items():
        console.print(f"{label}: {path}", soft_wrap=True)


def _titles(result: Mapping[str, Any]) -> dict[str, str]:
    """Return what each strategy is called; a part that is swept stands in the cell."""
    swept = {name for run in result["runs"] for name in run.get("swept", {})}
    return {
        cell["strategy"]: strategy_title(
            {name: value for name, value in cell["settings"].items() if name not in swept}
        )
        for cell in result.get("cells", [])
    }


def print_whole(console: Console, table: Table) -> None:
    """Print a table whose figures are never cut off, also where the terminal is narrower.

    Parameters
    ----------
    console : Console
        Where to; its width is as before afterwards.
    table : Table
        What.
    """
    needed = console.measure(table, options=console.options.update(max_width=1000)).maximum
    width = console.width
    console.width = max(width, needed)
    console.print(table)
    console.width = width


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _print_confusion(console: Console, final: Mapping[str, Any], whose: str) -> None:
    if "true_positive" not in final:
        for line in confusion_lines(final):
            console.print(line)
        return
    console.print(
        f"confusion{whose}: {final['true_positive']} diseased found, "
        f"{final['false_negative']} missed; "
        f"{final['true_negative']} healthy cleared, {final['false_positive']} alarmed"
    )


def _print_privacy(console: Console, privacy: Mapping[str, Any]) -> None:
    table = Table(
        title=f"epsilon of one {privacy['unit']} ({privacy['relation']})",
        title_justify="left",
        **_PLAIN,
    )
    table.add_column("against", no_wrap=True)
    for name in ("curious server", "eavesdropper", "broadcast"):
        table.add_column(name, justify="right", no_wrap=True)
    nominal = f"{privacy['nominal_epsilon']:g}"
    asked = "nominal" if privacy["mechanism"] == "global-dp" else "asked for"
    table.add_row(f"{asked}, \u03b4 {privacy['delta']:g}", nominal, nominal, nominal)
    for block, delta in (
        ("certified_epsilon", privacy["delta"]),
        ("certified_epsilon_at_strict_delta", privacy["strict_delta"]),
    ):
        if block != "certified_epsilon" and delta == privacy["delta"]:
            continue
        table.add_section()
        table.add_row(f"certified, \u03b4 {delta:g}")
        for source, label in _SENSITIVITIES:
            if source != "proven" and privacy["mechanism"] != "global-dp":
                continue  # what these mechanisms claim is what is proven
            cells = [_epsilon(privacy[block][who][source]) for who in _ADVERSARIES]
            table.add_row(f"  {label}", *cells)
    console.print(table)
    if "shared" in privacy:
        _print_shared(console, privacy)
    for warning in privacy["warnings"]:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def _print_shared(console: Console, privacy: Mapping[str, Any]) -> None:
    shared = privacy["shared"]
    console.print(
        f"each of {shared['clinics']} clinics adds noise of {shared['noise_std_of_a_clinic']:.3g} "
        f"a coordinate; at least {shared['fewest_survivors']} were in every sum; calibrated for "
        f"{shared['assumed_colluders']} colluders and {shared['assumed_dropouts']} dropouts"
    )
    found = ", ".join(
        f"{count} collude: {_epsilon(value)}"
        for count, value in shared["epsilon_by_colluders"].items()
    )
    console.print(f"epsilon of the noise that was really there if {found}")


_PLAIN: dict[str, Any] = {"box": SIMPLE_HEAD, "pad_edge": False, "padding": (0, 1, 0, 0)}
_SENSITIVITIES = (
    ("claimed", "S = 2B/m, the paper's claim"),
    ("proven", "S proven"),
    ("worst", "S = 2B, whatever the training"),
)
_ADVERSARIES = ("server", "eavesdropper", "broadcast")


def _epsilon(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:.4g}"


def _figures(final: Mapping[str, Any]) -> Sequence[str]:
    return [
        "-" if final[name] is None else f"{scale * final[name]:.{digits}f}"
        for name, (scale, digits) in _scales(final).items()
    ]


def _intervals(rows: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    return [_interval(rows[name], *how) for name, how in _scales(rows).items()]


def _interval(row: Mapping[str, Any], scale: float, digits: int) -> str:
    if row["mean"] is None:
        return "-"
    mean = f"{scale * row['mean']:.{digits}f}"
    if row["ci95_high"] is None:
        return mean
    return f"{mean} \u00b1{scale * (row['ci95_high'] - row['mean']):.{digits}f}"


_HEADINGS = {
    "accuracy": "accuracy %",
    "sensitivity": "sensit. %",
    "specificity": "specif. %",
    "auc": "AUC %",
    "balanced_accuracy": "balanced %",
    "macro_f1": "macro F1 %",
    "loss": "loss",
}


def _columns(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the headings of the metrics that are there."""
    return {name: text for name, text in _HEADINGS.items() if name in metrics}


def _scales(metrics: Mapping[str, Any]) -> dict[str, tuple[float, int]]:
    """Return factor and digits of each metric that is shown."""
    return {name: (1.0, 2) if name == "loss" else (100.0, 1) for name in _columns(metrics)}


def metrics_shown(metrics: Iterable[str]) -> str:
    """Return the metric to show beside the accuracy."""
    return "sensitivity" if "sensitivity" in set(metrics) else "balanced_accuracy"


def who(settings: Mapping[str, Any]) -> str:
    """Return what those are called who train."""
    return "devices" if settings["dataset"] == "carrada" else "clinics"


def confusion_lines(final: Mapping[str, Any]) -> list[str]:
    """Return one line for each class: how many were found, and what the others were taken for."""
    lines = []
    names = [key.removeprefix("recall_") for key in final if key.startswith("recall_")]
    for name in names:
        counts = {other: final[f"{name}_as_{other}"] for other in names}
        wrong = ", ".join(f"{n} as {other}" for other, n in counts.items() if n and other != name)
        rest = f"; {wrong}" if wrong else ""
        lines.append(f"{name}: {counts[name]} of {sum(counts.values())} found{rest}")
    return lines


def _cell(cell: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in cell.items()
        if value is not None
    )
