"""Reading any file of the UCI format `id,V1,...,V9,class`, one record a line."""

import math
import re
from pathlib import Path

from datasets.bcwd.original import original_text
from datasets.errors import DataError, check_choice, shown
from datasets.files import lines, read_text
from datasets.rows import MISSING, RowBuffer
from datasets.table import Table

FEATURE_NAMES = (
    "clump_thickness",
    "uniformity_of_cell_size",
    "uniformity_of_cell_shape",
    "marginal_adhesion",
    "single_epithelial_cell_size",
    "bare_nuclei",
    "bland_chromatin",
    "normal_nucleoli",
    "mitoses",
)
CLASSES = ("benign", "malignant")
BOUNDS = ((1.0, 10.0),) * len(FEATURE_NAMES)  # the grading scale, public

_ID = re.compile(r"[0-9]{1,18}")  # fits int64
_GRADE = {"?": math.nan} | {str(grade): float(grade) for grade in range(1, 11)}
_LABEL = {"2": -1, "4": 1}


def load(path: str | Path | None = None, missing: str = "drop") -> Table:
    """Load BCWD, or another file of its format.

    Parameters
    ----------
    path
        The file; None for the original that is shipped.
    missing
        What to do with records in which a value is `?` (16 in the original, all of them bare
        nuclei). `drop` leaves them out: 683 records of 630 patients. `median` fills in the
        column's median over the whole file (bare nuclei: 1): 699 records of 645 patients. That
        median is computed before any split, so it has seen the test rows, and it is taken as
        public: the privacy ledger is not charged for it. For BCWD the file is public anyway; for
        private data prefer `drop`.

    Returns
    -------
    Table
        Features (n, 9), grades 1..10 (half grades are possible where a median was filled in);
        label +1 for malignant (4), -1 for benign (2); groups number the sample ids. Bounds are
        the grading scale, 1..10, and public.

    Raises
    ------
    DataError
        By file and line, if a row is malformed; if the file cannot be read; if both shipped copies
        are damaged.
    """
    check_choice("missing", missing, MISSING)
    if path is None:
        return _parse("bcwd", original_text(), missing)
    return _parse(str(path), read_text(path), missing)


def parse_line(line: str, *, labelled: bool = True) -> tuple[str, list[float], int]:
    """Read one record.

    Parameters
    ----------
    line
        `id,V1,...,V9,class`, with or without its line end.
    labelled
        Whether the class is there.

    Returns
    -------
    tuple
        (id, nine grades with NaN for a missing one, +1 or -1; 0 where there is no class).

    Raises
    ------
    DataError
        If the line is malformed: only what is wrong, for the caller to say where.
    """
    fields = line.removesuffix("\n").removesuffix("\r").split(",")
    count = 1 + len(FEATURE_NAMES) + labelled
    if len(fields) != count:
        raise DataError(f"{len(fields)} fields instead of {count}")
    if not _ID.fullmatch(fields[0]):
        raise DataError(f"id {shown(fields[0])} is not a whole number")
    if labelled and fields[-1] not in _LABEL:
        raise DataError(f"class {shown(fields[-1])} is neither 2 nor 4")
    grades = fields[1 : 1 + len(FEATURE_NAMES)]
    for name, grade in zip(FEATURE_NAMES, grades, strict=True):
        if grade not in _GRADE:
            raise DataError(f"{name} {shown(grade)} is not a whole number 1..10 or ?")
    return fields[0], [_GRADE[grade] for grade in grades], _LABEL[fields[-1]] if labelled else 0


def _parse(source: str, text: str, missing: str) -> Table:
    buffer = RowBuffer(source, FEATURE_NAMES)
    patients: dict[int, int] = {}
    for number, line in enumerate(lines(text.rstrip("\r\n")), start=1):
        try:
            name, values, label = parse_line(line)
        except DataError as error:
            raise DataError(
                f"{source}:{number}: {error}; "
                "want id,V1..V9,class (give another table with a schema file)"
            ) from None
        buffer.add(values, label, patients.setdefault(int(name), len(patients)))
    return buffer.table(missing, CLASSES, "bcwd", bounds=BOUNDS, public_bounds=True)
