"""Small tables and files shared by the tests of the data room."""

from collections.abc import Callable
from pathlib import Path

import pytest

from datasets import Table, load_table


@pytest.fixture(scope="session")
def bcwd() -> Table:
    """Return the 683 complete records."""
    return load_table()


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file and gives its path."""

    def make(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make
