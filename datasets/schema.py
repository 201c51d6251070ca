"""Reading any delimited table with a small schema file, TOML or JSON.

    name = "wdbc"                       # optional; the data file's stem by default
    columns = ["mean radius", "...", "diagnosis", "patient", "note"]  # needed without a header
    label = "diagnosis"                 # the label column
    positive = "malignant"              # its positive class
    negative = "benign"                 # optional; by default the one other label in the file
    id = "patient"                      # optional patient column; by default every row is its own
    ignore = ["note"]                   # optional columns to leave out
    missing = "?"                       # optional marker of a missing value
    delimiter = ","                     # optional
    header = true                       # optional: the file's first line names the columns
    bounds = [0, 100]                   # optional public [low, high] of all features, or a table:
    bounds = {"mean radius" = [5, 30]}  # ... of each, every feature named
    public_bounds = true                # optional; false if the bounds were taken from the records

Columns that are neither label nor id nor ignored are the features: decimal numbers up to 1e300.

Bounds are what is known of a feature without looking at any record: the scale of a grade, the range
of a detector. A value outside them is refused. Without them each feature's minimum and maximum over
the complete records of the whole file stand in, widened where constant. Those are a statistic of
private data: they are marked as not public (`Table.public_bounds`), strategies clamp to them, and
no privacy budget is charged for them, so a guarantee holds only where they may be known.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from datasets.bounds import LARGEST, Bounds
from datasets.delimited import decimal, rows_of
from datasets.errors import DataError, one_line, shown
from datasets.files import read_text
from datasets.rows import RowBuffer
from datasets.schema_file import Schema, read_schema
from datasets.table import Table

__all__ = ["Schema", "parse_table", "read_schema", "read_table"]

_INDEX = re.compile(r"[0-9]{1,18}")  # fits int64


def read_table(path: str | Path, schema_path: str | Path, missing: str = "drop") -> Table:
    """Read a delimited file as its schema file says.

    Parameters
    ----------
    path
        The data.
    schema_path
        The schema, `.toml` or `.json`.
    missing
        `drop` incomplete records, or fill a gap with its column's `median` over the whole file
        (see `datasets.rows.RowBuffer.table` for what that leaks).

    Returns
    -------
    Table
        The complete records.

    Raises
    ------
    DataError
        By file and line, if a row is malformed; if either file cannot be read.
    """
    return parse_table(path, read_schema(schema_path), missing)


def parse_table(
    path: str | Path, schema: Schema, missing: str = "drop", *, numbered_ids: bool = False
) -> Table:
    """Read a delimited file by a schema at hand.

    Parameters
    ----------
    path
        The data.
    schema
        What its columns mean.
    missing
        `drop` or `median`.
    numbered_ids
        Whether ids are patient indices, to be kept as they are, in place of names to be numbered.

    Returns
    -------
    Table
        The complete records.

    Raises
    ------
    DataError
        As `read_table`.
    """
    rows = rows_of(path, read_text(path), schema.delimiter)
    columns = _columns(path, schema, rows)
    try:
        names = schema.features(columns)
        bounds = schema.bounds_of(names)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    reader = _RowReader(path, schema, columns, names, bounds, numbered_ids=numbered_ids)
    buffer = RowBuffer(str(path), names)
    for line, row in rows:
        buffer.add(*reader.read(line, row))
    name = schema.name or one_line(Path(path).stem).strip() or "table"
    return buffer.table(
        missing,
        reader.classes(),
        name,
        renumber=not numbered_ids,
        bounds=bounds,
        public_bounds=bool(bounds) and schema.public_bounds is not False,
    )


def _columns(
    path: str | Path, schema: Schema, rows: Iterator[tuple[int, list[str]]]
) -> tuple[str, ...]:
    if not schema.header:
        return schema.columns
    line, header = next(rows, (1, []))
    if not header:
        raise DataError(f"{path}: no rows, give a file with a header and at least one record")
    if schema.columns and tuple(header) != schema.columns:
        raise DataError(f"{path}:{line}: header differs from the columns in the schema")
    if len(set(header)) != len(header):
        raise DataError(f"{path}:{line}: a column name stands twice in the header")
    for column in header:
        if not column or not column.isprintable():
            raise DataError(f"{path}:{line}: column name {shown(column)} is empty or not printable")
    return tuple(header)


class _RowReader:
    """Turns the fields of one row into (values, label, patient), or refuses them by line."""

    def __init__(
        self,
        path: str | Path,
        schema: Schema,
        columns: tuple[str, ...],
        features: tuple[str, ...],
        bounds: Bounds,
        *,
        numbered_ids: bool,
    ) -> None:
        self._path = path
        self._missing = schema.missing
        self._width = len(columns)
        self._label = columns.index(schema.label)
        self._id = None if schema.id is None else columns.index(schema.id)
        limits = bounds or ((-LARGEST, LARGEST),) * len(features)
        self._features = [
            (columns.index(name), name, *pair) for name, pair in zip(features, limits, strict=True)
        ]
        self._positive = schema.positive
        self._negative = schema.negative
        self._numbered_ids = numbered_ids
        self._patients: dict[str, int] = {}
        self._rows = 0

    def read(self, line: int, row: list[str]) -> tuple[list[float], int, int]:
        if len(row) != self._width:
            self._refuse(line, f"{len(row)} fields instead of {self._width}")
        values = [
            self._value(line, row[at], name, low, high) for at, name, low, high in self._features
        ]
        return values, self._sign(line, row[self._label]), self._patient(line, row)

    def classes(self) -> tuple[str, str]:
        return self._negative or f"not {self._positive}", self._positive

    def _value(self, line: int, field: str, name: str, low: float, high: float) -> float:
        if field == self._missing:
            return math.nan
        value = decimal(field)
        if math.isnan(value):
            self._refuse(line, f"{name} {shown(field)} is not a finite number")
        if not low <= value <= high:
            self._refuse(line, f"{name} {shown(field)} lies outside its bounds {low}..{high}")
        return value

    def _sign(self, line: int, label: str) -> int:
        if label == self._positive:
            return 1
        if self._negative is None and label and label != self._missing and label.isprintable():
            self._negative = label
        if label != self._negative:
            known = f"{shown(self._positive)} nor {shown(self._negative)}"
            self._refuse(line, f"label {shown(label)} is neither {known}")
        return -1

    def _patient(self, line: int, row: list[str]) -> int:
        if self._id is None:
            self._rows += 1
            return self._rows - 1
        name = row[self._id]
        if not name or name == self._missing:
            self._refuse(line, "the patient id is missing")
        if not self._numbered_ids:
            return self._patients.setdefault(name, len(self._patients))
        if not _INDEX.fullmatch(name):
            self._refuse(line, f"patient index {shown(name)} is not a whole number")
        return int(name)

    def _refuse(self, line: int, why: str) -> NoReturn:
        raise DataError(f"{self._path}:{line}: {why}")
