"""Opening a results database: created or brought to the newest schema, or refused in one line."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from sqlite3 import Error as SQLiteError
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from federation.database.models import SCHEMA, TABLES, VERSION_TABLE, Base
from federation.outputs import DatabaseError as DatabaseError

WAIT_SECONDS = 60
MAX_CHECKED_BYTES = 1 << 28
_WRITING = "federation_writing"


def open_database(place: str | Path, *, create: bool = True) -> Engine:
    """Open the results database at a path or URL; its schema is the newest afterwards.

    Parameters
    ----------
    place : str or Path
        A file of SQLite, or any SQLAlchemy URL.
    create : bool
        Whether to make a database that is not there.

    Returns
    -------
    Engine
        Write through :func:`writing`.

    Raises
    ------
    DatabaseError
        When it is of a newer schema, half-written, of somebody else, or out of reach.
    """
    with usable(place):
        url = url_of(place)
        new = _prepared(url, place, create)
        engine = _engine(url)
        with closed_on_error(engine):
            if not new:
                _check_pages(engine, url)
            # Reading first: most openings find the newest schema, and need no lock.
            if new or _state(engine, place) != SCHEMA:
                _migrate(engine, place)
        return engine


def url_of(place: str | Path) -> URL:
    """Return the URL of a path or of the text of a URL."""
    if isinstance(place, Path) or "://" not in place:
        return URL.create("sqlite", database=str(Path(place).expanduser()))
    return make_url(place)


def shown(place: str | Path) -> str:
    """Return what may be printed of a database's place: a path, or only the kind of a URL."""
    name = str(place)
    kind, is_url, rest = name.partition("://")
    if is_url and kind.startswith("sqlite"):
        return rest.lstrip("/") if not rest.startswith("//") else rest[1:]
    return f"{kind}://..." if is_url else name


@contextmanager
def usable(place: str | Path) -> Iterator[None]:
    """Turn whatever a database is refused for into one line, without what its URL may hide."""
    try:
        yield
    except (SQLAlchemyError, ImportError, OSError, ValueError) as fault:
        if isinstance(fault, DatabaseError):
            raise
        reason = _reason(fault)
        raise DatabaseError(
            f"results database {shown(place)}: {reason}; name another with --database, or move "
            "this one away"
        ) from fault


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Return a connection in one transaction that no other process can come between."""
    with engine.connect().execution_options(**{_WRITING: True}) as connection, connection.begin():
        yield connection


@contextmanager
def closed_on_error(engine: Engine) -> Iterator[None]:
    """Close all connections when the block fails."""
    try:
        yield
    except BaseException:
        engine.dispose()
        raise


def _prepared(url: URL, place: str | Path, create: bool) -> bool:
    """Return whether the database is a file that is not there yet; refuse what cannot be one."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return False
    path = Path(url.database)
    if path.is_dir():
        raise DatabaseError(f"results database {shown(place)}: is a directory; name a file")
    if path.exists():
        return False
    if not create:
        raise DatabaseError(f"results database {shown(place)}: no such file; name that of a run")
    path.parent.mkdir(parents=True, exist_ok=True)
    return True


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url)
    engine = create_engine(url, connect_args={"timeout": WAIT_SECONDS})
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begun)
    return engine


def _connected(connection: SQLiteConnection, _record: object) -> None:
    # SQLAlchemy begins transactions itself (below): sqlite3 would begin them too late.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # With a write-ahead log safe but for the last run, and only if the whole machine stops.
    connection.execute("PRAGMA synchronous = NORMAL")


def _begun(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _check_pages(engine: Engine, url: URL) -> None:
    """Read a SQLite file through once, unless it is large: a torn one is found now, not later."""
    if engine.dialect.name != "sqlite" or not url.database or not Path(url.database).is_file():
        return
    if Path(url.database).stat().st_size <= MAX_CHECKED_BYTES:
        with engine.connect() as connection:
            found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
        if found != "ok":
            raise DatabaseError(
                f"results database {url.database}: the file is damaged ({_line(found)}); move it "
                "away, its runs are in result.json too"
            )


def _state(engine: Engine, place: str | Path) -> str | None:
    """Return the schema that is there, None for a database without our tables.

    Raises
    ------
    DatabaseError
        When it is newer than this program, or tables are missing or not ours.
    """
    with engine.connect() as connection:
        return _state_of(connection, place)


def _state_of(connection: Connection, place: str | Path) -> str | None:
    present = set(inspect(connection).get_table_names())
    ours = present & set(TABLES)
    found = None
    if VERSION_TABLE in present:
        query = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - our own constant
        found = connection.execute(query).scalar()
    if found is None:
        if ours:
            raise DatabaseError(
                f"results database {shown(place)}: has a table {min(ours)!r} that this program did "
                "not make, or made by half; name another with --database"
            )
        return None
    if str(found) > SCHEMA:
        raise DatabaseError(
            f"results database {shown(place)}: made by a newer version of this program (schema "
            f"{_line(found)}, known up to {SCHEMA}); update, or name another with --database"
        )
    if str(found) == SCHEMA and ours != set(TABLES):
        lost = ", ".join(sorted(set(TABLES) - ours))
        raise DatabaseError(
            f"results database {shown(place)}: half-written, without {lost}; move it away, or name "
            "another with --database"
        )
    return str(found)


def _migrate(engine: Engine, place: str | Path) -> None:
    if engine.dialect.name == "sqlite":
        _log_ahead(engine)
    with writing(engine) as connection:
        found = _state_of(connection, place)
        if found is None:
            create(connection)
        elif found != SCHEMA:  # unless another process was faster
            upgrade(connection)


def create(connection: Connection) -> None:
    """Make all tables at once; a test holds them against the migrations."""
    Base.metadata.create_all(connection, checkfirst=False)
    name = "version_num VARCHAR(32) NOT NULL PRIMARY KEY"
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} ({name})"))
    version = text(f"INSERT INTO {VERSION_TABLE} VALUES (:version)")  # noqa: S608 - our constant
    connection.execute(version, {"version": SCHEMA})


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, in the transaction that is open."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    scripts = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", scripts)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _log_ahead(engine: Engine) -> None:
    """Let readers not stop a writer; a file system without it keeps the slower journal."""
    connection = engine.raw_connection()  # outside any transaction, where the mode may change
    try:
        with suppress(SQLiteError):
            connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _reason(fault: Exception) -> str:
    if isinstance(fault, ImportError):
        return f"its driver is not installed ({_line(fault)})"
    cause: Any = getattr(fault, "orig", None)
    if cause is not None and type(cause).__module__ == "sqlite3":
        return _line(cause)
    if isinstance(fault, OSError):
        return fault.strerror or type(fault).__name__
    # What a driver of a server says may hold the URL: its kind of fault has to do.
    return f"cannot be used ({type(fault).__name__})"


def _line(value: object) -> str:
    return " ".join(str(value).split())
