"""Runs in and out of a results database; every write is whole runs in one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, func, insert, select

from federation.database.models import TABLES, Round, Run
from federation.database.opening import DatabaseError, open_database, shown, usable, writing
from federation.database.rows import DONE, Finished, Row, detail_rows, run_row

Item = TypeVar("Item")
_MANY = 500
"""Keys of one query: databases bound the number of its parameters."""
LISTED = (
    "id",
    "status",
    "command",
    "dataset",
    "strategy",
    "attack",
    "epsilon",
    "seed",
    "accuracy",
    "seconds",
    "started",
)


class ResultsStore:
    """A results database.

    Parameters
    ----------
    place : str or Path
        File or SQLAlchemy URL.
    create : bool
        Whether to make a database that is not there.

    Raises
    ------
    DatabaseError
        As :func:`federation.database.opening.open_database`; so does every method when the
        database cannot be read or written any more.
    """

    def __init__(self, place: str | Path, *, create: bool = True) -> None:
        self.place = place
        self.engine = open_database(place, create=create)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()

    @property
    def shown(self) -> str:
        """Return what may be printed of where it is."""
        return shown(self.place)

    def record(self, *runs: Finished) -> list[int]:
        """Write runs with all their rows in one transaction; return their numbers."""
        with usable(self.place), writing(self.engine) as connection:
            return [_insert(connection, run) for run in runs]

    def finished(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return ``{key: entry of result.json}`` of the keys that a finished run has.

        Of several runs with one key the first is taken: their numbers are the same.
        """
        entries: dict[str, dict[str, Any]] = {}
        with usable(self.place), self.engine.connect() as connection:
            for some in _chunks(list(dict.fromkeys(keys))):
                chosen = select(Run.key, func.min(Run.id)).where(
                    Run.key.in_(some), Run.status == DONE
                )
                rows = connection.execute(chosen.group_by(Run.key)).all()
                numbers: dict[str, int] = {row[0]: row[1] for row in rows}
                loaded = _entries(connection, list(numbers.values()))
                entries |= {key: loaded[number] for key, number in numbers.items()}
        return entries

    def runs(self, number: int | None = None) -> list[Row]:
        """Return the listed columns of every run, or of one, in order."""
        query = select(*(getattr(Run, name) for name in LISTED)).order_by(Run.id)
        if number is not None:
            query = query.where(Run.id == number)
        with usable(self.place), self.engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def run(self, number: int) -> Row:
        """Return one run: its listed columns, settings, versions and entry of result.json.

        Raises
        ------
        DatabaseError
            When there is no such run.
        """
        with usable(self.place), self.engine.connect() as connection:
            columns = (*LISTED, "key", "settings", "versions")
            query = select(*(getattr(Run, name) for name in columns)).where(Run.id == number)
            row = connection.execute(query).first()
            if row is None:
                count = connection.execute(select(func.count()).select_from(Run)).scalar()
                raise DatabaseError(
                    f"no run {number} in {self.shown}, which has {count}: see runs list"
                )
            return dict(row._mapping) | {"entry": _entries(connection, [number])[number]}

    def similar(self, strategy: str, seed: int) -> list[Row]:
        """Return settings and versions of finished runs of a strategy and seed, newest first."""
        query = (
            select(Run.settings, Run.versions)
            .where(Run.strategy == strategy, Run.seed == seed, Run.status == DONE)
            .order_by(Run.id.desc())
            .limit(_MANY)
        )
        with usable(self.place), self.engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def count(self) -> int:
        """Return how many finished runs there are."""
        query = select(func.count()).select_from(Run).where(Run.status == DONE)
        with usable(self.place), self.engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _insert(connection: Connection, run: Finished) -> int:
    result = connection.execute(insert(Run).values(run_row(run)))
    (number,) = result.inserted_primary_key or (None,)
    for table, rows in detail_rows(run).items():
        if rows:
            connection.execute(insert(TABLES[table]), [{"run_id": number, **row} for row in rows])
    return int(number or 0)


def _entries(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return entries with their rounds back in place, by the number of the run."""
    rounds: dict[int, list[Any]] = {}
    query = select(Round.run_id, Round.record).where(Round.run_id.in_(numbers))
    for number, record in connection.execute(query.order_by(Round.run_id, Round.round)):
        rounds.setdefault(number, []).append(record)
    found = {}
    for number, entry in connection.execute(select(Run.id, Run.entry).where(Run.id.in_(numbers))):
        if "rounds" in entry:
            entry["rounds"] = rounds.get(number, [])
        found[number] = entry
    return found


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), _MANY):
        yield items[start : start + _MANY]


def iterate(connection: Connection, query: Any) -> Iterable[Row]:
    """Return rows of a query one by one, without holding all of them."""
    for row in connection.execution_options(yield_per=_MANY).execute(query):
        yield dict(row._mapping)
