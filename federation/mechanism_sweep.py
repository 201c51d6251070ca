"""``reproduce privacy-mechanisms``: accuracy of every mechanism over eps and random splits."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from datasets.federated import load
from federation.parallel import map_parallel
from federation.statistics import summarise
from strategies.learning.metrics import floors
from strategies.privacy.contenders import CONTENDERS
from strategies.privacy.sweep import DELTA, EPSILONS, sweep

MEAN_RULE_THRESHOLD = 3.0
TARGETS = {
    ("dp-gd", 0.5): 0.935,
    ("dp-gd", 1.0): 0.962,
    ("dp-gd", 2.0): 0.970,
    ("dp-gd", 5.0): 0.973,
    ("certified", 1.0): 0.955,
    ("dp-sgd", 1.0): 0.96,
}
"""Mean accuracy by record that a right implementation reaches, less 3 standard errors."""


def privacy_mechanisms(
    seeds: Sequence[int],
    unit: str,
    out: Path,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Sweep all mechanisms over eps .5 to 20 and one split for each seed.

    Parameters
    ----------
    seeds : sequence of int
        One cut of BCWD each: split, shards and noise, the same for every mechanism.
    unit : str
        ``record`` or ``patient``.
    out : Path
        Existing directory that ``privacy-mechanisms.png`` is written to.
    workers, progress
        As in :func:`federation.parallel.map_parallel`.

    Returns
    -------
    dict
        settings, floors, runs, summary rows as in result.json, figures.
    """
    tasks = [(seed, unit) for seed in seeds]
    runs = [run for of_seed in map_parallel(_one, tasks, workers, progress) for run in of_seed]
    table = load("", "", "drop")
    result = {
        "settings": {"unit": unit, "delta": DELTA, "clients": 20, "splits": len(seeds)},
        "seeds": list(seeds),
        "floors": asdict(floors(table.features, table.labels, MEAN_RULE_THRESHOLD)),
        "runs": runs,
        "summary": summary_of(runs),
    }
    result["figures"] = [str(_draw(result, out / "privacy-mechanisms.png"))]
    return result


def table_of(result: dict[str, Any]) -> str:
    """Return the sweep as a Markdown table, with the target under each reached cell's mean."""
    rows = {(row["strategy"], row["cell"]["epsilon"]): row for row in result["summary"]}
    names = list(dict.fromkeys(name for name, _ in rows))
    unit, splits = result["settings"]["unit"], result["settings"]["splits"]
    lines = [
        f"held-out accuracy %, mean (std) over {splits} splits by {unit}, 20 clinics, "
        f"delta {DELTA:g} (the paper's presets: their own, nominal eps)",
        "",
        "| mechanism | " + " | ".join(f"eps {epsilon:g}" for epsilon in EPSILONS) + " |",
        "| --- |" + " --- |" * len(EPSILONS),
    ]
    for name in names:
        cells = [_cell(rows[name, epsilon], unit) for epsilon in EPSILONS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def missed(result: dict[str, Any]) -> list[str]:
    """Return the targets (by record) that the means fall short of by over 3 standard errors."""
    short = []
    for row in result["summary"]:
        target = TARGETS.get((row["strategy"], row["cell"]["epsilon"]))
        if target is None or result["settings"]["unit"] != "record" or row["std"] is None:
            continue
        if row["mean"] < target - 3 * row["std"] / np.sqrt(row["n"]):
            name = f"{row['strategy']} at eps {row['cell']['epsilon']:g}"
            short.append(f"{name}: {100 * row['mean']:.1f} % of {100 * target:.1f} %")
    return short


def _one(task: tuple[int, str]) -> list[dict[str, Any]]:
    seed, unit = task
    cells = sweep(load("", "", "drop"), splits=1, unit=unit, first_seed=seed)
    return [
        {
            "strategy": cell.mechanism,
            "cell": {"epsilon": cell.epsilon},
            "seed": seed,
            "final": {"accuracy": cell.mean},
        }
        for cell in cells
    ]


def summary_of(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean, std and interval of each mechanism and eps over its splits."""
    groups: dict[tuple[str, float], list[float]] = {}
    for run in runs:
        key = (run["strategy"], run["cell"]["epsilon"])
        groups.setdefault(key, []).append(run["final"]["accuracy"])
    return [
        {"strategy": name, "cell": {"epsilon": epsilon}, "metric": "accuracy"}
        | summarise(values).as_dict()
        for (name, epsilon), values in groups.items()
    ]


def _cell(row: dict[str, Any], unit: str) -> str:
    std = "" if row["std"] is None else f" ({100 * row['std']:.1f})"
    target = TARGETS.get((row["strategy"], row["cell"]["epsilon"])) if unit == "record" else None
    wanted = "" if target is None else f", target {100 * target:.1f}"
    return f"{100 * row['mean']:.1f}{std}{wanted}"


def _draw(result: dict[str, Any], path: Path) -> Path:
    from federation.drawing import COLOURS, MARKERS, canvas, mark, save

    figure, axes = canvas(1, 2, (11.0, 4.8))
    for axis, title in zip(axes[0], ("all mechanisms", "the ones whose ε is proven"), strict=True):
        for index, name in enumerate(CONTENDERS):
            if axis is axes[0, 1] and name.startswith("paper"):
                continue
            rows = [row for row in result["summary"] if row["strategy"] == name]
            mean = [100 * row["mean"] for row in rows]
            low = [100 * _end(row, "ci95_low") for row in rows]
            high = [100 * _end(row, "ci95_high") for row in rows]
            label = f"{name} (ε nominal)" if name.startswith("paper") else name
            style = {"color": COLOURS[index], "marker": MARKERS[index], "ms": 5, "lw": 1.6}
            axis.plot(EPSILONS, mean, label=label, **style)
            axis.fill_between(EPSILONS, low, high, color=COLOURS[index], alpha=0.15, lw=0)
        axis.set_xscale("log")
        axis.set_xticks(EPSILONS, [f"{epsilon:g}" for epsilon in EPSILONS])
        axis.minorticks_off()
        axis.set_xlabel("ε against a curious server (larger is less private)")
        axis.set_title(title, fontsize=10)
        rule = 100 * result["floors"]["mean_rule"]
        mark(axis, rule, f"untrained mean rule {rule:.1f} %")
    majority = 100 * result["floors"]["majority"]
    mark(axes[0, 0], majority, f"majority class {majority:.1f} %")
    axes[0, 0].set_ylabel("held-out accuracy (%)")
    axes[0, 0].set_ylim(None, 101)
    axes[0, 1].legend(loc="lower right", fontsize=8)
    axes[0, 0].legend(loc="upper left", fontsize=8, bbox_to_anchor=(0.01, 0.86))
    settings = result["settings"]
    title = (
        f"20 clinics, BCWD by {settings['unit']}, δ = {settings['delta']:g}; bands: 95 % "
        f"interval of the mean over {settings['splits']} splits"
    )
    return save(figure, path, title)


def _end(row: dict[str, Any], name: str) -> float:
    return float(row["mean"] if row[name] is None else row[name])
