"""What has happened so far, bounded, between the thread that runs and those that serve pages.

The run appends and never waits; whoever serves reads copies. Nothing wakes a reader: it looks
again after a pause, so that a thousand rounds a second cost no more than five looks.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

from server.report import finite_values

MOST_ROWS = 2000
"""Rounds kept of a run of few participants; of a longer run older rounds are thinned."""
MOST_VALUES = 400_000
"""Rounds times participants that are kept."""
FEWEST_ROWS = 100
RUNNING, FINISHED, FAILED, INTERRUPTED = "running", "finished", "failed", "interrupted"


@dataclass
class Row:
    """One round as the page gets it; its text is made when somebody looks, and once."""

    values: Mapping[str, Any]
    _text: str = ""

    @property
    def number(self) -> int:
        """Return the round."""
        return int(self.values["round"])

    @property
    def text(self) -> str:
        """Return the row as JSON."""
        if not self._text:
            metrics = finite_values(dict(self.values["metrics"]))
            row = {**self.values, "metrics": metrics}
            self._text = json.dumps(row, separators=(",", ":"), allow_nan=False)
        return self._text


@dataclass
class Feed:
    """Everything a page shows.

    Parameters
    ----------
    head : mapping
        What is told once: title, settings, number of rounds.
    most : int
        Rounds that are kept at most.
    most_values : int
        Rounds times participants that are kept at most.
    """

    head: Mapping[str, Any]
    most: int = MOST_ROWS
    most_values: int = MOST_VALUES
    _rows: list[Row] = field(default_factory=list)
    _status: dict[str, Any] = field(default_factory=lambda: {"state": RUNNING, "message": ""})
    _changed: Condition = field(default_factory=Condition)

    def add(self, values: Mapping[str, Any]) -> None:
        """Append a round; where there are too many, every second of the older half goes."""
        with self._changed:
            self._rows.append(Row(values))
            width = max(1, len(values.get("reputations") or values.get("uploads") or ()))
            if len(self._rows) > max(FEWEST_ROWS, min(self.most, self.most_values // width)):
                del self._rows[1 : len(self._rows) // 2 : 2]

    def after(self, number: int, most: int) -> list[Row]:
        """Return up to ``most`` rounds after round ``number``, in order."""
        with self._changed:
            first = bisect_right(self._rows, number, key=lambda row: row.number)
            return self._rows[first : first + most]

    def last(self) -> Row | None:
        """Return the newest round."""
        with self._changed:
            return self._rows[-1] if self._rows else None

    def rows(self) -> Sequence[Row]:
        """Return all rounds that are kept."""
        with self._changed:
            return list(self._rows)

    def say(self, message: str) -> None:
        """Tell what the run is at, beside its rounds."""
        with self._changed:
            self._status = {**self._status, "message": message}

    def end(self, state: str, message: str = "", again: str = "") -> None:
        """Say how it ended, and by which command it can be watched again; wakes all readers."""
        with self._changed:
            self._status = {"state": state, "message": message, "again": again}
            self._changed.notify_all()

    @property
    def status(self) -> dict[str, Any]:
        """Return ``state``, ``message`` and, at the end, ``again``."""
        with self._changed:
            return self._status

    @property
    def ended(self) -> bool:
        """Return whether no more will come."""
        return bool(self.status["state"] != RUNNING)

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._status["state"] != RUNNING, seconds)
