"""The one shape in which every room sees labelled records."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datasets.bounds import Bounds, check_pair, observed
from datasets.errors import DataError, shown

BINARY = 2


def check_name(what: str, name: object) -> None:
    """Refuse a column, class or table name that would not survive a CSV header or a message.

    Parameters
    ----------
    what
        What is named, for the message.
    name
        The name.

    Raises
    ------
    DataError
        If it is no text, empty, padded with blanks, or holds unprintable characters.
    """
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
        raise DataError(f"{what} {shown(name)} must be non-empty printable text, without padding")


@dataclass(frozen=True, eq=False)
class Table:
    """Complete labelled records. Arrays are copied on the way in and read-only afterwards.

    Parameters
    ----------
    features
        (n, d) float64, raw values, finite.
    labels
        (n,) int8. Of two classes: +1 for the positive one (malignant), -1 for the other. Of K > 2
        classes: 1..K, the place in `classes`.
    groups
        (n,) int64, patient index: equal for records of one patient (on CARRADA of one track). A
        freshly read table numbers its G patients 0..G-1; what `take` returns keeps the numbers, so
        parts stay comparable.
    feature_names
        d distinct column names.
    classes
        Names of the (negative, positive) class, or of K > 2 classes in the order of their labels.
    name
        Name of the data set.
    bounds
        d pairs (low, high), low < high, of each feature over the whole data set: no value lies
        outside. Empty: as observed in these records (see `datasets.bounds.observed`).
    public_bounds
        Whether the bounds are known without looking at any record. Observed ones are not: they
        are a statistic of private data, for which no privacy budget is charged.
    recordings
        (n,) int64, index of the recording (sequence) a record is from, several groups each; empty
        where records stand alone.

    Raises
    ------
    DataError
        If shapes, values or names break the above.
    """

    features: NDArray[np.float64]
    labels: NDArray[np.int8]
    groups: NDArray[np.int64]
    feature_names: tuple[str, ...]
    classes: tuple[str, ...]
    name: str
    bounds: Bounds = ()
    public_bounds: bool = False
    recordings: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        self._freeze("features", np.float64)
        self._freeze("labels", np.int8)
        self._freeze("groups", np.int64)
        self._freeze("recordings", np.int64)
        object.__setattr__(self, "feature_names", tuple(self.feature_names))
        object.__setattr__(self, "classes", tuple(self.classes))
        self._check_names()
        self._check_arrays()
        self._settle_bounds()

    def _freeze(self, field: str, dtype: type[np.generic]) -> None:
        given = np.asarray(getattr(self, field))
        array = np.array(given, dtype=dtype, order="C")
        if dtype is not np.float64 and not np.array_equal(array, given):
            raise DataError(f"table {field} must be whole numbers that fit {array.dtype}")
        array.setflags(write=False)
        object.__setattr__(self, field, array)

    def _check_names(self) -> None:
        for column in self.feature_names:
            check_name("column name", column)
        if len(set(self.feature_names)) != len(self.feature_names):
            raise DataError("column names of a table must be distinct")
        if len(self.classes) < BINARY or len(set(self.classes)) != len(self.classes):
            raise DataError(f"a table has two or more distinct classes, not {shown(self.classes)}")
        for label in self.classes:
            check_name("class name", label)
        check_name("table name", self.name)

    def _check_arrays(self) -> None:
        rows = len(self.labels) if self.labels.ndim == 1 else -1
        if self.features.shape != (rows, len(self.feature_names)):
            raise DataError(
                f"features of shape {self.features.shape} do not fit labels of shape "
                f"{self.labels.shape} and {len(self.feature_names)} column names"
            )
        if self.groups.shape != (rows,):
            raise DataError(f"groups of shape {self.groups.shape} do not fit {rows} labels")
        if not np.isfinite(self.features).all():
            raise DataError("features must be finite: drop or impute missing values first")
        if len(self.recordings) and self.recordings.shape != (rows,):
            raise DataError(f"recordings of shape {self.recordings.shape} do not fit {rows} labels")
        if len(self.classes) > BINARY:
            if not ((self.labels >= 1) & (self.labels <= len(self.classes))).all():
                raise DataError(
                    f"labels of {len(self.classes)} classes must be 1 or more, up to it"
                )
        elif not (np.abs(self.labels) == 1).all():
            raise DataError("labels must be +1 (positive class) or -1")
        if (self.groups < 0).any():
            raise DataError("patient indices must not be negative")

    def _settle_bounds(self) -> None:
        if self.public_bounds and not len(self.bounds):
            raise DataError("observed bounds are not public: state bounds as well")
        given = self.bounds if len(self.bounds) else observed(self.features)
        if len(given) != len(self.feature_names):
            raise DataError(f"{len(given)} bounds do not fit {len(self.feature_names)} columns")
        bounds = tuple(
            check_pair(f"bounds of {shown(name)}", pair)
            for name, pair in zip(self.feature_names, given, strict=True)
        )
        object.__setattr__(self, "bounds", bounds)
        low, high = np.array(bounds, dtype=np.float64).reshape(-1, 2).T
        outside = ((self.features < low) | (self.features > high)).any(axis=0)
        if outside.any():
            at = int(outside.argmax())
            ends = "{}..{}".format(*bounds[at])
            raise DataError(f"{shown(self.feature_names[at])} has values outside its bounds {ends}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: ArrayLike) -> "Table":
        """Return the rows at the given positions, in that order.

        Parameters
        ----------
        indices
            (k,) integer row positions, 0..n-1; may repeat, may be empty.

        Returns
        -------
        Table
            k rows; patient numbers unchanged, bounds still those of the whole table.

        Raises
        ------
        TypeError
            If `indices` are not integers (a boolean mask: pass `np.flatnonzero(mask)`).
        IndexError
            If a position lies outside the table.
        """
        rows = np.asarray(indices)
        if rows.size and rows.dtype.kind not in "iu":
            raise TypeError(f"take wants integer positions, not {rows.dtype}")
        rows = rows.astype(np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"row position outside 0..{len(self) - 1}")
        return Table(
            features=self.features[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            feature_names=self.feature_names,
            classes=self.classes,
            name=self.name,
            bounds=self.bounds,
            public_bounds=self.public_bounds,
            recordings=self.recordings[rows] if len(self.recordings) else self.recordings,
        )
