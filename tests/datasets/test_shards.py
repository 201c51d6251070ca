"""Shards on disk: exact, private, all or none, never over somebody's files."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datasets import DataError, Table
from datasets.bounds import LARGEST
from datasets.partition import partition
from datasets.shards import read_shard, write_shards
from tests.datasets.samples import table_of


def same(one: Table, other: Table) -> bool:
    """Tell whether two tables are equal to the last bit."""
    return (
        one.features.tobytes() == other.features.tobytes()
        and one.labels.tobytes() == other.labels.tobytes()
        and one.groups.tobytes() == other.groups.tobytes()
        and (one.feature_names, one.classes, one.name)
        == (other.feature_names, other.classes, other.name)
        and (one.bounds, one.public_bounds) == (other.bounds, other.public_bounds)
    )


def test_round_trip_of_bcwd(bcwd: Table, tmp_path: Path) -> None:
    parts = partition(bcwd, 20, "dirichlet", seed=1, unit="patient")
    paths = write_shards(bcwd, parts, tmp_path / "a" / "b")
    assert [path.name for path in paths] == [f"clinic-{i:02d}.csv" for i in range(20)]
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == sorted(
        [*(path.name for path in paths), "schema.json"]
    )
    for path, part in zip(paths, parts, strict=True):
        assert same(read_shard(path), bcwd.take(part))


def test_bounds_of_the_whole_table_travel(tmp_path: Path) -> None:
    table = table_of([1, 1, 1])  # x = 0, 1, 2
    first, last = write_shards(table, [np.array([0]), np.array([1, 2])], tmp_path / "out")
    for path in (first, last):
        shard = read_shard(path)
        assert (shard.bounds, shard.public_bounds) == (((0.0, 2.0),), False)


names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=9)
columns = names | st.sampled_from(["class", "patient", 'a,"b'])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a table with any values, names, patient numbers, and bounds stated or observed."""
    rows, width = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    negative, positive = draw(st.lists(names, min_size=2, max_size=2, unique=True))
    finite = st.floats(-LARGEST, LARGEST)
    features = draw(hnp.arrays(np.float64, (rows, width), elements=finite))
    stated = draw(st.booleans())
    return Table(
        features=features,
        labels=draw(hnp.arrays(np.int8, rows, elements=st.sampled_from([1, -1]))),
        groups=draw(hnp.arrays(np.int64, rows, elements=st.integers(0, 10**18 - 1))),
        feature_names=tuple(draw(st.lists(columns, min_size=width, max_size=width, unique=True))),
        classes=(negative, positive),
        name=draw(names),
        bounds=((-LARGEST, LARGEST),) * width if stated else (),
        public_bounds=stated and draw(st.booleans()),
    )


@settings(max_examples=30, deadline=None)
@given(table=tables())
def test_any_table_round_trips(table: Table, tmp_path_factory: pytest.TempPathFactory) -> None:
    backwards = np.arange(len(table))[::-1]
    (path,) = write_shards(table, [backwards], tmp_path_factory.mktemp("any") / "out")
    assert same(read_shard(path), table.take(backwards))


def test_files_are_private(bcwd: Table, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        paths = write_shards(bcwd, [np.arange(5)], tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    for path in (*paths, tmp_path / "out" / "schema.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_overwrites_only_when_asked_and_only_shards(bcwd: Table, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write_shards(bcwd, [np.arange(5), np.arange(5, 9)], out)  # empty: free to take
    with pytest.raises(DataError, match="is not empty"):
        write_shards(bcwd, [np.arange(3)], out)
    (path,) = write_shards(bcwd, [np.arange(3)], out, overwrite=True)
    assert len(read_shard(path)) == 3
    assert len(list(out.iterdir())) == 2  # the second clinic of before is gone
    (out / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="holds more than shards"):
        write_shards(bcwd, [np.arange(3)], out, overwrite=True)
    assert (out / "thesis.txt").read_text() == "precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]  # no temporary files left


@pytest.mark.parametrize("failing_at", ["write", "rename"])
def test_a_failure_leaves_what_was_there(
    bcwd: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_at: str
) -> None:
    out = tmp_path / "out"
    (path,) = write_shards(bcwd, [np.arange(5)], out)
    if failing_at == "write":

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
    else:
        rename = Path.rename

        def fail_for_new(self: Path, target: Path) -> Path:
            if self.name == "new":
                raise OSError(28, "No space left on device")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(DataError, match="cannot be written: No space left"):
        write_shards(bcwd, [np.arange(3)], out, overwrite=True)
    monkeypatch.undo()
    assert len(read_shard(path)) == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_refuses_where_it_cannot_write(bcwd: Table, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for out, why in [
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "below", "cannot be written"),
        (tmp_path / "link", "symbolic link"),
        (tmp_path / "a\0b", "null character"),
        (tmp_path / ("x" * 300), "cannot be written"),
    ]:
        with pytest.raises(DataError, match=why):
            write_shards(bcwd, [np.arange(3)], out, overwrite=True)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([], "at least one row"),
        ([[0], []], "at least one row"),
        ([[[0]]], "at least one row"),
        ([[0, 1], [1, 2]], "in two shards"),
        ([[0, 0]], "in two shards"),
        ([[683]], "positions 0..682"),
        ([[-1]], "positions 0..682"),
        ([[0.5]], "positions 0..682"),
    ],
)
def test_refuses_parts(bcwd: Table, tmp_path: Path, parts: list[list[int]], why: str) -> None:
    with pytest.raises(DataError, match=why):
        write_shards(bcwd, [np.array(part) for part in parts], tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "bad", "why"),
    [
        (2, "1.0,2.0,benign,0", "4 fields instead of 11"),
        (3, ",".join(["5.0"] * 8 + ["nan", "benign", "0"]), "mitoses 'nan'"),
        (3, ",".join(["5.0"] * 9 + ["unknown", "0"]), "label 'unknown' is neither"),
        (3, ",".join(["5.0"] * 9 + ["benign", "-1"]), "patient index '-1'"),
        (3, ",".join(["5.0"] * 9 + ["benign", "9" * 19]), "patient index '999"),
        (3, ",".join(["5.0"] * 8 + ["10.5", "benign", "0"]), "mitoses '10.5' lies outside"),
        (1, "a,b", "header differs"),
    ],
)
def test_refuses_a_malformed_shard(
    bcwd: Table, tmp_path: Path, line: int, bad: str, why: str
) -> None:
    (path,) = write_shards(bcwd, [np.arange(5)], tmp_path / "out")
    content = path.read_text().splitlines()
    content[line - 1] = bad
    path.write_text("\n".join(content))
    with pytest.raises(DataError) as caught:
        read_shard(path)
    assert str(caught.value).startswith(f"{path}:{line}: {why}")


def test_refuses_a_shard_without_its_schema(bcwd: Table, tmp_path: Path) -> None:
    (path,) = write_shards(bcwd, [np.arange(5)], tmp_path / "out")
    schema = tmp_path / "out" / "schema.json"
    schema.write_text(json.dumps(json.loads(schema.read_text()) | {"extra": 1}))
    with pytest.raises(DataError, match="unknown schema key 'extra'"):
        read_shard(path)
    schema.unlink()
    with pytest.raises(DataError, match=r"schema\.json is missing beside it"):
        read_shard(path)
    with pytest.raises(DataError, match="No such file"):
        read_shard(tmp_path / "out" / "clinic-07.csv")
    with pytest.raises(DataError, match="is a directory"):
        read_shard(tmp_path)
