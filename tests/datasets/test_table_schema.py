"""Any table by a schema file: what is read, and what is refused by file and line."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets import DataError, load_table
from datasets.schema import read_schema, read_table

Make = Callable[..., Path]

SCHEMA = """
name = "toy"
label = "diagnosis"
positive = "M"
id = "patient"
ignore = ["note"]
missing = "?"
"""
BASE = 'label = "y"\npositive = "M"\n'
TABLE = """patient,size,diagnosis,note,depth
p1,1.5,M,"fine, so far",-2e3
p2,?,B,,7
p1,.25,B,"two
lines",+8.
"""


def refusal(data: Path, schema: Path) -> str:
    """Return the one line with which a table is refused."""
    with pytest.raises(DataError) as caught:
        read_table(data, schema)
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_by_hand(make_file: Make) -> None:
    schema = make_file(SCHEMA, "schema.toml")
    table = read_table(make_file(TABLE), schema)
    assert table.features.tolist() == [[1.5, -2000.0], [0.25, 8.0]]
    assert table.labels.tolist() == [1, -1]
    assert table.groups.tolist() == [0, 0]
    assert table.feature_names == ("size", "depth")
    assert (table.classes, table.name) == (("B", "M"), "toy")


def test_median_by_hand(make_file: Make) -> None:
    table = load_table(make_file(TABLE), make_file(SCHEMA, "schema.toml"), "median")
    assert table.features[:, 0].tolist() == [1.5, 0.875, 0.25]
    assert table.groups.tolist() == [0, 1, 0]


def test_json_without_header_semicolons_numeric_labels(make_file: Make) -> None:
    schema = {
        "columns": ["a", "y", "b"],
        "label": "y",
        "positive": 4,
        "negative": 2,
        "missing": -9,
        "delimiter": ";",
        "header": False,
    }
    data = make_file("1;4;2\r\n 3 ; 2 ; 4 \r\n-9;4;1\r\n\r\n")
    table = read_table(data, make_file(json.dumps(schema), "schema.json"))
    assert table.features.tolist() == [[1, 2], [3, 4]]
    assert table.labels.tolist() == [1, -1]
    assert table.groups.tolist() == [0, 1]  # without ids every row is a patient
    assert (table.classes, table.name) == (("2", "4"), "data")


def test_one_class_only(make_file: Make) -> None:
    schema = make_file('label = "y"\npositive = "M"', "schema.toml")
    assert read_table(make_file("x,y\n1,M\n"), schema).classes == ("not M", "M")
    assert read_table(make_file("x,y\n1,B\n"), schema).labels.tolist() == [-1]


def test_bounds_are_observed_in_the_complete_rows(make_file: Make) -> None:
    table = read_table(make_file(TABLE), make_file(SCHEMA, "schema.toml"))
    assert table.bounds == ((0.25, 1.5), (-2000.0, 8.0))
    assert not table.public_bounds


@pytest.mark.parametrize(
    ("stated", "bounds", "public"),
    [
        ("bounds = [-2000, 10]", ((-2000.0, 10.0), (-2000.0, 10.0)), True),
        ("bounds = {depth = [-1e4, 8], size = [0, 2]}", ((0.0, 2.0), (-1e4, 8.0)), True),
        ("public_bounds = true\nbounds = [-1e4, 10]", ((-1e4, 10.0), (-1e4, 10.0)), True),
        ("public_bounds = false\nbounds = [-1e4, 10]", ((-1e4, 10.0), (-1e4, 10.0)), False),
    ],
)
def test_stated_bounds(
    make_file: Make, stated: str, bounds: tuple[tuple[float, float], ...], public: bool
) -> None:
    table = read_table(make_file(TABLE), make_file(f"{SCHEMA}{stated}\n", "schema.toml"))
    assert (table.bounds, table.public_bounds) == (bounds, public)


@pytest.mark.parametrize(
    ("stated", "line", "why"),
    [
        ("bounds = [-2e3, 7.9]", 4, "depth '+8.' lies outside its bounds -2000.0..7.9"),
        ("bounds = [0, 10]", 2, "depth '-2e3' lies outside its bounds 0.0..10.0"),
        ("bounds = {size = [0, 2], depth = [-1e4, 6.5]}", 3, "depth '7' lies"),  # incomplete row
    ],
)
def test_refuses_a_value_outside_the_bounds(
    make_file: Make, stated: str, line: int, why: str
) -> None:
    path = make_file(TABLE)
    message = refusal(path, make_file(f"{SCHEMA}{stated}\n", "schema.toml"))
    assert message.startswith(f"{path}:{line}: {why}")


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        ("bounds = {size = [0, 2]}", "bounds say nothing about 'depth'"),
        ("bounds = {size = [0, 2], depht = [0, 9]}", "bounds 'depht': did you mean 'depth'?"),
        ("bounds = {size = [0, 2], depth = [0, 9], note = [0, 1]}", "in bounds 'note'"),
    ],
)
def test_refuses_bounds_of_other_columns(make_file: Make, stated: str, why: str) -> None:
    path = make_file(TABLE)
    message = refusal(path, make_file(f"{SCHEMA}{stated}\n", "schema.toml"))
    assert message.startswith(f"{path}: ")
    assert why in message


def test_scikit_learns_569_by_30(tmp_path: Path) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    bunch = datasets.load_breast_cancer()
    data, schema = tmp_path / "wdbc.csv", tmp_path / "wdbc.toml"
    with data.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*bunch.feature_names, "diagnosis"])
        for values, target in zip(bunch.data.tolist(), bunch.target, strict=True):
            writer.writerow([*map(repr, values), bunch.target_names[target]])
    schema.write_text('label = "diagnosis"\npositive = "malignant"\nnegative = "benign"\n')
    table = load_table(data, schema)
    assert table.features.shape == (569, 30)
    assert np.array_equal(table.features, bunch.data)
    assert np.array_equal(table.labels == 1, bunch.target == 0)
    assert table.feature_names == tuple(bunch.feature_names)
    assert len(set(table.groups.tolist())) == 569


@pytest.mark.parametrize(
    ("bad", "line", "why"),
    [
        ("p3,1,M,x", 4, "4 fields instead of 5"),
        ("p3,1,M,x,1,1", 4, "6 fields instead of 5"),
        ("p3,one,M,x,1", 4, "size 'one' is not a finite number"),
        ("p3,nan,M,x,1", 4, "size 'nan' is not a finite number"),
        ("p3,inf,M,x,1", 4, "size 'inf' is not a finite number"),
        ("p3,1e999,M,x,1", 4, "size '1e999' is not a finite number"),
        ("p3,-1e301,M,x,1", 4, "size '-1e301' lies outside its bounds -1e+300..1e+300"),
        ("p3,1_0,M,x,1", 4, "size '1_0' is not a finite number"),
        ("p3,0x1,M,x,1", 4, "size '0x1' is not a finite number"),
        ("p3,\u0661,M,x,1", 4, "size '\u0661' is not a finite number"),
        ("p3,1,M,x,", 4, "depth '' is not a finite number"),
        ("p3,1,C,x,1", 4, "label 'C' is neither 'M' nor 'B'"),
        ("p3,1,?,x,1", 4, "label '?' is neither"),
        ("p3,1,,x,1", 4, "label '' is neither"),
        ("?,1,M,x,1", 4, "the patient id is missing"),
        (",1,M,x,1", 4, "the patient id is missing"),
        ("", 4, "blank line amid the rows"),
        ('p3,1,M,"x,1', 4, "unexpected end of data"),
        ('p3,1,M,"x"y,1', 4, "',' expected after '\"'"),
        (f"p3,1,M,{'x' * 140_000},1", 4, "field larger than field limit"),
        ('p3,1,M,"x\ny",1\np3,1,M,1', 6, "4 fields instead of 5"),
    ],
)
def test_refuses_a_row_by_file_and_line(make_file: Make, bad: str, line: int, why: str) -> None:
    good = "".join(TABLE.splitlines(keepends=True)[:3])
    path = make_file(f"{good}{bad}\np4,1,M,x,1\n")
    message = refusal(path, make_file(SCHEMA, "schema.toml"))
    assert message.startswith(f"{path}:{line}: {why}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", ": no rows"),
        ("\n\n", ": no rows"),
        ("patient,size,diagnosis,note,depth\n", ": no rows"),
        ("patient,size,note,depth\np1,1,x,1\n", ": unknown column 'diagnosis'"),
        ("patient,size,size,diagnosis,note\n", ":1: a column name stands twice"),
        ("patient,,diagnosis,note\n", ":1: column name '' is empty"),
        ("patient,a\x07,diagnosis,note\n", ":1: column name 'a\\x07'"),
        ("patient,diagnosis,note\np1,M,x\n", ": no feature column is left"),
        (",".join(map(str, range(10_001))) + "\n", ": 10001 columns, more than"),
        (b"\xff\xfe\n", ":1: byte 0xff is not UTF-8"),
        ("patient,size,diagnosis,note\np1,?,M,x\n", ": no complete row is left"),
    ],
)
def test_refuses_a_file(make_file: Make, content: str | bytes, why: str) -> None:
    path = make_file(content)
    assert refusal(path, make_file(SCHEMA, "schema.toml")).startswith(f"{path}{why}")


def test_header_must_be_the_listed_columns(make_file: Make) -> None:
    schema = make_file('columns = ["x", "y"]\nlabel = "y"\npositive = "1"', "schema.toml")
    path = make_file("y,x\n1,1\n")
    assert refusal(path, schema) == f"{path}:1: header differs from the columns in the schema"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("label = ", "is not valid TOML"),
        ('positive = "M"', "must say what label is"),
        ('label = "y"', "must say what positive is"),
        ('lable = "y"', "unknown schema key 'lable': did you mean 'label'?"),
        ('label = ""\npositive = "M"', "label ''"),
        ('label = 3\npositive = "M"', "label 3"),
        ('label = "y"\npositive = true', "positive True"),
        ('label = "y"\npositive = "M"\nnegative = "M"', "positive and negative label are both"),
        ('label = "y"\npositive = "M"\nmissing = "M"', "missing 'M' is also a label"),
        ('label = "y"\npositive = "M"\nmissing = 1.5', "missing 1.5 must be text"),
        ('label = "y"\npositive = "M"\nheader = "no"', "header 'no' must be true or false"),
        ('label = "y"\npositive = "M"\nheader = false', "columns must be listed"),
        ('label = "y"\npositive = "M"\ndelimiter = ", "', "must be one character"),
        ('label = "y"\npositive = "M"\ndelimiter = "\\n"', "cannot separate columns"),
        ('label = "y"\npositive = "M"\ndelimiter = "\\""', "cannot separate columns"),
        ('label = "y"\npositive = "M"\ncolumns = "x,y"', "must be a list of column names"),
        ('label = "y"\npositive = "M"\ncolumns = ["x", 1]', "columns: name 1"),
        ('label = "y"\npositive = "M"\ncolumns = ["x", "x", "y"]', "columns: a name stands twice"),
        ('label = "y"\npositive = "M"\ncolumns = ["x", "z"]', "unknown column 'y'"),
        ('label = "y"\npositive = "M"\ncolumns = ["y"]', "no feature column"),
        ('label = "y"\npositive = "M"\nid = "y"\ncolumns = ["x", "y"]', "must differ"),
        ('label = "y"\npositive = "M"\nignore = ["y"]\ncolumns = ["x", "y"]', "must differ"),
        (BASE + "bounds = 3", "bounds 3 must be two numbers [low, high]"),
        (BASE + "bounds = [1, 1]", "bounds [1, 1] must be"),
        (BASE + "bounds = [0, inf]", "bounds [0, inf] must be"),
        (BASE + "bounds = [nan, 1]", "bounds [nan, 1] must be"),
        (BASE + "bounds = [true, 2]", "bounds [True, 2] must be"),
        (BASE + "bounds = [[0, 1], [0, 1]]", "bounds [[0, 1], [0, 1]] must be"),
        (BASE + 'bounds = {x = "0..1"}', "bounds of 'x' '0..1' must be"),
        (BASE + 'columns = ["x", "y"]\nbounds = {y = [0, 1]}', "feature column in bounds 'y'"),
        (BASE + "public_bounds = true", "state bounds as well"),
        (BASE + 'bounds = [0, 1]\npublic_bounds = "no"', "public_bounds 'no' must be true or"),
    ],
)
def test_refuses_a_schema(make_file: Make, text: str, why: str) -> None:
    path = make_file(text, "schema.toml")
    with pytest.raises(DataError) as caught:
        read_schema(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1]", "a schema is an object with keys, not [1]"),
        ("{", "is not valid JSON"),
        ("[" * 200_000, "is not valid JSON"),
        ('{"label": "y", "label": "z"}', "a key stands twice"),
        ('{"label": "y", "positive": "M", "bounds": [0, 1e999]}', "bounds [0, inf] must be"),
        ('{"label": "y", "positive": "M", "bounds": {"x": [0, 1], "x": [0, 2]}}', "stands twice"),
        ('{"label": "y", "positive": ' + "9" * 5000 + "}", "is not valid JSON"),
    ],
)
def test_refuses_a_json_schema(make_file: Make, text: str, why: str) -> None:
    with pytest.raises(DataError) as caught:
        read_schema(make_file(text, "schema.json"))
    assert why in str(caught.value)


def test_refuses_a_schema_of_another_kind(make_file: Make) -> None:
    with pytest.raises(DataError, match=r"unknown schema file type '\.yaml'"):
        read_schema(make_file("label: y", "schema.yaml"))


def test_a_schema_needs_data(make_file: Make) -> None:
    with pytest.raises(DataError, match="describes no data"):
        load_table(schema=make_file(SCHEMA, "schema.toml"))
