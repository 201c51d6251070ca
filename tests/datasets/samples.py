"""Rows and tables made up for the tests."""

import numpy as np

from datasets import Table

GOOD_ROW = "1000025,5,1,1,1,2,1,3,1,1,2\n"


def table_of(sizes: list[int], labels: list[int] | None = None) -> Table:
    """Build a table of one feature in which patient g has sizes[g] rows of label labels[g]."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    signs = np.repeat(np.resize([1, -1] if labels is None else labels, len(sizes)), sizes)
    rows = len(groups)
    return Table(np.arange(float(rows))[:, None], signs, groups, ("x",), ("no", "yes"), "toy")
