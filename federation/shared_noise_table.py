"""``reproduce shared-noise``: what clinics gain that share their noise, over eps and splits."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import sqrt
from pathlib import Path
from typing import Any

from datasets.federated import load
from federation.mechanism_sweep import MEAN_RULE_THRESHOLD, summary_of
from federation.parallel import map_parallel
from strategies.learning.metrics import floors
from strategies.privacy.shared_contenders import SHARED_CONTENDERS
from strategies.privacy.sweep import DELTA, EPSILONS, sweep

TARGETS = {
    ("shared-noise", 0.5): 0.971,
    ("shared-noise", 1.0): 0.975,
    ("shared-noise by clinic", 2.0): 0.95,
}
"""Mean accuracy by record, of continuous noise; reached less ``QUANTISATION`` and 3 std errors."""
QUANTISATION = 0.003
MECHANISMS = ("dp-gd", *SHARED_CONTENDERS)


def shared_noise(
    seeds: Sequence[int],
    out: Path,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Sweep shared noise over eps .5 to 20 and one split for each seed, dp-gd beside it.

    Parameters
    ----------
    seeds : sequence of int
        One cut of BCWD each, the same for every mechanism.
    out : Path
        Existing directory that ``shared-noise.png`` is written to.
    workers, progress
        As in :func:`federation.parallel.map_parallel`.

    Returns
    -------
    dict
        settings, floors, runs, summary rows as in result.json, figures.
    """
    runs = [
        run for of_seed in map_parallel(_one, list(seeds), workers, progress) for run in of_seed
    ]
    table = load("", "", "drop")
    result = {
        "settings": {"unit": "record", "delta": DELTA, "clients": 20, "splits": len(seeds)},
        "seeds": list(seeds),
        "floors": asdict(floors(table.features, table.labels, MEAN_RULE_THRESHOLD)),
        "runs": runs,
        "summary": summary_of(runs),
    }
    result["figures"] = [str(_draw(result, out / "shared-noise.png"))]
    return result


def table_of(result: dict[str, Any]) -> str:
    """Return the sweep as a Markdown table, with the target beside each cell that has one."""
    rows = {(row["strategy"], row["cell"]["epsilon"]): row for row in result["summary"]}
    found = result["floors"]
    lines = [
        f"held-out accuracy %, mean (std) over {result['settings']['splits']} splits by record, "
        f"20 clinics, delta {DELTA:g}, replace-one; majority class "
        f"{100 * found['majority']:.1f} %, untrained mean rule {100 * found['mean_rule']:.1f} %",
        "",
        "| mechanism | " + " | ".join(f"eps {epsilon:g}" for epsilon in EPSILONS) + " |",
        "| --- |" + " --- |" * len(EPSILONS),
    ]
    for name in MECHANISMS:
        cells = [_cell(rows[name, epsilon]) for epsilon in EPSILONS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def missed(result: dict[str, Any]) -> list[str]:
    """Return the targets that the means fall short of by over 3 std errors and quantisation."""
    short = []
    for row in result["summary"]:
        target = TARGETS.get((row["strategy"], row["cell"]["epsilon"]))
        if target is None or row["std"] is None:
            continue
        if row["mean"] < target - 3 * row["std"] / sqrt(row["n"]) - QUANTISATION:
            name = f"{row['strategy']} at eps {row['cell']['epsilon']:g}"
            short.append(f"{name}: {100 * row['mean']:.1f} % of {100 * target:.1f} %")
    return short


def _one(seed: int) -> list[dict[str, Any]]:
    cells = sweep(load("", "", "drop"), MECHANISMS, splits=1, first_seed=seed)
    return [
        {
            "strategy": cell.mechanism,
            "cell": {"epsilon": cell.epsilon},
            "seed": seed,
            "final": {"accuracy": cell.mean},
        }
        for cell in cells
    ]


def _cell(row: dict[str, Any]) -> str:
    std = "" if row["std"] is None else f" ({100 * row['std']:.1f})"
    target = TARGETS.get((row["strategy"], row["cell"]["epsilon"]))
    wanted = "" if target is None else f", target {100 * target:.1f}"
    return f"{100 * row['mean']:.1f}{std}{wanted}"


def _draw(result: dict[str, Any], path: Path) -> Path:
    from federation.drawing import COLOURS, MARKERS, canvas, mark, save

    figure, axes = canvas(1, 1, (7.4, 4.8))
    axis = axes[0, 0]
    for index, name in enumerate(MECHANISMS):
        rows = [row for row in result["summary"] if row["strategy"] == name]
        mean = [100 * row["mean"] for row in rows]
        style = {"color": COLOURS[index], "marker": MARKERS[index], "ms": 5, "lw": 1.6}
        label = "dp-gd: each clinic alone" if name == "dp-gd" else name
        axis.plot(EPSILONS, mean, label=label, **style)
        low, high = ([100 * (row[e] or row["mean"]) for row in rows] for e in _ENDS)
        axis.fill_between(EPSILONS, low, high, color=COLOURS[index], alpha=0.15, lw=0)
    axis.set_xscale("log")
    axis.set_xticks(EPSILONS, [f"{epsilon:g}" for epsilon in EPSILONS])
    axis.minorticks_off()
    axis.set_xlabel("ε asked for (larger is less private)")
    axis.set_ylabel("held-out accuracy (%)")
    axis.set_ylim(60, 100)
    mark(axis, 100 * result["floors"]["mean_rule"], "untrained mean rule")
    mark(axis, 100 * result["floors"]["majority"], "majority class")
    axis.legend(loc="lower right", fontsize=8, bbox_to_anchor=(1.0, 0.16))
    title = (
        f"20 clinics, BCWD, δ = {DELTA:g}; bands: 95 % interval of the mean over "
        f"{result['settings']['splits']} splits"
    )
    return save(figure, path, title)


_ENDS = ("ci95_low", "ci95_high")
