"""What clients hold: labelled records (BCWD or any table by a schema file) and CARRADA's frames."""

from pathlib import Path

from datasets.errors import DataError
from datasets.table import Table

__all__ = ["DataError", "Table", "load_table"]


def load_table(
    data: str | Path | None = None, schema: str | Path | None = None, missing: str = "drop"
) -> Table:
    """Load the records that a run is about: the single front door for tabular data.

    Parameters
    ----------
    data
        The data file; None for the BCWD that is shipped.
    schema
        A schema file (see `datasets.schema`) that describes `data`; None if it has BCWD's format.
    missing
        `drop` incomplete records, or fill gaps with the column's `median` over the whole file
        (a public statistic by assumption, and one that has seen the test rows).

    Returns
    -------
    Table
        The complete records.

    Raises
    ------
    DataError
        If anything about the files or the choice is wrong, in one line.
    """
    if schema is None:
        from datasets import bcwd

        return bcwd.load(data, missing)
    if data is None:
        raise DataError(f"schema {schema} describes no data: give the data file as well")
    from datasets.schema import read_table

    return read_table(data, schema, missing)
