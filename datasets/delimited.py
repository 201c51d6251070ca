"""Delimited text whose rows are known by their line: CSV rows, headers, decimal numbers."""

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import DataError
from datasets.files import lines

MAX_COLUMNS = 10_000

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def rows_of(source: str | Path, text: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Iterate over the rows of a delimited text.

    Parameters
    ----------
    source
        The file, for messages.
    text
        Its content.
    delimiter
        One character.

    Yields
    ------
    tuple
        Number of the row's first line, and its fields without padding. Blank lines at the end
        are left out.

    Raises
    ------
    DataError
        By file and line, at a blank line amid the rows or broken quotes.
    """
    reader = csv.reader(lines(text), delimiter=delimiter, strict=True)
    blank = 0
    while True:
        start = reader.line_num + 1
        try:
            row = [field.strip() for field in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{source}:{start}: {error}") from error
        if not any(row) and len(row) <= 1:
            blank = blank or start
            continue
        if blank:
            raise DataError(f"{source}:{blank}: blank line amid the rows")
        yield start, row


def decimal(field: str) -> float:
    """Read a finite decimal number, stricter than `float`: ASCII digits, no `1_0`, no `inf`.

    Parameters
    ----------
    field
        The text.

    Returns
    -------
    float
        Its value; NaN if it is no such number.
    """
    value = float(field) if _NUMBER.fullmatch(field) else math.nan
    return value if math.isfinite(value) else math.nan
