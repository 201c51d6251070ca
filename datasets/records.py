"""Reading records to diagnose: attributes without a need for labels, none of them missing."""

from array import array
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from datasets import bcwd
from datasets.bcwd.reader import parse_line
from datasets.delimited import MAX_COLUMNS, decimal, rows_of
from datasets.errors import DataError, shown
from datasets.files import lines, read_text

MAX_RECORDS = 1_000_000
MISSING_MARKS = ("", "?")
NAME_COLUMNS = ("id", "patient")  # the first that is there names the records


@dataclass(frozen=True, eq=False)
class Records:
    """Complete records, in the order of their file.

    Parameters
    ----------
    features
        (n, d) float64, finite, raw values; n >= 1.
    names
        n printable texts: ids as in the file, or else line numbers. Ids may repeat.
    labels
        (n,) int8, +1 for the positive class (malignant), -1 for the other; None if unknown.
    """

    features: NDArray[np.float64]
    names: list[str]
    labels: NDArray[np.int8] | None


def read_records(path: str | Path, attributes: tuple[str, ...], dataset: str) -> Records:
    """Read the records of a file that a trained model is to diagnose.

    Accepted are a CSV whose header names all attributes, in any order and among other columns, with
    names of the records in a column `id` or else `patient` if there is one; and for BCWD also lines
    without a header, `id,V1..V9` or `id,V1..V9,class`, the same for all. Only from the latter
    labels are taken.

    Parameters
    ----------
    path
        The file.
    attributes
        The d columns the model was trained on.
    dataset
        Name of the data set it was trained on.

    Returns
    -------
    Records
        Features in the order of `attributes`.

    Raises
    ------
    DataError
        By file and line, if a record is malformed, incomplete, or for BCWD has a grade outside
        1..10; if there are no records or more than `MAX_RECORDS`; if the file cannot be read.
    """
    text = read_text(path)
    collected = _Collected(path, len(attributes))
    is_bcwd = dataset == "bcwd" and attributes == bcwd.FEATURE_NAMES
    if is_bcwd and not _names_any(text, attributes):
        _read_bcwd(collected, text)
    else:
        _read_csv(collected, text, attributes, bcwd.BOUNDS[0] if is_bcwd else None)
    return collected.records()


class _Collected:
    """Records as they come, and the line of the current one for messages."""

    def __init__(self, path: str | Path, width: int) -> None:
        self.path = path
        self._width = width
        self._values = array("d")
        self._labels = array("b")
        self._names: list[str] = []
        self.line = 1

    def add(self, name: str, values: list[float], label: int = 0) -> None:
        if len(self._names) == MAX_RECORDS:
            self.refuse(f"more than {MAX_RECORDS} records, split the file")
        self._values.extend(values)
        self._labels.append(label)
        self._names.append(name)

    def records(self) -> Records:
        if not self._names:
            raise DataError(f"{self.path}: no records, give a file with at least one")
        features = np.array(self._values, dtype=np.float64).reshape(-1, self._width)
        labels = np.array(self._labels, dtype=np.int8)
        return Records(features, self._names, labels if labels.all() else None)

    def refuse(self, why: str) -> NoReturn:
        raise DataError(f"{self.path}:{self.line}: {why}")

    def refuse_missing(self, name: str) -> NoReturn:
        self.refuse(f"{name} is missing: predict needs complete records, fill in or leave out")


def _names_any(text: str, attributes: tuple[str, ...]) -> bool:
    """Tell whether the first line is a header, rather than a record without names in it."""
    first = next(lines(text), "")
    return any(name in first for name in attributes)


def _read_bcwd(collected: _Collected, text: str) -> None:
    width = 1 + len(bcwd.FEATURE_NAMES)
    labelled = next(lines(text), "").count(",") == width
    for number, line in enumerate(lines(text.rstrip("\r\n")), start=1):
        collected.line = number
        try:
            name, values, label = parse_line(line, labelled=labelled)
        except DataError as error:
            collected.refuse(
                f"{error}; want id,V1..V9 in every line, or id,V1..V9,class in every line, "
                "or a header with the attributes' names"
            )
        for column, value in zip(bcwd.FEATURE_NAMES, values, strict=True):
            if isnan(value):
                collected.refuse_missing(column)
        collected.add(name, values, label)


def _read_csv(
    collected: _Collected, text: str, attributes: tuple[str, ...], bound: tuple[float, float] | None
) -> None:
    rows = rows_of(collected.path, text)
    collected.line, header = next(rows, (1, []))
    if not header:
        return
    columns = [(name, _position(collected, header, name)) for name in attributes]
    named_by = next((c for c in NAME_COLUMNS if c in header and c not in attributes), None)
    names = None if named_by is None else _position(collected, header, named_by)
    for number, row in rows:
        collected.line = number
        if len(row) != len(header):
            collected.refuse(f"{len(row)} fields instead of {len(header)}")
        values = [_value(collected, name, row[at], bound) for name, at in columns]
        collected.add(str(number) if names is None else _name(collected, row[names]), values)


def _position(collected: _Collected, header: list[str], column: str) -> int:
    if len(header) > MAX_COLUMNS:
        collected.refuse(f"{len(header)} columns, more than the limit of {MAX_COLUMNS}")
    if column not in header:
        collected.refuse(f"no column {shown(column)}: want a header with the model's attributes")
    if header.count(column) > 1:
        collected.refuse(f"column {shown(column)} stands twice in the header")
    return header.index(column)


def _name(collected: _Collected, field: str) -> str:
    if field in MISSING_MARKS:
        collected.refuse(
            "the name is missing: fill it in, or remove the column to use line numbers"
        )
    if not field.isprintable():
        collected.refuse(f"name {shown(field)} is not printable")
    return field


def _value(
    collected: _Collected, name: str, field: str, bound: tuple[float, float] | None
) -> float:
    if field in MISSING_MARKS:
        collected.refuse_missing(name)
    value = decimal(field)
    if isnan(value):
        collected.refuse(f"{name} {shown(field)} is not a finite number")
    if bound is not None and not bound[0] <= value <= bound[1]:
        collected.refuse(f"{name} {shown(field)} is not a grade {bound[0]:g}..{bound[1]:g}")
    return value
