"""Databases in which state is kept: SQLite files of mode 0600 or any SQLAlchemy URL.

Nothing here waits without a bound: a database that somebody else holds, or that cannot be
reached, is an error after :data:`WAIT_SECONDS`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

WAIT_SECONDS = 10.0
"""Longest that a lock, a connection or a statement is waited for."""
OWNER_ONLY = 0o600
_READING = "federation_reading"
_CONNECT_TIMEOUT = {
    "pg8000": "timeout",
    "psycopg": "connect_timeout",
    "psycopg2": "connect_timeout",
}


def url_of(place: str | Path) -> URL:
    """Return the SQLAlchemy URL of a place: a URL as it is, a path as an SQLite file."""
    if isinstance(place, Path) or "://" not in place:
        return URL.create("sqlite", database=str(Path(place).expanduser().absolute()))
    return make_url(place)


def shown(place: str | Path) -> str:
    """Return what may be printed of a place: a path, or of a URL only its kind."""
    url = url_of(place)
    if url.get_backend_name() == "sqlite":
        return url.database or "an SQLite database in memory"
    return f"{url.drivername}://..."


def open_engine(
    place: str | Path, wait: float | None = None, *, every_commit: bool = False
) -> Engine:
    """Return an engine whose every wait is bounded; a new SQLite file is its owner's alone.

    Parameters
    ----------
    place : str or Path
        Path of an SQLite file, or any SQLAlchemy URL.
    wait : float, optional
        Seconds; :data:`WAIT_SECONDS` when None.
    every_commit : bool
        Whether a commit must outlast a crash of the machine, not only of the process: slower.
    """
    url, wait = url_of(place), WAIT_SECONDS if wait is None else wait
    if url.get_backend_name() != "sqlite":
        return _of_server(url, wait)
    if url.database and url.database != ":memory:":
        os.close(os.open(url.database, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
    engine = create_engine(url, connect_args={"timeout": wait})
    # pysqlite begins a transaction at the first write; what is checked must be inside it too.
    event.listen(engine, "connect", _by_hand if every_commit else _by_hand_and_quick)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Return a connection in one transaction; on SQLite nobody else writes meanwhile."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Return a connection that only reads and so stands in nobody's way."""
    with engine.connect().execution_options(**{_READING: True}) as connection:
        yield connection


def reason_of(fault: Exception) -> str:
    """Return in a few words why a database failed, without what its URL may hide."""
    if isinstance(fault, ImportError):
        return f"its driver is not installed ({fault.name})"
    if isinstance(fault, OSError):
        return fault.strerror or type(fault).__name__
    cause: Any = getattr(fault, "orig", None)
    if cause is not None and type(cause).__module__ == "sqlite3":
        return " ".join(str(cause).split())
    return f"{type(cause or fault).__name__}"


def _of_server(url: URL, wait: float) -> Engine:
    arguments: dict[str, Any] = {}
    name = _CONNECT_TIMEOUT.get(url.get_driver_name())
    if name:
        arguments[name] = max(1, round(wait))
    engine = create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_timeout=wait)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _bounded(wait))
    return engine


def _bounded(wait: float) -> Any:
    milliseconds = max(1, round(1000 * wait))

    def connected(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SET {name} = {milliseconds}")
        cursor.close()
        connection.commit()

    return connected


def _by_hand(connection: Any, _record: object) -> None:
    connection.isolation_level = None


def _by_hand_and_quick(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    with suppress(Exception):  # a file system without shared memory keeps the slower journal
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin(connection: Connection) -> None:
    only_reads = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


DATABASE_FAULTS = (SQLAlchemyError, ImportError, OSError)
"""What opening, reading or writing a database raises."""
