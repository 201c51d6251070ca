"""Tables as files: CSV for anybody, Parquet for pandas and its like."""

import csv
import json
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Integer, Table, select
from sqlalchemy.types import TypeEngine

from federation.database.models import TABLES, Base, JsonText
from federation.database.opening import usable
from federation.database.store import ResultsStore, iterate
from federation.flags import UsageError

FORMATS = ("csv", "parquet")
_BATCH = 50_000
Write = Callable[[Path, Table, Iterable[dict[str, Any]]], int]


def export(store: ResultsStore, out: Path, form: str) -> dict[Path, int]:
    """Write each table to a file of its own.

    Parameters
    ----------
    store : ResultsStore
        Whose runs.
    out : Path
        Directory, made where it is missing.
    form : str
        One of ``FORMATS``.

    Returns
    -------
    dict
        ``{path: rows}``.

    Raises
    ------
    UsageError
        For Parquet without pyarrow; nothing is written.
    """
    write = _csv if form == "csv" else _parquet_writer()
    out.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name in TABLES:
        table = Base.metadata.tables[name]
        path, part = out / f"{name}.{form}", out / f".{name}.{form}.part"
        query = select(*table.columns).order_by(*table.primary_key.columns)
        try:
            with usable(store.place), store.engine.connect() as connection:
                count = write(part, table, map(_plain, iterate(connection, query)))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        paths[path] = count
    return paths


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list) else value
        for name, value in row.items()
    }


def _csv(path: Path, table: Table, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [column.name for column in table.columns])
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _parquet_writer() -> Write:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            "--format parquet needs pyarrow: .venv/bin/pip install pyarrow, or use --format csv"
        ) from None

    def kind(of: TypeEngine[Any]) -> Any:
        if isinstance(of, JsonText):
            return pyarrow.string()
        for type_, found in (
            (Boolean, pyarrow.bool_()),
            (BigInteger, pyarrow.int64()),
            (Integer, pyarrow.int64()),
            (Float, pyarrow.float64()),
        ):
            if isinstance(of, type_):
                return found
        return pyarrow.string()

    def write(path: Path, table: Table, rows: Iterable[dict[str, Any]]) -> int:
        schema = pyarrow.schema([(column.name, kind(column.type)) for column in table.columns])
        count, source = 0, iter(rows)
        with parquet.ParquetWriter(path, schema) as writer:
            while batch := list(islice(source, _BATCH)):
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
                count += len(batch)
        return count

    return write
