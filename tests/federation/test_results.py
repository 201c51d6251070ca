"""result.json, rounds.csv and --out: whole or not at all, plain values, never NaN."""

import csv
import json
from pathlib import Path
from threading import Thread

import pytest

from federation.outputs import writing_in
from federation.results import (
    OutputError,
    check_out,
    floors_of,
    summary_of_runs,
    to_json,
    write_interrupted,
    write_rounds,
    write_text,
)
from server.report import run_entry
from strategies.settings import Settings
from tests.peers import federate, raises, settings_of


def test_an_out_directory_is_checked_and_not_made(tmp_path: Path) -> None:
    assert check_out(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert check_out(tmp_path) == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "under/it"])
def test_an_out_that_is_a_file_or_lies_in_one_is_refused(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"file is a file, not a directory; name a directory"):
        check_out(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "mine"


def test_text_is_replaced_whole_and_nothing_else_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_text(path, "old")
    with pytest.raises(TypeError):
        write_text(path, None)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    write_text(path, "a name that is no text: \udc80")
    assert path.read_text() == "a name that is no text: \\udc80"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": float("nan")})
    assert json.loads(to_json({"a": None, "b": "é"})) == {"a": None, "b": "é"}


def test_floors_are_those_of_the_data_and_the_mean_rule_is_bcwds(tmp_path: Path) -> None:
    shipped = floors_of(Settings())
    assert round(shipped["majority"], 3) == 0.65
    assert round(shipped["mean_rule"], 3) == 0.975
    (tmp_path / "t.csv").write_text("a,b,y\n" + "1,2,no\n" * 6 + "3,4,yes\n" * 2)
    schema = {"label": "y", "positive": "yes", "negative": "no"}
    (tmp_path / "t.json").write_text(json.dumps(schema))
    other = floors_of(Settings(data=str(tmp_path / "t.csv"), schema=str(tmp_path / "t.json")))
    assert other == {"majority": 0.75}


def test_rounds_csv_has_a_row_for_each_round_and_no_verdict_texts(tmp_path: Path) -> None:
    settings = settings_of(rounds=2)
    entries = [
        run_entry(federate(settings, {1: raises})),
        run_entry(federate(settings_of("fedavg"))),
    ]
    with write_rounds(tmp_path, entries).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["round"] for row in rows] == list("012") + list("0123")
    assert [row["unused_replies"] for row in rows[:3]] == ["0", "1", "1"]
    assert [row["replies"] for row in rows[:3]] == ["0", "6", "6"]
    assert rows[1]["epsilon"] == "30.0"
    assert rows[4]["epsilon"] == rows[4]["upload-noise-std"] == ""
    assert "verdicts" not in rows[0]
    for entry, row in zip(entries[0]["rounds"], rows, strict=False):
        assert float(row["accuracy"]) == entry["accuracy"]


def test_an_interrupted_run_keeps_its_rounds_and_never_looks_done(tmp_path: Path) -> None:
    run = federate(settings_of())
    path = write_interrupted(tmp_path / "out", run.settings, run.rounds[1:3])
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["unfinished-rounds.csv"]
    assert len(path.read_text().splitlines()) == 3


def test_summaries_are_by_strategy_and_cell_and_skip_undefined_rates() -> None:
    names = ("accuracy", "loss", "sensitivity", "specificity", "auc", "seconds")
    runs = [
        {
            "strategy": "a",
            "cell": {"epsilon": epsilon},
            "final": dict.fromkeys(names, value) | {"auc": None if value < 0.5 else value},
        }
        for epsilon, value in [(1.0, 0.4), (1.0, 0.6), (2.0, 0.9)]
    ]
    rows = {(r["cell"]["epsilon"], r["metric"]): r for r in summary_of_runs(runs)}
    assert rows[1.0, "accuracy"]["mean"] == pytest.approx(0.5)
    assert (rows[1.0, "auc"]["mean"], rows[1.0, "auc"]["n"]) == (0.6, 1)
    assert (rows[2.0, "loss"]["n"], rows[2.0, "loss"]["std"]) == (1, None)
    json.dumps(list(rows.values()), allow_nan=False)


def test_a_second_writer_of_a_directory_waits_for_the_first(tmp_path: Path) -> None:
    """Two runs with one --out: the files of one are never among the other's."""
    order: list[str] = []

    def second() -> None:
        with writing_in(tmp_path):
            order.append("second")

    with writing_in(tmp_path):
        waiting = Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
