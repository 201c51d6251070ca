"""What a split must not cut: single records, or all the records of a patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.errors import DataError, check_choice
from datasets.table import BINARY, Table

UNITS = ("record", "patient", "track", "sequence")


@dataclass(frozen=True, eq=False)
class Units:
    """The u indivisible pieces of a table.

    Parameters
    ----------
    of_row
        (n,) int64, the unit each row belongs to, 0..u-1.
    sizes
        (u,) int64, rows of each unit.
    labels
        (u,) int8, the unit's majority label; when tied +1, or the lowest of more than two classes.
    """

    of_row: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.sizes)

    def rows(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """List the rows of some units.

        Parameters
        ----------
        units
            (k,) unit indices.

        Returns
        -------
        numpy.ndarray
            Sorted int64 row positions.
        """
        chosen = np.zeros(len(self), dtype=bool)
        chosen[units] = True
        return np.flatnonzero(chosen[self.of_row]).astype(np.int64)


def units_of(table: Table, unit: str) -> Units:
    """Cut a table into its units.

    Parameters
    ----------
    table
        n records.
    unit
        `record`; `patient`, on CARRADA `track`: the table's groups; `sequence`: its recordings.

    Returns
    -------
    Units
        n units of one row, or one per distinct patient, track or sequence.

    Raises
    ------
    DataError
        If the unit is unknown, or the table does not know its recordings.
    """
    check_choice("unit", unit, UNITS)
    if unit == "record":
        count = len(table)
        return Units(np.arange(count), np.ones(count, dtype=np.int64), table.labels)
    if unit == "sequence" and len(table.recordings) != len(table):
        raise DataError(f"{table.name} is no set of recordings: its unit is record or patient")
    owners = table.recordings if unit == "sequence" else table.groups
    _, of_row, sizes = np.unique(owners, return_inverse=True, return_counts=True)
    labels = _majority(table, of_row, len(sizes))
    return Units(of_row.astype(np.int64), sizes.astype(np.int64), labels)


def _majority(table: Table, of_row: NDArray[np.intp], units: int) -> NDArray[np.int8]:
    if len(table.classes) > BINARY:
        votes = np.zeros((units, len(table.classes) + 1), dtype=np.int64)
        np.add.at(votes, (of_row, table.labels), 1)
        commonest: NDArray[np.int8] = votes.argmax(axis=1).astype(np.int8)
        return commonest
    balance = np.bincount(of_row, weights=table.labels, minlength=units)
    return np.where(balance >= 0, 1, -1).astype(np.int8)
