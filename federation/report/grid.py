"""result.json by strategy and combination of swept values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.report.numbers import (
    DIAGNOSIS,
    MARKET,
    RECOGNITION,
    Interval,
    Measure,
    Path,
    interval,
    text_of,
)

Result = Mapping[str, Any]
Swept = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Grid:
    """What a page asks of a result.

    Parameters
    ----------
    result : mapping
        result.json.
    strategies : tuple of str
        In the order of the comparison; the first is what others are held against.
    combinations : tuple
        Of swept values, in order; one empty one where nothing was swept.
    blocks : dict
        Path of each strategy's and combination's settings, floors and baselines.
    """

    result: Result
    strategies: tuple[str, ...]
    combinations: tuple[Swept, ...]
    blocks: Mapping[tuple[str, Swept], Path]
    _rows: Mapping[tuple[str, str, str], int]
    _cells: Mapping[tuple[str, Swept], str]

    @property
    def is_market(self) -> bool:
        """Return whether devices sold and users complained."""
        settings = self.result["settings"]
        return bool(settings["dataset"] == "carrada" and settings.get("task", "twin") == "twin")

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Return the metrics of the page, the one that ranks first."""
        if self.is_market:
            return MARKET
        binary = any(row["metric"] == "sensitivity" for row in self.result["summary"])
        return DIAGNOSIS if binary else RECOGNITION

    @property
    def seeds(self) -> int:
        """Return the number of seeds behind the means."""
        return max((int(row["n"]) for row in self.result["summary"]), default=1)

    def interval(
        self, strategy: str, swept: Swept, measure: Measure, suffix: str = ""
    ) -> Interval | None:
        """Return mean and interval of a metric, None where it was not measured."""
        cell = self._cells.get((strategy, swept))
        place = self._rows.get((strategy, str(cell), measure.name + suffix))
        return None if place is None else interval(self.result, ("summary", place), measure)

    def block(self, strategy: str, swept: Swept) -> Mapping[str, Any] | None:
        """Return settings, floors and baselines of a cell."""
        path = self.blocks.get((strategy, swept))
        if path is None:
            return None
        found: Any = self.result
        for part in path:
            found = found[part]
        return dict(found)

    def runs(self, strategy: str, swept: Swept) -> list[int]:
        """Return the places of a cell's runs."""
        return [
            place
            for place, run in enumerate(self.result["runs"])
            if run["strategy"] == strategy and swept_of(run) == swept
        ]

    def values(self, name: str) -> list[Any]:
        """Return the values that a setting was swept over, in order."""
        found = [dict(swept)[name] for swept in self.combinations if name in dict(swept)]
        return list(dict.fromkeys(found))

    def without(self, *names: str) -> list[Swept]:
        """Return the combinations of all other swept settings."""
        left = [tuple(pair for pair in c if pair[0] not in names) for c in self.combinations]
        return list(dict.fromkeys(left))

    def joined(self, rest: Swept, **values: Any) -> Swept | None:
        """Return the combination that has all these values, None where there is none."""
        wanted = {**dict(rest), **values}
        return next((c for c in self.combinations if dict(c) == wanted), None)


def grid_of(result: Result) -> Grid:
    """Lay a result out.

    Raises
    ------
    KeyError, TypeError, IndexError
        When it is no result of ``simulate`` or ``compare``.
    """
    cells: dict[tuple[str, Swept], str] = {}
    blocks: dict[tuple[str, Swept], Path] = {}
    for run in result["runs"]:
        cells.setdefault((run["strategy"], swept_of(run)), _key(run["cell"]))
    by_cell = {(b["strategy"], _key(b["cell"])): n for n, b in enumerate(result.get("cells", []))}
    for (strategy, swept), cell in cells.items():
        place = by_cell.get((strategy, cell))
        blocks[strategy, swept] = () if place is None else ("cells", place)
    rows = {
        (row["strategy"], _key(row["cell"]), row["metric"]): place
        for place, row in enumerate(result["summary"])
    }
    return Grid(
        result,
        tuple(dict.fromkeys(strategy for strategy, _ in cells)),
        tuple(dict.fromkeys(swept for _, swept in cells)),
        blocks,
        rows,
        cells,
    )


def swept_of(run: Mapping[str, Any]) -> Swept:
    """Return the swept values of a run, in the order of the sweeps."""
    return tuple(run.get("swept", {}).items())


def title_of(swept: Swept, names: Sequence[str] = ()) -> str:
    """Return a combination in words; ``attack none`` reads 'no attackers'."""
    shown = {key: value for key, value in swept if not names or key in names}
    words = [
        "no attackers" if (key, value) == ("attack", "none") else text_of({key: value})
        for key, value in shown.items()
    ]
    return ", ".join(words)


def _key(cell: Mapping[str, Any]) -> str:
    return json.dumps(cell)
