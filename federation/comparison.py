"""A comparison from grid to result.json: what is kept is not run again, what is new is kept.

Every finished run is in the results database before the next is waited for, so that Ctrl-C, a
crash or SIGKILL cost at most the runs that were under way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from federation.cells import AT_ONCE, BaselineDone, Done, Task, baseline_of, vectorised, work
from federation.compare import Cell, summarise_grid
from federation.database.rows import DONE, FAILED, Finished
from federation.database.store import ResultsStore
from federation.fingerprint import all_versions, difference, key_of
from federation.flags import UsageError
from federation.live.view import View
from federation.market_runs import summary_of_markets
from federation.parallel import map_parallel
from federation.repeat import metrics_in
from federation.results import floors_of, result_of
from federation.statistics import summarise
from strategies.settings import Settings

Entry = dict[str, Any]
Progress = Callable[[float], None]


@dataclass
class Comparison:
    """A grid of cells and what is known of them.

    Parameters
    ----------
    grid : sequence of Cell
        Every run, in order.
    store : ResultsStore
        Where finished runs are kept.
    entries : dict of str
        ``{key: entry}`` of the runs that are finished.
    failures : dict of str
        ``{key: reason}`` of those that failed now; a resumed comparison tries them again.
    view : View
        Told of every run as it ends.
    """

    grid: Sequence[Cell]
    store: ResultsStore
    entries: dict[str, Entry] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    baselines: dict[Settings, Mapping[str, Any]] = field(default_factory=dict)
    view: View = field(default_factory=View)

    def __post_init__(self) -> None:
        """Fingerprint every cell."""
        self.keys = [key_of(cell.settings) for cell in self.grid]

    @property
    def kept(self) -> int:
        """Return how many runs of the grid are finished."""
        return len(set(self.keys) & set(self.entries))

    def take_over(self, resume: bool) -> None:
        """Take finished runs from the database, or refuse to touch them.

        Raises
        ------
        UsageError
            When there are some and ``--resume`` was not said, or when it was said and all that is
            there was made by other settings, data or code.
        """
        self.entries = self.store.finished(self.keys)
        if self.entries and not resume:
            raise UsageError(
                f"{self.store.shown} holds {self.kept} of these {len(self.grid)} runs: add "
                "--resume to keep them and go on, or name another --out"
            )
        if resume and not self.entries and self.store.count():
            raise UsageError(
                f"--resume: no run in {self.store.shown} is of this comparison"
                f"{self._changed()}; runs of both would not be comparable: name another --out"
            )

    def run(self, workers: int | None, progress: Progress) -> None:
        """Run what is missing, on all cores; finished runs are kept as they come."""
        tasks = [*self._tasks(), *self._baseline_tasks()]
        if tasks:
            map_parallel(work, tasks, workers, progress, keep=self._keep)

    def result(self, command: str) -> dict[str, Any]:
        """Return the dict of result.json for the runs that are finished."""
        found = [
            (cell, self.entries[key])
            for cell, key in zip(self.grid, self.keys, strict=True)
            if key in self.entries
        ]
        runs = [entry for _, entry in found]
        first = self.grid[0].settings
        means = summary_of_markets(runs) if first.is_market else None
        summary = summarise_grid(runs, first.strategy, means)
        blocks = [self._block(cells, entry) for cells, entry in _by_cell(found)]
        shared = blocks[0]["baselines"] if blocks else {}
        return result_of(first, runs, summary, shared) | {
            "cells": blocks,
            "failed": [
                {
                    "strategy": cell.settings.strategy,
                    "cell": dict(cell.swept),
                    "seed": cell.settings.seed,
                    "reason": self.failures[key],
                }
                for cell, key in zip(self.grid, self.keys, strict=True)
                if key in self.failures
            ],
            "command": command,
        }

    def _tasks(self) -> Iterator[Task]:
        """Return the missing cells as tasks; the first seed of a cell keeps its details."""
        first = min(cell.settings.seed for cell in self.grid)
        together: dict[Settings, list[Cell]] = {}
        for cell, key in zip(self.grid, self.keys, strict=True):
            if key in self.entries:
                continue
            traced = cell.settings.seed == first
            if traced or not vectorised(cell.settings):
                yield Task((cell,), traced)
            else:
                together.setdefault(cell.settings.changed(seed=0), []).append(cell)
        for cells in together.values():
            for start in range(0, len(cells), AT_ONCE):
                yield Task(tuple(cells[start : start + AT_ONCE]))

    def _baseline_tasks(self) -> Iterator[Task]:
        wanted = dict.fromkeys(baseline_of(cell.settings) for cell in self.grid)
        for settings in wanted:
            if settings is not None:
                yield Task(baseline=settings)

    def _keep(self, found: list[Done] | BaselineDone) -> None:
        if isinstance(found, BaselineDone):
            self.baselines[found.settings] = found.metrics
            return
        keys = [key_of(done.cell.settings) for done in found]
        self.store.record(*(_finished(done, key) for done, key in zip(found, keys, strict=True)))
        for done, key in zip(found, keys, strict=True):
            if done.failure:
                self.failures[key] = f"{done.cell}: {done.failure}"
                self.view.failed(done.cell.settings.strategy, dict(done.cell.swept))
            else:
                self.entries[key] = done.entry
                self.view.finished(done.entry)

    def _changed(self) -> str:
        """Return in words what the most similar run in the database has of its own."""
        first = self.grid[0].settings
        ours = {**first.shown(), **all_versions()}
        found = [
            difference(ours, {**row["settings"], **row["versions"]})
            for row in self.store.similar(first.strategy, first.seed)
        ]
        if not found:
            return ""
        fewest = min(found, key=len)
        return f" ({'; '.join(fewest[:3]) or 'its data file was another'})"

    def _block(self, cells: Sequence[Cell], entry: Entry) -> dict[str, Any]:
        settings = cells[0].settings
        return {
            "strategy": settings.strategy,
            "cell": entry["cell"],
            "swept": dict(cells[0].swept),
            "settings": settings.shown(),
            "floors": {} if settings.is_market else floors_of(settings),
            "baselines": self._baselines(cells),
        }

    def _baselines(self, cells: Sequence[Cell]) -> dict[str, Any]:
        """Return each baseline on the splits of these seeds; the first seed's figures beside."""
        of_seeds = [
            self.baselines[settings]
            for cell in cells
            if (settings := baseline_of(cell.settings)) in self.baselines and settings is not None
        ]
        if not of_seeds:
            return {}
        return {
            name: dict(of_seeds[0][name])
            | {
                "summary": {
                    metric: summarise([_number(row[name][metric]) for row in of_seeds]).as_dict()
                    for metric in metrics_in(of_seeds[0][name])
                }
            }
            for name in of_seeds[0]
        }


def open_store(place: str | Path) -> ResultsStore:
    """Open the database of a comparison."""
    return ResultsStore(place)


def _finished(done: Done, key: str) -> Finished:
    return Finished(
        key=key,
        command="compare",
        status=FAILED if done.failure else DONE,
        settings=done.cell.settings.shown(),
        versions=all_versions(),
        started=done.started,
        seconds=done.seconds,
        entry=done.entry | ({"failure": done.failure} if done.failure else {}),
        details=done.details,
    )


def _by_cell(found: Sequence[tuple[Cell, Entry]]) -> Iterator[tuple[list[Cell], Entry]]:
    groups: dict[tuple[str, Any], tuple[list[Cell], Entry]] = {}
    for cell, entry in found:
        key = (cell.settings.strategy, cell.swept)
        groups.setdefault(key, ([], entry))[0].append(cell)
    yield from groups.values()


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
