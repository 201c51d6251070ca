"""Pictures of a run and of a comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from federation.console import data_title, who
from federation.drawing import BLUE, COLOURS, GREEN, MARKERS, ORANGE, canvas, mark, save
from federation.repeat import Repetition
from federation.statistics import summarise
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
    name = f"{settings.strategy}, nominal \u03b5 = {settings.epsilon:g}"
    name = name if settings.private else settings.strategy
    style = {"color": BLUE, "lw": 1.2, "alpha": 0.9, "ls": "--" if repetitions else "-"}
    axis.plot(where, 100 * np.asarray(accuracies), label=f"{name}, seed {settings.seed}", **style)
    if repetitions:
        curves = [(f"{settings.strategy}, mean", [r.curve for r in repetitions], BLUE)]
        if settings.private:
            curves.append(
                ("no noise, same steps, mean", [r.nonprivate_curve for r in repetitions], ORANGE)
            )
        for label, values, colour in curves:
            _band(axis, where, values, label, colour)
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
    seeds = (
        f"; bands: 95 % interval of the mean over {len(repetitions)} seeds" if repetitions else ""
    )
    named = settings.as_dict()
    title = f"{settings.clients} {who(named)}, {data_title(named)}{seeds}"
    return save(figure, out / "accuracy.png", title)


def draw_comparison(out: Path, result: Mapping[str, Any], axis_name: str | None) -> Path:
    """Draw accuracy of each strategy with its interval: over the swept setting, or as points."""
    rows = [row for row in result["summary"] if row["metric"] == "accuracy"]
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    figure, axes = canvas(1, 1, (8.0, 4.6))
    axis = axes[0, 0]
    for index, strategy in enumerate(strategies):
        own = [row for row in rows if row["strategy"] == strategy]
        style = {"color": COLOURS[index % 7], "marker": MARKERS[index % 7], "capsize": 3}
        where = [index] if axis_name is None else [row["cell"][axis_name] for row in own]
        mean = np.array([100 * row["mean"] for row in own])
        low = mean - [100 * _end(row, "ci95_low") for row in own]
        high = np.array([100 * _end(row, "ci95_high") for row in own]) - mean
        style["ls"] = "-" if axis_name else "none"
        axis.errorbar(
            range(len(own)) if axis_name else where, mean, yerr=[low, high], label=strategy, **style
        )
        if axis_name:
            axis.set_xticks(
                range(len(own)),
                [f"{value:g}" if isinstance(value, float) else str(value) for value in where],
            )
    if axis_name is None:
        axis.set_xticks(range(len(strategies)), strategies)
        axis.set_xlim(-0.5, len(strategies) - 0.5)
        axis.set_xlabel("strategy")
    else:
        axis.set_xlabel(axis_name.replace("_", " "))
        axis.legend(fontsize=8)
    for key, text in (
        ("majority", "majority class"),
        ("mean_rule", "untrained mean rule"),
        ("nearest_rule", "untrained nearest medians"),
    ):
        if key in result["floors"]:
            value = 100 * result["floors"][key]
            mark(axis, value, f"{text} {value:.1f} %")
    axis.set_ylabel("held-out accuracy (%)")
    count = max(row["n"] for row in rows)
    title = f"mean and 95 % interval of the mean over {count} paired seeds"
    return save(figure, out / "comparison.png", title)


def _band(
    axis: Any, where: Any, values: Sequence[Sequence[float]], label: str, colour: str
) -> None:
    points = [summarise([curve[i] for curve in values]) for i in range(len(values[0]))]
    mean = [100 * point.mean for point in points]
    axis.plot(where, mean, color=colour, lw=2, label=f"{label} of {len(values)} seeds")
    low = [100 * point.ci95_low for point in points]
    high = [100 * point.ci95_high for point in points]
    axis.fill_between(where, low, high, color=colour, alpha=0.18, lw=0)


def _end(row: Mapping[str, Any], name: str) -> float:
    return float(row["mean"] if row[name] is None else row[name])
