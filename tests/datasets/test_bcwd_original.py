"""The shipped copies are the original, and its published peculiarities are there."""

import hashlib
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from datasets import DataError, Table
from datasets.bcwd import load
from datasets.bcwd.original import DIRECTORY, SHA256, json_from_text, original_text

DATA = "breast-cancer-wisconsin.data"
JSON = "breast-cancer-wisconsin.json"


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """Return the fields of the 699 rows, read without our reader."""
    return [line.split(",") for line in (DIRECTORY / DATA).read_text().splitlines()]


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Return a directory with both shipped copies, to be damaged."""
    for name in (DATA, JSON):
        shutil.copy(DIRECTORY / name, tmp_path / name)
    return tmp_path


def test_hash_of_the_file() -> None:
    wanted = "402c585309c399237740f635ef9919dc512cca12cbeb20de5e563a4593f22b64"
    assert wanted == SHA256
    assert hashlib.sha256((DIRECTORY / DATA).read_bytes()).hexdigest() == wanted


def test_embedded_json_is_the_transcription() -> None:
    assert (DIRECTORY / JSON).read_text() == json_from_text((DIRECTORY / DATA).read_text())


def test_json_stands_in_for_an_absent_file(copies: Path) -> None:
    (copies / DATA).unlink()
    assert original_text(copies) == (DIRECTORY / DATA).read_text()


def test_json_stands_in_for_a_file_with_converted_line_ends(copies: Path) -> None:
    (copies / DATA).write_bytes((copies / DATA).read_bytes().replace(b"\n", b"\r\n"))
    assert original_text(copies) == (DIRECTORY / DATA).read_text()


@pytest.mark.parametrize(
    "json_text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"rows": 5}',
        '{"rows": [5]}',
        '{"rows": [[1, 2]]}',
        "[" * 100_000,
        b"\xff",
        "altered",
    ],
)
def test_refuses_when_both_copies_are_damaged(copies: Path, json_text: str | bytes | None) -> None:
    with (copies / DATA).open("a") as file:
        file.write("1,1,1,1,1,1,1,1,1,1,2\n")
    if json_text is None:
        (copies / JSON).unlink()
    elif json_text == "altered":
        text = (copies / JSON).read_text()
        (copies / JSON).write_text(text.replace("[1000025,5,", "[1000025,6,"))
    else:
        content = json_text.encode() if isinstance(json_text, str) else json_text
        (copies / JSON).write_bytes(content)
    with pytest.raises(DataError, match="neither"):
        original_text(copies)


def test_counts_of_the_note(rows: list[list[str]]) -> None:
    classes = defaultdict(set)
    for row in rows:
        classes[row[0]].add(row[-1])
    incomplete = [row for row in rows if "?" in row]
    assert len(rows) == 699
    assert len(incomplete) == 16
    assert all(row.index("?") == 6 and row.count("?") == 1 for row in incomplete)
    assert sum(row[-1] == "2" for row in incomplete) == 14
    assert len(classes) == 645
    both = {patient for patient, seen in classes.items() if len(seen) == 2}
    assert both == {"695091", "1171710", "1198641", "1299596"}
    assert len(rows) - len({tuple(row) for row in rows}) == 8
    assert len(rows) - len({tuple(row[1:10]) for row in rows}) == 236
    complete = [row for row in rows if "?" not in row]
    assert len(complete) - len({tuple(row) for row in complete}) == 8
    assert len(complete) - len({tuple(row[1:10]) for row in complete}) == 234


def test_drop(bcwd: Table, rows: list[list[str]]) -> None:
    complete = [row for row in rows if "?" not in row]
    assert bcwd.features.tolist() == [[float(value) for value in row[1:10]] for row in complete]
    assert bcwd.labels.tolist() == [{"2": -1, "4": 1}[row[10]] for row in complete]
    assert (len(bcwd), bcwd.features.shape[1]) == (683, 9)
    assert np.bincount(bcwd.labels + 1).tolist() == [444, 0, 239]
    assert bcwd.classes == ("benign", "malignant")
    assert len(bcwd.feature_names) == 9
    assert bcwd.feature_names[5] == "bare_nuclei"


def test_groups_number_the_ids(bcwd: Table, rows: list[list[str]]) -> None:
    ids = np.array([row[0] for row in rows if "?" not in row])
    assert set(bcwd.groups.tolist()) == set(range(630))
    same_id = ids[:, None] == ids[None, :]
    same_group = bcwd.groups[:, None] == bcwd.groups[None, :]
    assert np.array_equal(same_id, same_group)


def test_median_keeps_every_row(rows: list[list[str]]) -> None:
    table = load(missing="median")
    gaps = np.array(["?" in row for row in rows])
    assert len(table) == 699
    assert set(table.groups.tolist()) == set(range(645))
    assert (table.features[gaps, 5] == 1).all()
    known = table.features[~gaps]
    assert np.array_equal(known, load().features)


def test_floors(bcwd: Table) -> None:
    says_malignant = bcwd.features.mean(axis=1) >= 3
    assert int((says_malignant == (bcwd.labels == 1)).sum()) == 666
    assert round(666 / 683, 3) == 0.975
    assert round(444 / 683, 3) == 0.650
