"""``runs list|show|export``: what is printed and written, and every mistake in one line."""

import csv
import json
import sys
from pathlib import Path

import pytest

from federation.cli import main
from federation.database.models import TABLES

SHORT = ["--rounds", "2", "--clients", "4", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert main(["simulate", *SHORT, "--out", "runs/one"]) == 0
        market = ["--dataset", "carrada", "--clients", "6", "--users", "4", "--channels", "6"]
        market += ["--rounds", "10", "--episode-length", "5", "--quiet"]
        assert main(["simulate", *market, "--out", "runs/two"]) == 0
    return home


@pytest.fixture(autouse=True)
def _at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_list_finds_every_database_under_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "runs/one/results.db"
    assert lines[3] == "runs/two/results.db"
    assert main(["runs", "list", "--dir", "runs/two", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["strategy"], row["status"]) == (1, "reputation", "done")


def test_a_list_is_aligned_for_people_and_tabbed_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["runs", "list"]) == 0
    tabbed = capsys.readouterr().out.splitlines()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["runs", "list"]) == 0
    aligned = capsys.readouterr().out.splitlines()
    assert [line.split("\t") for line in tabbed] == [
        [line] if line.endswith(".db") else line.split() for line in aligned[: len(tabbed)]
    ]
    place = aligned[1].index("strategy")
    assert aligned[2][place:].startswith("global-dp ")
    assert aligned[-1].endswith("runs show 1 --dir runs/two")


def test_show_prints_a_run_and_all_of_it_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "show", "1", "--dir", "runs/one"]) == 0
    assert "strategy: global-dp" in capsys.readouterr().out
    assert main(["runs", "show", "1", "--dir", "runs/one", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["entry"] == json.loads(Path("runs/one/result.json").read_text())["runs"][0]


def test_export_writes_a_file_for_each_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "export", "--dir", "runs/two", "--out", str(tmp_path)]) == 0
    assert "10 rows" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.csv" for name in TABLES}
    with (tmp_path / "payments.csv").open(newline="") as stream:
        paid = sum(int(row["amount"]) for row in csv.DictReader(stream))
    result = json.loads(Path("runs/two/result.json").read_text())
    (run,) = result["runs"]
    assert paid == sum(run["trace"]["paid"].values())
    assert round(paid / 10) == run["final"]["payments"]
    with (tmp_path / "ratings.csv").open(newline="") as stream:
        assert len({row["participant"] for row in csv.DictReader(stream)}) == 4


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional extra")
    for form in ("csv", "parquet"):
        words = ["--dir", "runs/two", "--out", str(tmp_path), "--format", form]
        assert main(["runs", "export", *words]) == 0
    for name in TABLES:
        table = parquet.read_table(tmp_path / f"{name}.parquet")
        with (tmp_path / f"{name}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert table.num_rows == len(rows)
        assert table.column_names == [*(rows[0] if rows else table.column_names)]
    offers = parquet.read_table(tmp_path / "offers.parquet")
    assert str(offers.schema.field("price").type) == "int64"


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    words = ["--dir", "runs/two", "--out", str(tmp_path / "new"), "--format", "parquet"]
    assert main(["runs", "export", *words]) == 2
    assert "needs pyarrow" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


MISTAKES = {
    "what": (["runs", "lisst"], "unknown 'lisst'; did you mean 'list'"),
    "no number": (["runs", "show"], "name a run by its number"),
    "number": (["runs", "show", "x", "--dir", "runs/one"], "'x' is no number of a run"),
    "large number": (["runs", "show", "9" * 30, "--dir", "runs/one"], "is no number of a run"),
    "no such run": (["runs", "show", "7", "--dir", "runs/one"], "no run 7 in runs/one/results.db"),
    "which database": (["runs", "show", "1"], "2 directories under runs/ have a results.db"),
    "no database": (["runs", "list", "--dir", "nowhere"], "nowhere/results.db: no such file"),
    "two databases": (["runs", "list", "--dir", "a", "--database", "b"], "give one of them"),
    "empty database": (["simulate", "--database", ""], "--database is empty"),
    "format": (
        ["runs", "export", "--dir", "runs/one", "--out", "e", "--format", "parkett"],
        "unknown 'parkett'; did you mean 'parquet'",
    ),
    "no out": (["runs", "export", "--dir", "runs/one"], "name the directory"),
    "driver": (
        ["compare", "--database", "postgresql+nosuch://me:secret@h/d"],
        "results database postgresql+nosuch://...",
    ),
    "simulate into a driver": (
        ["simulate", "--database", "nosuch://me:secret@h/d"],
        "nosuch://...",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, reason = MISTAKES[name]
    before = sorted(Path().rglob("*"))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert "secret" not in error
    assert sorted(Path().rglob("*")) == before
