"""One file per clinic: what a deployed clinic reads by path from its `--node-config`.

A directory of shards holds `clinic-00.csv`, `clinic-01.csv`, ... and `schema.json`, which goes with
each of them to its clinic. The files stand for patients' data: directory 0700, files 0600.
`schema.json` carries the bounds of the whole table, public or not: where they were observed, each
clinic learns the minimum and maximum over all.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.errors import DataError
from datasets.files import read_bytes
from datasets.schema import Schema, parse_table, read_schema
from datasets.table import Table

SCHEMA_NAME = "schema.json"

_OURS = re.compile(r"clinic-[0-9]+\.csv|schema\.json")


def write_shards(
    table: Table,
    parts: Sequence[NDArray[np.int64]],
    out_dir: str | Path,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write one CSV per clinic, all or none.

    Everything is written to a temporary directory beside `out_dir`, which is then renamed.

    Parameters
    ----------
    table
        The whole data set.
    parts
        Row positions of each shard, as `datasets.partition.partition` returns them.
    out_dir
        Directory to make; it may exist if empty. Missing parents are made.
    overwrite
        Replace a directory that holds shards, and nothing else.

    Returns
    -------
    list of Path
        The CSV files, in the order of `parts`.

    Raises
    ------
    DataError
        If the parts are empty or overlap, or the directory is in use or cannot be written.
    """
    parts = _check_parts(table, parts)
    names = [f"clinic-{index:02d}.csv" for index in range(len(parts))]
    try:
        target = _free_directory(Path(out_dir), overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            fresh = Path(scratch, "new")
            fresh.mkdir(mode=0o700)
            schema = _schema(table)
            _write_private(fresh / SCHEMA_NAME, [json.dumps(_as_json(schema), indent=1), "\n"])
            for name, part in zip(names, parts, strict=True):
                _write_private(fresh / name, _csv_lines(table.take(part), schema))
            _swap_in(fresh, target, Path(scratch, "old"))
    except OSError as error:
        raise DataError(f"{out_dir}: cannot be written: {error.strerror or error}") from error
    return [target / name for name in names]


def read_shard(path: str | Path) -> Table:
    """Read one clinic's shard.

    Parameters
    ----------
    path
        A `clinic-NN.csv`; `schema.json` lies beside it.

    Returns
    -------
    Table
        Exactly the rows written: values to the last bit, patient numbers and bounds of the whole
        table.

    Raises
    ------
    DataError
        By file and line, if a row is malformed; if either file cannot be read.
    """
    schema_path = Path(path).parent / SCHEMA_NAME
    if "\0" in str(path) or not schema_path.exists():
        read_bytes(path)  # if the shard itself cannot be read, that is what to say
        raise DataError(
            f"{path}: {SCHEMA_NAME} is missing beside it, copy it from where it was cut"
        )
    return parse_table(path, read_schema(schema_path), numbered_ids=True)


def _check_parts(table: Table, parts: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    rows = [np.asarray(part) for part in parts]
    if not rows or any(part.ndim != 1 or not len(part) for part in rows):
        raise DataError("each shard needs at least one row")
    together = np.concatenate(rows)
    if together.dtype.kind not in "iu" or together.min() < 0 or together.max() >= len(table):
        raise DataError(f"rows of a shard must be positions 0..{len(table) - 1}")
    if len(np.unique(together)) != len(together):
        raise DataError("a row lies in two shards")
    return rows


def _free_directory(out_dir: Path, overwrite: bool) -> Path:
    if "\0" in str(out_dir):
        raise DataError(f"{out_dir}: cannot be written: a path has no null character")
    if out_dir.is_symlink():
        raise DataError(f"{out_dir}: is a symbolic link, give a directory of its own")
    target = out_dir.resolve()
    if not target.exists():
        return target
    if not target.is_dir():
        raise DataError(f"{out_dir}: is a file, give a directory to write shards to")
    held = [entry.name for entry in target.iterdir()]
    if held and not overwrite:
        raise DataError(
            f"{out_dir}: is not empty: give a new directory, or --overwrite earlier shards"
        )
    if not all(_OURS.fullmatch(name) for name in held):
        raise DataError(f"{out_dir}: holds more than shards, not overwritten: give a new directory")
    return target


def _swap_in(fresh: Path, target: Path, old: Path) -> None:
    """Rename `fresh` to `target`; what stood there goes to `old`, or back if the rename fails."""
    replaced = target.exists()
    if replaced:
        target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        if replaced:
            old.rename(target)
        raise


def _schema(table: Table) -> Schema:
    label = _free_name("class", table.feature_names)
    patient = _free_name("patient", (*table.feature_names, label))
    return Schema(
        label=label,
        positive=table.classes[1],
        negative=table.classes[0],
        columns=(*table.feature_names, label, patient),
        id=patient,
        name=table.name,
        bounds=dict(zip(table.feature_names, table.bounds, strict=True)),
        public_bounds=table.public_bounds,
    )


def _free_name(name: str, taken: tuple[str, ...]) -> str:
    while name in taken:
        name += "_"
    return name


def _as_json(schema: Schema) -> dict[str, object]:
    return {
        "name": schema.name,
        "columns": schema.columns,
        "label": schema.label,
        "positive": schema.positive,
        "negative": schema.negative,
        "id": schema.id,
        "bounds": schema.bounds,
        "public_bounds": schema.public_bounds,
    }


def _csv_lines(shard: Table, schema: Schema) -> Iterator[str]:
    yield ",".join(_quoted(name) for name in schema.columns) + "\n"
    label = {-1: _quoted(shard.classes[0]), 1: _quoted(shard.classes[1])}
    for values, sign, patient in zip(
        shard.features.tolist(), shard.labels.tolist(), shard.groups.tolist(), strict=True
    ):
        yield ",".join([*map(repr, values), label[sign], str(patient)]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


def _write_private(path: Path, chunks: Sequence[str] | Iterator[str]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())
