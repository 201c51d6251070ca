"""Rows on their way from a text file into a table; what to do about missing values."""

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from datasets.bounds import Bounds
from datasets.errors import DataError, check_choice
from datasets.table import Table

MISSING = ("drop", "median")


class RowBuffer:
    """Grow flat arrays row by row: 8 bytes a value, whatever the file holds.

    Parameters
    ----------
    source
        The file, for messages.
    feature_names
        The d columns.
    """

    def __init__(self, source: str, feature_names: tuple[str, ...]) -> None:
        self._source = source
        self._names = feature_names
        self._values = array("d")
        self._labels = array("b")
        self._groups = array("q")

    def add(self, values: Iterable[float], label: int, group: int) -> None:
        """Append one record.

        Parameters
        ----------
        values
            d numbers, NaN for a missing one.
        label
            +1 or -1.
        group
            Patient number.
        """
        self._values.extend(values)
        self._labels.append(label)
        self._groups.append(group)

    def table(
        self,
        missing: str,
        classes: tuple[str, str],
        name: str,
        *,
        renumber: bool = True,
        bounds: Bounds = (),
        public_bounds: bool = False,
    ) -> Table:
        """Settle missing values and freeze the rows.

        Parameters
        ----------
        missing
            `drop` leaves incomplete rows out; `median` fills a gap with its column's median over
            all rows read, so the statistic has seen every row, later test rows included, and is
            taken as public: no privacy budget is charged for it.
        classes
            Names of the (negative, positive) class.
        name
            Name of the data set.
        renumber
            Number the patients that are left 0..G-1.
        bounds
            d pairs (low, high); empty: as observed in the complete rows.
        public_bounds
            Whether these bounds are public.

        Returns
        -------
        Table
            The complete rows.

        Raises
        ------
        DataError
            If `missing` is unknown, no row is left, or a column has no value at all.
        """
        check_choice("missing", missing, MISSING)
        labels = np.array(self._labels, dtype=np.int8)
        groups = np.array(self._groups, dtype=np.int64)
        features = np.array(self._values, dtype=np.float64).reshape(len(labels), len(self._names))
        if not len(labels):
            raise DataError(f"{self._source}: no rows, give a file with at least one record")
        if missing == "median":
            self._impute(features)
        kept = np.flatnonzero(~np.isnan(features).any(axis=1))
        if not len(kept):
            raise DataError(f"{self._source}: no complete row is left, try missing=median")
        groups = groups[kept]
        if renumber:
            groups = np.unique(groups, return_inverse=True)[1]
        return Table(
            features=features[kept],
            labels=labels[kept],
            groups=groups,
            feature_names=self._names,
            classes=classes,
            name=name,
            bounds=bounds,
            public_bounds=public_bounds,
        )

    def _impute(self, features: NDArray[np.float64]) -> None:
        for column, name in enumerate(self._names):
            gaps = np.isnan(features[:, column])
            if gaps.all():
                raise DataError(f"{self._source}: column {name} has no value to take a median of")
            if gaps.any():
                features[gaps, column] = np.median(features[~gaps, column])
