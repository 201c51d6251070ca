"""The schema file: what the columns of a delimited table mean. Format: see `datasets.schema`."""

import json
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from datasets.bounds import Bounds, StatedBounds, check_stated, per_feature
from datasets.delimited import MAX_COLUMNS
from datasets.errors import DataError, check_choice, shown
from datasets.files import read_text
from datasets.table import check_name

SCHEMA_LIMIT = 2**22


@dataclass(frozen=True)
class Schema:
    """What the columns of a table mean; validated on construction.

    Parameters
    ----------
    label
        The label column.
    positive
        Label of the positive class.
    negative
        Label of the other class; None: the one other label met in the file.
    columns
        All columns in the file's order; empty: as the header says.
    id
        Column that tells patients apart; None: every row is a patient.
    ignore
        Columns to leave out.
    missing
        Marker of a missing value; None: there are none.
    delimiter
        One character.
    header
        Whether the first line names the columns.
    name
        Name of the data set; None: the data file's stem.
    bounds
        (low, high) of every feature, or of each by name; None: as observed in the file.
    public_bounds
        Whether stated bounds are public; None: they are.

    Raises
    ------
    DataError
        If a value has the wrong type or contradicts another.
    """

    label: str
    positive: str
    negative: str | None = None
    columns: tuple[str, ...] = ()
    id: str | None = None
    ignore: tuple[str, ...] = ()
    missing: str | None = None
    delimiter: str = ","
    header: bool = True
    name: str | None = None
    bounds: StatedBounds | None = None
    public_bounds: bool | None = None

    def __post_init__(self) -> None:
        for key in ("label", "positive", "negative", "id", "name"):
            if getattr(self, key) is not None or key in ("label", "positive"):
                check_name(key, getattr(self, key))
        for key in ("columns", "ignore"):
            self._check_list(key)
        if self.missing is not None and not isinstance(self.missing, str):
            raise DataError(f"missing {shown(self.missing)} must be text")
        if not isinstance(self.header, bool):
            raise DataError(f"header {shown(self.header)} must be true or false")
        if not isinstance(self.delimiter, str) or len(self.delimiter) != 1:
            raise DataError(f"delimiter {shown(self.delimiter)} must be one character")
        if self.delimiter == '"' or not (self.delimiter.isprintable() or self.delimiter == "\t"):
            raise DataError(f"delimiter {shown(self.delimiter)} cannot separate columns")
        if self.positive == self.negative:
            raise DataError(f"positive and negative label are both {shown(self.positive)}")
        if self.missing is not None and self.missing in (self.positive, self.negative):
            raise DataError(f"missing {shown(self.missing)} is also a label")
        self._check_bounds()
        if self.columns:
            self.bounds_of(self.features(self.columns))
        elif not self.header:
            raise DataError("columns must be listed when the file has no header")

    def _check_list(self, key: str) -> None:
        names = getattr(self, key)
        if not isinstance(names, list | tuple):
            raise DataError(f"{key} {shown(names)} must be a list of column names")
        for name in names:
            check_name(f"{key}: name", name)
        if len(set(names)) != len(names):
            raise DataError(f"{key}: a name stands twice")
        object.__setattr__(self, key, tuple(names))

    def _check_bounds(self) -> None:
        if self.public_bounds is not None and not isinstance(self.public_bounds, bool):
            raise DataError(f"public_bounds {shown(self.public_bounds)} must be true or false")
        if self.public_bounds is not None and self.bounds is None:
            raise DataError("public_bounds says whether bounds are public: state bounds as well")
        if self.bounds is not None:
            object.__setattr__(self, "bounds", check_stated(self.bounds))

    def bounds_of(self, features: tuple[str, ...]) -> Bounds:
        """Return the stated bounds of the feature columns.

        Parameters
        ----------
        features
            The d feature columns.

        Returns
        -------
        tuple of (float, float)
            d pairs (low, high); empty if none are stated.

        Raises
        ------
        DataError
            If bounds are given by name, and not for exactly these columns.
        """
        return () if self.bounds is None else per_feature(self.bounds, features)

    def features(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return the feature columns among all columns.

        Parameters
        ----------
        columns
            All columns of the file.

        Returns
        -------
        tuple of str
            Those that are neither label, id nor ignored, in the same order.

        Raises
        ------
        DataError
            If a column that the schema speaks of is not there, or no feature is left.
        """
        if len(columns) > MAX_COLUMNS:
            raise DataError(f"{len(columns)} columns, more than the limit of {MAX_COLUMNS}")
        special = [name for name in (self.label, self.id) if name is not None]
        for name in (*special, *self.ignore):
            check_choice("column", name, columns)
        if len({*special, *self.ignore}) != len(special) + len(self.ignore):
            raise DataError("label, id and ignored columns must differ")
        left = tuple(name for name in columns if name not in {*special, *self.ignore})
        if not left:
            raise DataError("no feature column is left beside label, id and ignored columns")
        return left


def read_schema(path: str | Path) -> Schema:
    """Read and validate a schema file.

    Parameters
    ----------
    path
        A `.toml` or `.json` file.

    Returns
    -------
    Schema
        What it says.

    Raises
    ------
    DataError
        If it cannot be read or parsed, has unknown or missing keys, or wrong values.
    """
    content = _parse(path, read_text(path, SCHEMA_LIMIT))
    try:
        for key in content:
            check_choice("schema key", key, [field.name for field in fields(Schema)])
        for key in ("label", "positive"):
            if key not in content:
                raise DataError(f"the schema must say what {key} is")
        return Schema(**{key: _as_text(key, value) for key, value in content.items()})
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _as_text(key: str, value: Any) -> Any:
    """Accept a plain whole number where a label or marker is meant: `positive = 4`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole and key in ("positive", "negative", "missing") else value


def _parse(path: str | Path, text: str) -> dict[str, Any]:
    suffix = Path(path).suffix.lower()
    check_choice("schema file type", suffix, (".toml", ".json"))
    try:
        if suffix == ".toml":
            return tomllib.loads(text)
        content = json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not valid {suffix[1:].upper()}: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a schema is an object with keys, not {shown(content)}")
    return content


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise DataError("a key stands twice")
    return content
