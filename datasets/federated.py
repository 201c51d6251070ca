"""One table cut for a federation: the held-out set of the server and the shard of each clinic."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets import load_table
from datasets.errors import DataError
from datasets.partition import partition
from datasets.seeding import Purpose, generator
from datasets.split import holdout
from datasets.table import Table


@dataclass(frozen=True)
class FederatedTable:
    """A table with row numbers of the held-out set, every clinic's shard and a public slice."""

    table: Table
    test: NDArray[np.int64]
    shards: tuple[NDArray[np.int64], ...]
    public: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def train(self) -> NDArray[np.int64]:
        """Return the rows of all shards in order."""
        return np.sort(np.concatenate(self.shards))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return |D_i| of each clinic."""
        return tuple(len(shard) for shard in self.shards)


def cut(
    table: Table,
    *,
    clients: int,
    seed: int,
    scheme: str = "iid",
    sizes: tuple[float, ...] = (),
    alpha: float = 0.5,
    minimum: int = 1,
    test_fraction: float = 0.2,
    split: str = "record",
    unit: str = "record",
    public: int = 0,
) -> FederatedTable:
    """Hold out a test set, then partition the rest among ``clients``.

    Parameters are those of :func:`datasets.split.holdout` and
    :func:`datasets.partition.partition`; every choice is a function of ``seed``. Before the
    partition ``public`` random records are set aside that everybody may see.

    Raises
    ------
    datasets.errors.DataError
        When the table cannot be cut as asked.
    """
    train, test = holdout(table, test_fraction, split, seed)
    train, shown = _set_aside(train, public, seed)
    parts = partition(
        table.take(train),
        clients,
        scheme,
        seed=seed,
        minimum=minimum,
        alpha=alpha,
        sizes=sizes or None,
        unit=unit,
    )
    return FederatedTable(table, test, tuple(train[part] for part in parts), shown)


def _set_aside(
    train: NDArray[np.int64], public: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if not public:
        return train, np.zeros(0, np.int64)
    if public >= len(train):
        raise DataError(
            f"{public} public records of {len(train)} leave nothing to train on: set aside fewer"
        )
    shown = np.sort(generator(seed, Purpose.PUBLIC).permutation(train)[:public])
    return np.setdiff1d(train, shown, assume_unique=True), shown


@lru_cache(maxsize=4)
def _cached_table(data: str, schema: str, missing: str, stamp: Any) -> Table:
    return load_table(data or None, schema or None, missing)


def load(data: str, schema: str, missing: str) -> Table:
    """Read a table once per process for each (path, schema, treatment, file time)."""
    stamp = tuple(_stamp(path) for path in (data, schema) if path)
    return _cached_table(data, schema, missing, stamp)


@lru_cache(maxsize=4)
def load_objects(data: str, kind: str) -> Table:
    """Read the objects of a CARRADA root once per process; no path: of the generated scenes.

    Parameters are those of :func:`datasets.carrada.records.load_objects`.
    """
    from datasets.carrada.records import load_objects as read

    return read(data or None, kind)


def _stamp(path: str) -> tuple[int, int]:
    from pathlib import Path

    try:
        status = Path(path).stat()
    except (OSError, ValueError):  # ValueError: a null character in the path
        return (0, 0)  # the reader says what is wrong with it
    return (status.st_mtime_ns, status.st_size)
