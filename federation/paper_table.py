"""The reproduction table: this code's accuracies beside the reference ones, with tolerance.

The reference is the mean (standard deviation) over 300 seeds on which two independent
prototypes agreed; the paper itself prints no table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from federation.paper_claims import CLAIMS, EPSILON, claim_accuracies
from federation.paper_runs import CONVERGED_RATE, FIG3_CLIENTS
from federation.parallel import map_parallel
from federation.statistics import Summary, reproduction_tolerance, summarise
from federation.vectorised import cohort, federate
from strategies.presets import compose

EPSILONS = (5.0, 10.0, 20.0, 25.0, 30.0, 50.0)
CLIP_ONLY = 1e12  # an epsilon whose noise is below rounding: what clipping alone costs
TARGETS = MappingProxyType(
    {
        "paper-std": (
            *((55.0, 28.0), (68.0, 26.0), (84.5, 7.9), (85.6, 6.5), (86.5, 5.7), (88.5, 4.3)),
            (90.1, 2.5),
        ),
        "paper-variance": (
            *((73.6, 22.0), (83.4, 9.0), (85.9, 6.4), (86.4, 6.0), (86.8, 5.7), (87.9, 4.8)),
            (90.2, 2.5),
        ),
    }
)
COLUMNS = (*(f"{epsilon:g}" for epsilon in EPSILONS), "none")
LEVELS = MappingProxyType(
    {
        "svm": "centralised LinearSVC",
        "converged": f"non-private federation, learning rate {CONVERGED_RATE:g}",
        "paper-std/clipped": "clipped but not noised, paper-std",
        "paper-variance/clipped": "clipped but not noised, paper-variance",
        **{
            f"fixed {clients}": f"\u03b5 = {EPSILON:g}, {clients} clinics with 10 records each"
            for clients in FIG3_CLIENTS
        },
        "private converged": f"\u03b5 = {EPSILON:g}, learning rate {CONVERGED_RATE:g}",
        "private log": f"\u03b5 = {EPSILON:g}, log features",
    }
)
BEGIN, END = "<!-- reproduction table: begin -->", "<!-- reproduction table: end -->"


@dataclass(frozen=True)
class Comparison:
    """One cell of the table, in percent."""

    preset: str
    column: str
    measured: Summary
    target_mean: float
    target_std: float
    tolerance: float

    @property
    def within(self) -> bool:
        """Return whether the measured mean lies within the tolerance of the target."""
        return abs(self.measured.mean - self.target_mean) <= self.tolerance

    def as_dict(self) -> dict[str, Any]:
        """Return the fields in order, and the verdict."""
        return asdict(self) | {"measured": self.measured.as_dict(), "within": self.within}


def privacy_table(
    seeds: Sequence[int],
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Measure both presets and the baselines over ``seeds``.

    Returns
    -------
    dict
        ``reproduces``: whether every cell is within tolerance; ``cells``: one dict for each
        preset and column with measured summary, target, tolerance and ``within``;
        ``levels``: summaries of other accuracies; ``claims``: summaries of paired differences.
        All in percent or percentage points.
    """
    by_seed = map_parallel(accuracies, list(seeds), workers, progress)
    measured = {name: summarise([row[name] for row in by_seed]) for name in by_seed[0]}
    cells = comparisons(measured, len(by_seed))
    return {
        "seeds": len(by_seed),
        "reproduces": all(cell.within for cell in cells),
        "cells": [cell.as_dict() for cell in cells],
        "levels": {name: measured[name].as_dict() for name in LEVELS},
        "claims": {claim.text: claim.measured(by_seed).as_dict() for claim in CLAIMS},
    }


def accuracies(seed: int) -> dict[str, float]:
    """Return the accuracy in percent of every cell and of what the claims compare."""
    found = claim_accuracies(seed)
    for preset in TARGETS:
        settings = compose("global-dp", {}, preset)
        clinics = cohort(settings, seed)
        private = federate(clinics, settings, (*EPSILONS, CLIP_ONLY)).diagnoses
        plain = federate(clinics, settings, None).diagnoses
        names = [f"{preset}/{column}" for column in (*COLUMNS[:-1], "clipped")]
        found |= {name: 100 * each.accuracy for name, each in zip(names, private, strict=True)}
        found[f"{preset}/none"] = 100 * plain[0].accuracy
    return found


def comparisons(measured: dict[str, Summary], runs: int) -> list[Comparison]:
    """Set measured summaries, keyed ``preset/column``, beside their targets."""
    return [
        Comparison(
            preset,
            column,
            measured[f"{preset}/{column}"],
            mean,
            std,
            reproduction_tolerance(std, runs),
        )
        for preset, targets in TARGETS.items()
        for column, (mean, std) in zip(COLUMNS, targets, strict=True)
    ]


def markdown(result: dict[str, Any]) -> str:
    """Return the result of :func:`privacy_table` as Markdown tables."""
    lines = [*_head("preset", "", *COLUMNS)]
    for preset in TARGETS:
        cells = [cell for cell in result["cells"] if cell["preset"] == preset]
        measured = [_spread(cell["measured"]) for cell in cells]
        target = [f"{cell['target_mean']:.1f} ({cell['target_std']:.1f})" for cell in cells]
        verdict = [
            f"{'' if cell['within'] else 'OUT '}\u00b1{cell['tolerance']:.1f}" for cell in cells
        ]
        lines += [
            _row([preset, "measured", *measured]),
            _row(["", "reference", *target]),
            _row(["", "tolerance", *verdict]),
        ]
    lines += ["", f"Accuracy in percent, mean (standard deviation) over {result['seeds']} seeds."]
    lines += ["", *_head("accuracy", "%", "95 % interval of the mean")]
    for name, summary in result["levels"].items():
        lines.append(_row([LEVELS[name], _spread(summary), _interval(summary)]))
    lines += ["", *_head("difference, paired by seed", "points", "95 % interval of the mean")]
    for text, summary in result["claims"].items():
        lines.append(_row([text, _number(summary["mean"], "+.1f"), _interval(summary)]))
    return "\n".join(lines) + "\n"


def replace_table(document: str, table: str) -> str:
    """Return ``document`` with the text between its two table markers replaced.

    Raises
    ------
    ValueError
        When the document has no such markers.
    """
    if BEGIN not in document or END not in document:
        raise ValueError(f"the document lacks the lines {BEGIN!r} and {END!r}: add them")
    before, rest = document.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{table}{END}{rest.split(END, 1)[1]}"


def _spread(summary: Mapping[str, Any]) -> str:
    return f"{_number(summary['mean'])} ({_number(summary['std'])})"


def _interval(summary: Mapping[str, Any]) -> str:
    return f"{_number(summary['ci95_low'])} to {_number(summary['ci95_high'])}"


def _number(value: float | None, form: str = ".1f") -> str:
    if value is None:
        return "-"
    return format(round(value, 1) + 0.0, form)  # + 0.0 turns -0.0 into 0.0


def _head(*cells: str) -> tuple[str, str]:
    return _row(cells), _row(["---"] * len(cells))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
