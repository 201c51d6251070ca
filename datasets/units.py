"""What a split must not cut: single records, or all the records of a patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.errors import check_choice
from datasets.table import Table

UNITS = ("record", "patient")


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
        (u,) int8, the unit's majority label; +1 when tied.
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
        `record` or `patient`.

    Returns
    -------
    Units
        n units of one row, or one per distinct patient.

    Raises
    ------
    DataError
        If the unit is unknown.
    """
    check_choice("unit", unit, UNITS)
    if unit == "record":
        count = len(table)
        return Units(np.arange(count), np.ones(count, dtype=np.int64), table.labels)
    _, of_row, sizes = np.unique(table.groups, return_inverse=True, return_counts=True)
    votes = np.bincount(of_row, weights=table.labels, minlength=len(sizes))
    labels = np.where(votes >= 0, 1, -1).astype(np.int8)
    return Units(of_row.astype(np.int64), sizes.astype(np.int64), labels)
