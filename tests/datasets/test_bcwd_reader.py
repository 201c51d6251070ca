"""Files of BCWD's format: what is read, and what is refused by file and line."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets import DataError, files, load_table
from datasets.bcwd import load
from tests.datasets.samples import GOOD_ROW

Make = Callable[..., Path]


def row(**changes: str) -> str:
    """Return a good row with some fields changed: id, v1..v9, c."""
    names = ["id", *(f"v{i}" for i in range(1, 10)), "c"]
    fields = dict(zip(names, GOOD_ROW.strip().split(","), strict=True))
    return ",".join((fields | changes).values()) + "\n"


def refusal(path: str | Path, missing: str = "drop") -> str:
    """Return the one line with which a file is refused."""
    with pytest.raises(DataError) as caught:
        load(path, missing)
    message = str(caught.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("1,2,3\n", "3 fields instead of 11"),
        (GOOD_ROW.strip() + ",2\n", "12 fields instead of 11"),
        ("\n", "1 fields instead of 11"),
        (row(v3="11"), "uniformity_of_cell_shape '11'"),
        (row(v1="0"), "clump_thickness '0'"),
        (row(v1="-1"), "clump_thickness '-1'"),
        (row(v9="1.0"), "mitoses '1.0'"),
        (row(v9="nan"), "mitoses 'nan'"),
        (row(v9="1_0"), "mitoses '1_0'"),
        (row(v9=" 1"), "mitoses ' 1'"),
        (row(v9="\u0661"), "mitoses '\u0661'"),
        (row(v9=""), "mitoses ''"),
        (row(v6="NA"), "bare_nuclei 'NA'"),
        (row(c="3"), "class '3' is neither 2 nor 4"),
        (row(c="?"), "class '?' is neither 2 nor 4"),
        (row(c="malignant"), "class 'malignant'"),
        (row(id="?"), "id '?'"),
        (row(id="-5"), "id '-5'"),
        (row(id="9" * 19), "id '9999999999999999999'"),
        (row(id="x" * 1000), "id 'xxxx"),
    ],
)
def test_refuses_a_malformed_row_by_file_and_line(make_file: Make, bad: str, why: str) -> None:
    path = make_file(GOOD_ROW * 2 + bad + GOOD_ROW)
    message = refusal(path)
    assert message.startswith(f"{path}:3: {why}")
    assert len(message) < len(str(path)) + 200


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", ": no rows"),
        (b"\n\n", ": no rows"),
        (bytes(range(256)) * 50, ":2: byte 0x80 is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n", ":1: byte 0x89 is not UTF-8"),
        (GOOD_ROW.encode() + b"\0" * 500, ":2: 1 fields"),
        (GOOD_ROW.encode("utf-16"), ":1: byte 0xff is not UTF-8"),
        (b"id,a,b,c,d,e,f,g,h,i,class\n", ":1: id 'id'"),
        (b"\x1c\x85".join([b"a\n", b"b"]), ":2: byte 0x85"),
    ],
)
def test_refuses_what_is_no_table(make_file: Make, content: bytes, why: str) -> None:
    path = make_file(content)
    assert refusal(path).startswith(f"{path}{why}")


def test_all_rows_incomplete(make_file: Make) -> None:
    path = make_file(row(v6="?") + row(v6="?"))
    assert "no complete row is left" in refusal(path)
    assert "bare_nuclei has no value" in refusal(path, "median")


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "absent")
    assert "null" in refusal("a\0b")
    assert "cannot be read" in refusal("x" * 5000)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")
    assert "not a regular file" in refusal("/dev/zero")


def test_refuses_an_unreadable_file(make_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_file(GOOD_ROW)

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")  # not by chmod: root reads everything

    monkeypatch.setattr(Path, "open", denied)
    assert refusal(path) == f"{path}: cannot be read: Permission denied"


def test_refuses_a_huge_file_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)  # sparse: takes no space

    def no_open(*_: object) -> None:
        raise AssertionError("opened a file that is too large")

    monkeypatch.setattr(Path, "open", no_open)
    assert "more than the limit of 67108864" in refusal(path)


@pytest.mark.skipif(not Path("/proc/kallsyms").exists(), reason="no /proc")
def test_the_limit_holds_on_what_is_read() -> None:
    with pytest.raises(DataError, match="more than the limit of 100 bytes"):
        files.read_bytes("/proc/kallsyms", limit=100)  # its size is given as 0


def test_line_ends_and_byte_order_mark(make_file: Make) -> None:
    plain = load(make_file(GOOD_ROW * 3))
    windows = load(
        make_file(b"\xef\xbb\xbf" + GOOD_ROW.replace("\n", "\r\n").encode() * 3 + b"\r\n")
    )
    open_end = load(make_file((GOOD_ROW * 3).rstrip()))
    assert np.array_equal(plain.features, windows.features)
    assert np.array_equal(plain.features, open_end.features)
    assert len(plain) == 3
    assert plain.groups.tolist() == [0, 0, 0]


def test_median_by_hand(make_file: Make) -> None:
    path = make_file("".join(row(v6=value, id=str(i)) for i, value in enumerate("?1289?")))
    table = load(path, "median")
    assert table.features[:, 5].tolist() == [5, 1, 2, 8, 9, 5]  # (2 + 8) / 2
    assert len(load(path)) == 4
    assert load(path).groups.tolist() == [0, 1, 2, 3]


def test_refuses_an_unknown_treatment() -> None:
    with pytest.raises(DataError, match="did you mean 'median'"):
        load_table(missing="meadian")


@pytest.mark.parametrize("missing", ["drop", "median"])
def test_bounds_are_the_grading_scale(make_file: Make, missing: str) -> None:
    for path in (None, make_file(GOOD_ROW)):
        table = load(path, missing)
        assert table.bounds == ((1.0, 10.0),) * 9
        assert table.public_bounds


def test_front_door_reads_this_format(make_file: Make) -> None:
    assert len(load_table(make_file(GOOD_ROW))) == 1
    assert len(load_table(missing="median")) == 699
