"""Pictures of a run and of a comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from federation.console import data_title, who
from federation.drawing import BLUE, COLOURS, GREEN, MARKERS, ORANGE, canvas, mark, save
from federation.repeat import Repetition
from federation.statistics import summarise
from federation.titles import strategy_title
from strategies.settings import Settings


def draw_rounds(
    out: Path,
    settings: Settings,
    accuracies: Sequence[float],
    repetitions: Sequence[Repetition],
    floors: Mapping[str, float],
) -> Path:
    """Draw accuracy over the rounds: this run, its repetitions, the baselines and the floors.

    Parameters
    ----------
    out : Path
        Existing directory; ``accuracy.png`` is written there.
    settings : Settings
        Of the run.
    accuracies : sequence of float
        Held-out accuracy after each round of the run, from round 1.
    repetitions : sequence of Repetition
        Over seeds; empty where only the one run is known.
    floors : mapping
        ``majority`` and, on BCWD, ``mean_rule``.
    """
    figure, axes = canvas(1, 1, (8.0, 4.6))
    axis = axes[0, 0]
    where = np.arange(1, len(accuracies) + 1)
    named, seeds = settings.as_dict(), len(repetitions)
    title = strategy_title(named)
    name = f"{title}{_epsilon(settings)}, seed {settings.seed}"
    style: dict[str, Any] = {"color": BLUE, "lw": 2.0, "ls": "-"}
    if seeds > 1:
        style = {"color": BLUE, "lw": 1.2, "alpha": 0.9, "ls": "--"}
    axis.plot(where, 100 * np.asarray(accuracies), label=name, **style)
    if repetitions:
        curves = [(title, [r.curve for r in repetitions], BLUE)] if seeds > 1 else []
        if settings.private:
            plain = [r.nonprivate_curve for r in repetitions]
            curves.append(("no noise, same steps", plain, ORANGE))
        for label, values, colour in curves:
            of_seeds = f", mean of {seeds} seeds" if seeds > 1 else ""
            _band(axis, where, values, f"{label}{of_seeds}", colour)
        svm = summarise([r.centralised.accuracy for r in repetitions]).mean
        axis.axhline(100 * svm, color=GREEN, lw=1.5, ls="-.", label="centralised linear SVM")
    mark(axis, 100 * floors["majority"], f"majority class {100 * floors['majority']:.1f} %")
    if "mean_rule" in floors:
        text = f"untrained rule: mean attribute \u2265 3, {100 * floors['mean_rule']:.1f} %"
        mark(axis, 100 * floors["mean_rule"], text)
    if "nearest_rule" in floors:
        text = f"untrained rule: nearest published medians, {100 * floors['nearest_rule']:.1f} %"
        mark(axis, 100 * floors["nearest_rule"], text)
    axis.set_xlabel("round")
    axis.set_ylabel("held-out accuracy (%)")
    axis.set_ylim(min(40, *(100 * a for a in accuracies)) - 2, 102)
    axis.legend(loc="lower right", fontsize=8, frameon=True)
    axis.xaxis.set_major_locator(_whole_rounds())
    bands = f"; bands: 95 % interval of the mean over {seeds} seeds" if seeds > 1 else ""
    attack = f"; attacked ({settings.attack})" if settings.attack else ""
    heading = f"{settings.clients} {who(named)}, {data_title(named)}{attack}{bands}"
    return save(figure, out / "accuracy.png", heading)


def _epsilon(settings: Settings) -> str:
    """Return what eps is called: the paper's is nominal, that of the others is proven."""
    if not settings.private:
        return ""
    kind = "nominal " if settings.privacy == "global-dp" else ""
    return f", {kind}\u03b5 = {settings.epsilon:g}"


def _whole_rounds() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(10, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)


_AXES = {"epsilon": "\u03b5 (no unit)", "delta": "\u03b4 (no unit)"}
_FLOORS = (
    ("majority", "majority class", ":"),
    ("mean_rule", "untrained mean rule", "--"),
    ("nearest_rule", "untrained nearest medians", "--"),
)
_CROWDED = 6


def draw_comparison(out: Path, result: Mapping[str, Any], swept: Sequence[str]) -> Path:
    """Draw accuracy of each strategy with its interval: over the swept settings, or as points.

    Parameters
    ----------
    out : Path
        Existing directory; ``comparison.png`` is written there.
    result : mapping
        result.json.
    swept : sequence of str
        Names of the swept settings. Strategies stand beside each other at each combination; lines
        join them only over one setting that has an order, as numbers have and attacks have not.
    """
    rows = [row for row in result["summary"] if row["metric"] == "accuracy"]
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    cells = list(dict.fromkeys(_cell(row, swept) for row in rows))
    ordered = len(swept) == 1 and not any(isinstance(cell[0], str) for cell in cells)
    step = min(0.09, 0.7 / len(strategies))
    figure, axes = canvas(1, 1, (8.0, 4.6))
    axis = axes[0, 0]
    for index, strategy in enumerate(strategies):
        own = [row for row in rows if row["strategy"] == strategy]
        shift = step * (index - (len(strategies) - 1) / 2)
        places = [cells.index(_cell(row, swept)) + shift for row in own] if swept else [index]
        mean = np.array([100 * row["mean"] for row in own])
        low = mean - [100 * _end(row, "ci95_low") for row in own]
        high = np.array([100 * _end(row, "ci95_high") for row in own]) - mean
        style = {"color": COLOURS[index % 7], "marker": MARKERS[index % 7], "capsize": 3}
        style["ls"] = "-" if ordered else "none"
        axis.errorbar(places, mean, yerr=[low, high], label=strategy, **style)
    if swept:
        _name_cells(axis, cells, swept)
    else:
        axis.set_xticks(range(len(strategies)), strategies)
        axis.set_xlim(-0.5, len(strategies) - 0.5)
        axis.set_xlabel("strategy")
    for key, text, dash in _FLOORS:
        if key in result["floors"]:
            value = 100 * result["floors"][key]
            axis.axhline(value, color="black", lw=1, ls=dash, label=f"{text}, {value:.1f} %")
    axis.legend(fontsize=8)
    axis.set_ylabel("held-out accuracy (%)")
    axis.set_ylim(top=min(axis.get_ylim()[1], 102.0))  # intervals of few seeds leave 0 to 100
    count = max(row["n"] for row in rows)
    title = f"mean and 95 % interval of the mean over {count} paired seeds"
    return save(figure, out / "comparison.png", title)


def _cell(row: Mapping[str, Any], swept: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row["cell"].get(name) for name in swept)


def _name_cells(axis: Any, cells: Sequence[tuple[Any, ...]], swept: Sequence[str]) -> None:
    labels = [
        "\n".join(f"{value:g}" if isinstance(value, float) else str(value) for value in cell)
        for cell in cells
    ]
    axis.set_xticks(range(len(cells)), labels)
    if len(cells) > _CROWDED:
        axis.tick_params(axis="x", labelsize=8, rotation=30 if len(swept) == 1 else 0)
    axis.set_xlabel(", ".join(_AXES.get(name, name.replace("_", " ")) for name in swept))


def _band(
    axis: Any, where: Any, values: Sequence[Sequence[float]], label: str, colour: str
) -> None:
    points = [summarise([curve[i] for curve in values]) for i in range(len(values[0]))]
    mean = [100 * point.mean for point in points]
    axis.plot(where, mean, color=colour, lw=2, label=label)
    low = [100 * point.ci95_low for point in points]
    high = [100 * point.ci95_high for point in points]
    axis.fill_between(where, low, high, color=colour, alpha=0.18, lw=0)


def _end(row: Mapping[str, Any], name: str) -> float:
    return float(row["mean"] if row[name] is None else row[name])
