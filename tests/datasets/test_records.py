"""Records to diagnose: two ways of writing them, complete or refused by file and line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets import DataError, Table, records
from datasets.bcwd import FEATURE_NAMES
from datasets.records import read_records
from datasets.shards import write_shards
from tests.datasets.samples import GOOD_ROW

Make = Callable[..., Path]

UNLABELLED = GOOD_ROW.rsplit(",", 1)[0] + "\n"
HEADER = ",".join(FEATURE_NAMES)
GRADES = [5, 1, 1, 1, 2, 1, 3, 1, 1]
GRADES_ROW = ",".join(map(str, GRADES)) + "\n"


def refusal(path: str | Path, attributes: tuple[str, ...], dataset: str) -> str:
    """Return the one line with which a file is refused."""
    with pytest.raises(DataError) as caught:
        read_records(path, attributes, dataset)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < len(str(path)) + 250
    return message


def test_lines_of_bcwd_with_classes(make_file: Make) -> None:
    other = GOOD_ROW.replace("1000025,5", "7,10").replace(",2\n", ",4\n")
    read = read_records(make_file(GOOD_ROW + other), FEATURE_NAMES, "bcwd")
    assert read.features.tolist() == [GRADES, [10, *GRADES[1:]]]
    assert read.features.dtype == np.float64
    assert read.names == ["1000025", "7"]
    assert read.labels is not None
    assert read.labels.dtype == np.int8
    assert read.labels.tolist() == [-1, 1]


def test_lines_of_bcwd_without_classes(make_file: Make) -> None:
    read = read_records(
        make_file("\ufeff" + UNLABELLED.replace("\n", "\r\n") * 2), FEATURE_NAMES, "bcwd"
    )
    assert read.features.tolist() == [GRADES] * 2
    assert read.names == ["1000025"] * 2
    assert read.labels is None


def test_a_header_by_hand(make_file: Make) -> None:
    path = make_file('note,b, a ,id,patient\n"x, y",2,-.5e1,r1,p1\n,+4,3.,r2,p1\n\n')
    read = read_records(path, ("a", "b"), "toy")
    assert read.features.tolist() == [[-5, 2], [3, 4]]
    assert read.names == ["r1", "r2"]
    assert read.labels is None


def test_names_without_ids(make_file: Make) -> None:
    assert read_records(make_file("a,patient\n1,p7\n"), ("a",), "toy").names == ["p7"]
    assert read_records(make_file("a\n1\n2\n"), ("a",), "toy").names == ["2", "3"]
    quoted = make_file('a,note\n1,"two\nlines"\n2,\n')
    assert read_records(quoted, ("a",), "toy").names == ["2", "4"]
    # An attribute that is called id is no name.
    assert read_records(make_file("id\n1\n"), ("id",), "toy").names == ["2"]


def test_bcwd_with_a_header(make_file: Make) -> None:
    path = make_file(f"id,{HEADER},age\na7,{GRADES_ROW.strip()},60\n")
    read = read_records(path, FEATURE_NAMES, "bcwd")
    assert (read.features.tolist(), read.names) == ([GRADES], ["a7"])


def test_a_clinics_shard_can_be_diagnosed(bcwd: Table, tmp_path: Path) -> None:
    (path,) = write_shards(bcwd, [np.arange(20)], tmp_path / "out")
    read = read_records(path, bcwd.feature_names, bcwd.name)
    assert np.array_equal(read.features, bcwd.features[:20])
    assert read.names == [str(group) for group in bcwd.groups[:20]]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (GOOD_ROW, "11 fields instead of 10"),
        ("\n", "1 fields instead of 10"),
        (UNLABELLED.replace("1000025", "x1"), "id 'x1' is not a whole number"),
        (UNLABELLED.replace(",5,", ",11,"), "clump_thickness '11' is not a whole number"),
        (UNLABELLED.replace(",5,", ",5.0,"), "clump_thickness '5.0' is not a whole number"),
        (UNLABELLED.replace(",5,", ",,"), "clump_thickness '' is not a whole number"),
        (UNLABELLED.replace(",5,", ",?,"), "clump_thickness is missing: predict needs complete"),
    ],
)
def test_refuses_a_line_of_bcwd(make_file: Make, bad: str, why: str) -> None:
    path = make_file(UNLABELLED * 2 + bad + UNLABELLED)
    assert refusal(path, FEATURE_NAMES, "bcwd").startswith(f"{path}:3: {why}")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (UNLABELLED, "10 fields instead of 11"),
        (GOOD_ROW.replace(",2\n", ",3\n"), "class '3' is neither 2 nor 4"),
        (GOOD_ROW.replace(",2\n", ",?\n"), "class '?' is neither 2 nor 4"),
    ],
)
def test_refuses_a_labelled_line_of_bcwd(make_file: Make, bad: str, why: str) -> None:
    path = make_file(GOOD_ROW + bad)
    assert refusal(path, FEATURE_NAMES, "bcwd").startswith(f"{path}:2: {why}")


@pytest.mark.parametrize("grade", ["0", "0.99", "10.01", "11", "-3"])
def test_refuses_a_grade_off_the_scale(make_file: Make, grade: str) -> None:
    path = make_file(f"{HEADER}\n{GRADES_ROW}{grade}{GRADES_ROW[1:]}")
    message = refusal(path, FEATURE_NAMES, "bcwd")
    assert message == f"{path}:3: clump_thickness '{grade}' is not a grade 1..10"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("r,1", "2 fields instead of 3"),
        ("r,1,2,3", "4 fields instead of 3"),
        ("r,one,2", "a 'one' is not a finite number"),
        ("r,1,nan", "b 'nan' is not a finite number"),
        ("r,1,1e999", "b '1e999' is not a finite number"),
        ("r,1,1_0", "b '1_0' is not a finite number"),
        ("r,?,2", "a is missing: predict needs complete records"),
        ("r,1, ", "b is missing: predict needs complete records"),
        (" ,1,2", "the name is missing"),
        ("?,1,2", "the name is missing"),
        ("\x1b[31m,1,2", "name '\\x1b[31m' is not printable"),
        ("", "blank line amid the rows"),
        ('"r,1,2', "unexpected end of data"),
        (f"{'x' * 140_000},1,2", "field larger than field limit"),
    ],
)
def test_refuses_a_row_by_file_and_line(make_file: Make, bad: str, why: str) -> None:
    path = make_file(f"id,a,b\nr,1,2\n{bad}\nr,1,2\n")
    assert refusal(path, ("a", "b"), "toy").startswith(f"{path}:3: {why}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", ": no records"),
        ("\n\n", ": no records"),
        ("a,b\n", ": no records"),
        ("a,c\n1,2\n", ":1: no column 'b'"),
        ("1,2\n3,4\n", ":1: no column 'a'"),
        ("a,b,a\n1,2,3\n", ":1: column 'a' stands twice"),
        ("a,b,id,id\n1,2,3,4\n", ":1: column 'id' stands twice"),
        (",".join(map(str, range(10_001))) + "\n", ":1: 10001 columns, more than"),
        (b"a,b\n\xff,1\n", ":2: byte 0xff is not UTF-8"),
    ],
)
def test_refuses_a_file(make_file: Make, content: str | bytes, why: str) -> None:
    path = make_file(content)
    assert refusal(path, ("a", "b"), "toy").startswith(f"{path}{why}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", ": no records"),
        ("\n", ": no records"),
        ("id,V1,V2\n", ":1: 3 fields instead of 10; want id,V1..V9"),
        (HEADER + "\n", ": no records"),
        (HEADER.replace("mitoses", "mitosis") + "\n1\n", ":1: no column 'mitoses'"),
    ],
)
def test_refuses_a_file_for_bcwd(make_file: Make, content: str, why: str) -> None:
    path = make_file(content)
    assert refusal(path, FEATURE_NAMES, "bcwd").startswith(f"{path}{why}")


@pytest.mark.parametrize(
    ("attributes", "dataset"), [(FEATURE_NAMES, "other"), (("a", "b"), "bcwd")]
)
def test_bare_lines_are_for_bcwd_alone(
    make_file: Make, attributes: tuple[str, ...], dataset: str
) -> None:
    assert ":1: no column" in refusal(make_file(GOOD_ROW), attributes, dataset)


def test_refuses_too_many(make_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORDS", 3)
    bare, headed = make_file(UNLABELLED * 4), make_file("a\n" + "1\n" * 4, "headed.csv")
    assert refusal(bare, FEATURE_NAMES, "bcwd") == f"{bare}:4: more than 3 records, split the file"
    assert refusal(headed, ("a",), "toy").startswith(f"{headed}:5: more than 3 records")
    assert len(read_records(make_file(UNLABELLED * 3), FEATURE_NAMES, "bcwd").names) == 3


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path, ("a",), "toy")
    assert "No such file" in refusal(tmp_path / "absent", ("a",), "toy")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    assert "more than the limit" in refusal(tmp_path / "huge", ("a",), "toy")
