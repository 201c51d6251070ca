"""A comparison while it goes: which cells are done, which are running, who leads so far."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from federation.statistics import summarise

MOST_CELLS = 400
"""Cells that a board lists."""
LEADING = ("accuracy", "adjusted_welfare")
"""The figure that a leaderboard goes by: of clinics, of a market."""


@dataclass
class _Cell:
    strategy: str
    cell: Mapping[str, Any]
    total: int = 0
    failed: int = 0
    finals: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def left(self) -> int:
        return self.total - self.failed - len(self.finals)


class Cells:
    """Counts of runs by cell.

    Parameters
    ----------
    planned : sequence of (str, mapping)
        Strategy and swept values of every run, in the order in which they are started.
    workers : int
        Runs under way at once.
    """

    def __init__(self, planned: Sequence[tuple[str, Mapping[str, Any]]], workers: int = 1) -> None:
        self._cells: dict[str, _Cell] = {}
        self._order = [_key(strategy, cell) for strategy, cell in planned]
        self._workers, self._lock = workers, Lock()
        for strategy, cell in planned:
            found = self._cells.setdefault(_key(strategy, cell), _Cell(strategy, dict(cell)))
            found.total += 1

    def finished(self, run: Mapping[str, Any]) -> None:
        """Take the entry of a finished run; its ``swept`` values name its cell."""
        with self._lock:
            self._at(run["strategy"], run.get("swept", run["cell"])).finals.append(run["final"])

    def failed(self, strategy: str, cell: Mapping[str, Any]) -> None:
        """Count a run that failed."""
        with self._lock:
            self._at(strategy, cell).failed += 1

    def board(self, ended: bool = False) -> dict[str, Any]:
        """Return counts and leaderboard.

        Returns
        -------
        dict
            ``total``, ``done``, ``failed``, ``workers``, ``metric``; ``cells`` in the order of
            the grid, each with ``running``; ``leaders`` best mean first, with 95 % interval.
        """
        with self._lock:
            cells = list(self._cells.values())
            left = {key: cell.left for key, cell in self._cells.items()}
            finals = [list(cell.finals) for cell in cells]
            failed = [cell.failed for cell in cells]
        running = {} if ended else self._running(left)
        metric = _metric(finals)
        leaders = [
            {"strategy": cell.strategy, "cell": cell.cell} | _mean(values, metric)
            for cell, values in zip(cells, finals, strict=True)
            if values
        ]
        leaders.sort(key=lambda row: -row["mean"] if row["mean"] is not None else float("inf"))
        return {
            "total": len(self._order),
            "done": sum(map(len, finals)),
            "failed": sum(failed),
            "workers": self._workers,
            "metric": metric,
            "cells": [
                {
                    "strategy": cell.strategy,
                    "cell": cell.cell,
                    "total": cell.total,
                    "done": len(values),
                    "failed": lost,
                    "running": running.get(key, 0),
                }
                for (key, cell), values, lost in zip(
                    self._cells.items(), finals, failed, strict=True
                )
            ][:MOST_CELLS],
            "leaders": leaders[:MOST_CELLS],
        }

    def _at(self, strategy: str, cell: Mapping[str, Any]) -> _Cell:
        return self._cells.setdefault(_key(strategy, cell), _Cell(strategy, dict(cell)))

    def _running(self, left: Mapping[str, int]) -> dict[str, int]:
        """Return runs under way by cell: the first that are left, as workers take them in order."""
        free, found = self._workers, {}
        for key, count in left.items():
            if free and count > 0:
                found[key] = min(free, count)
                free -= found[key]
        return found


def _key(strategy: str, cell: Mapping[str, Any]) -> str:
    return json.dumps([strategy, sorted(cell.items())], default=str)


def _metric(finals: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    known = {name for values in finals for final in values[:1] for name in final}
    return next((name for name in LEADING if name in known), LEADING[0])


def _mean(finals: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    values = [float("nan") if final.get(metric) is None else final[metric] for final in finals]
    found = summarise(values).as_dict()
    return {name: found[name] for name in ("mean", "ci95_low", "ci95_high", "n")}
