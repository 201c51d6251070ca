"""A picture for each rule and level of privacy: who is in and who is out, round by round."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from federation.drawing import BLUE, GREY, VERMILION, canvas, save
from federation.statistics import Summary

COLUMNS = 4
MOST_MARKERS = 25
"""Rounds that are marked on a line of many."""
LINES: Mapping[str, tuple[str, str, str]] = {
    "malicious": (VERMILION, "s-", "attackers' share of the merge (winners, in an auction)"),
    "found": (BLUE, "o-", "attackers shut out"),
    "honest_out": (GREY, "^--", "honest clinics shut out"),
}
"""Colour, marker and words of each rate."""


def split_level(level: str) -> tuple[str, str]:
    """Return the mechanism of a level of privacy, and its epsilon, empty without noise."""
    if level == "none":
        return "no noise", ""
    if level.startswith("global-"):
        return "global-dp", level.removeprefix("global-")
    return "dp-gd", level


def level_name(level: str) -> str:
    """Return a level of privacy in words, on one line."""
    mechanism, epsilon = split_level(level)
    return f"{mechanism} ε {epsilon}" if epsilon else mechanism


def draw_rounds(
    rates: Mapping[str, Mapping[str, Sequence[Summary]]], path: Path, title: str
) -> Path:
    """Draw the rates of each attack over the rounds, means over seeds with 95 % intervals.

    Parameters
    ----------
    rates : mapping
        By attack, metric and round, as :func:`federation.trust_rounds.over_rounds` gives them.
    path : Path
        PNG to write.
    title : str
    """
    rows = -(-len(rates) // COLUMNS)
    columns = min(COLUMNS, len(rates))
    figure, axes = canvas(rows, columns, (2.9 * columns + 0.9, 1.9 * rows + 1.5))
    for place, (attack, found) in enumerate(rates.items()):
        axis = axes.flat[place]
        for metric, (colour, style, _) in LINES.items():
            _draw(axis, found[metric], colour, style)
        axis.set_title("nobody attacks" if attack == "none" else attack, fontsize=10)
        axis.set_ylim(-4, 104)
        axis.tick_params(labelsize=8)
        if place % columns == 0:
            axis.set_ylabel("%", fontsize=9)
        if place + columns >= len(rates):
            axis.set_xlabel("round", fontsize=9)
    for axis in axes.flat[len(rates) :]:
        axis.set_visible(False)
    _legend(figure)
    seeds = max(point.n for found in rates.values() for point in found["malicious"])
    return save(figure, path, f"{title}\nmean of {seeds} runs, 95 % intervals")


def _draw(axis: Any, points: Sequence[Summary], colour: str, style: str) -> None:
    mean, low, high = (
        100 * np.array([getattr(point, name) for point in points])
        for name in ("mean", "ci95_low", "ci95_high")
    )
    if np.isnan(mean).all():
        return
    numbers = np.arange(1, len(points) + 1)
    axis.fill_between(
        numbers, np.clip(low, 0, 100), np.clip(high, 0, 100), color=colour, alpha=0.18, lw=0
    )
    every = -(-len(points) // MOST_MARKERS)
    axis.plot(numbers, mean, style, color=colour, ms=3, lw=1.2, markevery=every)
    axis.xaxis.get_major_locator().set_params(integer=True)


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=style[0], ls=style[1:], ms=4, label=words)
        for colour, style, words in LINES.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
