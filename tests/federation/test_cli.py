"""The command line: exit codes, one line for a mistake, what is printed and what is written."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation import commands
from federation.cli import COMMANDS, main
from server.model import weights_sha256

FIG4 = "reproduce privacy-fig4 --workers 1"
SHORT = ["--rounds", "3", "--clients", "7", "--seeds", "2"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in an empty directory: whatever a command writes unasked is seen."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield


def refused(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """Return the one line on standard error of a command that must fail without a trace."""
    assert main(words) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert printed.err.endswith("\n")
    assert list(Path().iterdir()) == []
    return printed.err


def no_constants(text: str) -> Any:
    """Parse JSON as strictly as RFC 8259: no NaN, no Infinity."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


BAD_FLAGS = [
    ("--epsilon 0", "--epsilon must be above 0"),
    ("--epsilon -5", "--epsilon must be above 0"),
    ("--epsilon nan", "--epsilon must be a finite number"),
    ("--epsilon inf", "--epsilon must be a finite number"),
    ("--epsilon 1e999", "--epsilon must be a finite number"),
    ("--epsilon five", "--epsilon must be a number, got 'five'"),
    ("--epsilon", "expected one argument"),
    ("--delta 0", "--delta must be above 0"),
    ("--delta 1", "--delta must be below 1"),
    ("--rounds 10 --exposures 11", "exposures 11 is more than rounds 10"),
    ("--rounds 0", "--rounds must be at least 1"),
    ("--rounds 2.5", "--rounds must be a whole number, got '2.5'"),
    ("--clients 547", "547"),
    ("--clients 1000000000000000000000", "1000000000000000000000"),
    ("--clients 20 --min-records 28", "28"),
    ("--strategy globaldp", "unknown strategy 'globaldp'; did you mean 'global-dp'"),
    ("--aggregation fedavgg", "did you mean 'fedavg'"),
    ("--privacy dpsgd", "--privacy: unknown value 'dpsgd'; did you mean"),
    ("--preset paper", "unknown preset 'paper'; did you mean 'paper-std'"),
    ("--epsilom 3", "did you mean --epsilon"),
    ("--eps 3", "unrecognized arguments: --eps"),
    ("extra", "unknown command 'extra'"),
    ("simulate extra", "unrecognized arguments: extra"),
    ("simulat", "unknown command 'simulat'; did you mean 'simulate'"),
    ("--seeds 0", "--seeds must be a whole number from 1"),
    ("--seeds many", "--seeds must be a whole number from 1"),
    ("--seed -1", "--seed must be at least 0"),
    ("--partition sizes --sizes 1,2", "sizes names 2 shards for 20 clients"),
    ("--sizes 1,2", "sizes needs --partition sizes"),
    ("--data nowhere.data", "nowhere.data"),
    ("--data .", "is a directory"),
    ("--schema nowhere.json", "nowhere.json"),
    ("--aggregation krum --byzantine 9", "lower --byzantine to at most 8"),
    ("--config nowhere.toml", "nowhere.toml"),
    ("--model x", "--model"),
    ("compare --strategies global-dp,fedavgg", "unknown strategy 'fedavgg'"),
    ("compare --strategies ,", "name each once"),
    ("compare --strategies fedavg,fedavg", "name each once"),
    ("compare --sweep epsilom=1", "did you mean 'epsilon'"),
    ("compare --sweep epsilon=,", "each value once"),
    ("compare --sweep epsilon=-1", "--epsilon must be above 0"),
    ("compare --workers x", "--workers"),
    ("compare --seed x", "--seed must be a whole number"),
    ("reproduce", "the following arguments are required"),
    ("reproduce privacy-fig5", "did you mean"),
    ("predict --model nowhere nowhere.csv", "holds no usable model"),
    ("predict new.csv", "--model"),
    ("shards", "--out"),
]


@pytest.mark.parametrize(("words", "reason"), BAD_FLAGS, ids=lambda text: text[:40])
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(
    words: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reason in refused(words.split(), capsys)


@pytest.mark.parametrize("command", ["simulate", "compare"])
@pytest.mark.parametrize(
    "text",
    [
        "epsilom = 3",
        "epsilon = 'x'",
        "seed = 'x'",
        "seed = 1.5",
        "clients = true",
        "preset = {}",
        "privacy = {}",
        "rounds = 'ten'",
        "data = 'a\\u0000b'",
        "learning_rate = " + "9" * 400,
        "x",
    ],
    ids=lambda text: text[:20],
)
def test_a_bad_settings_file_is_refused(
    command: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    refused([command, "--config", str(path)], capsys)


@pytest.mark.parametrize("command", ["simulate", "compare", "reproduce privacy-fig3"])
@pytest.mark.parametrize("below", ["", "deeper"])
def test_an_out_that_is_a_file_is_refused_and_stays(
    command: str, below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "precious"
    path.write_text("mine")
    assert "is a file" in refused([*command.split(), "--out", str(path / below)], capsys)
    assert path.read_text() == "mine"


def test_malformed_data_is_refused_by_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.data"
    path.write_text("1000025,5,1,1,1,2,1,3,1,1,2\n1002945,5,4,4,5,7,10,3,2\n")
    assert f"{path}:2: " in refused(["--data", str(path)], capsys)


def test_bad_input_leaves_an_out_directory_that_was_not_there_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for words in ("--epsilon 0", "--clients 547", "--data nowhere"):
        refused([*words.split(), "--out", str(out)], capsys)
    assert not out.exists()


def test_a_run_that_failed_is_exit_1_and_writes_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["simulate", *SHORT, "--max-nominal-epsilon", "1", "--quiet", "--out", str(out)]
    assert "limit 1" in refused(words, capsys, code=1)
    assert not (out / "result.json").exists()


@pytest.mark.parametrize("command", ["", "simulate", "compare", "shards", "reproduce", "predict"])
def test_help_is_a_page_and_exit_0(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    if command:
        with pytest.raises(SystemExit) as info:
            main([command, "--help"])
        assert info.value.code == 0
    else:
        assert main(["--help"]) == main(["help"]) == main(["-h"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "run_federation.sh" in printed.out
    assert max(map(len, printed.out.splitlines())) <= 110


def test_the_page_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    text = capsys.readouterr().out
    named = {line.split()[0] for line in text.splitlines() if line.startswith("  ")}
    assert set(COMMANDS) <= named


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"\S+ [\d.]+, Flower 1\.\d+\S*, Python 3\S*\n", capsys.readouterr().out)


class Ran:
    """One finished run of the command line and what it left."""

    def __init__(self, out: Path, printed: str, shown: str) -> None:
        self.out, self.printed, self.shown = out, printed, shown
        self.result = no_constants((out / "result.json").read_text())


@pytest.fixture
def ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ran:
    out = tmp_path / "out"
    assert main(["simulate", *SHORT, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    return Ran(out, printed.out, printed.err)


def test_result_json_is_as_the_design_says(ran: Ran) -> None:
    result = ran.result
    keys = {"settings", "versions", "floors", "baselines", "runs", "summary"}
    assert keys <= set(result)
    assert (result["settings"]["rounds"], result["settings"]["clients"]) == (3, 7)
    assert {"majority", "mean_rule"} <= set(result["floors"])
    assert set(result["baselines"]) == {"centralised_svm", "federated_nonprivate"}
    (run,) = result["runs"]
    assert {"strategy", "cell", "seed", "rounds", "final", "privacy", "market"} <= set(run)
    assert [record["round"] for record in run["rounds"]] == [0, 1, 2, 3]
    rows = result["summary"]
    row_keys = {"strategy", "cell", "metric", "mean", "std", "ci95_low", "ci95_high", "n"}
    assert all(set(row) == row_keys for row in rows)
    assert {"accuracy", "sensitivity", "specificity", "auc", "loss"} <= {r["metric"] for r in rows}
    assert {row["n"] for row in rows} <= {1, 2}
    assert 0 <= run["final"]["accuracy"] <= 1


def test_the_saved_model_is_the_one_reported(ran: Ran) -> None:
    weights = np.load(ran.out / "model.npz")["weights"]
    (run,) = ran.result["runs"]
    assert run["final"]["weights_sha256"] == weights_sha256(weights)
    card = no_constants((ran.out / "model.json").read_text())
    assert card["weights_sha256"] == weights_sha256(weights)
    assert not (set(ran.result["settings"]) - set(card["settings"]))


def test_every_promised_file_is_there_and_its_path_printed(ran: Ran) -> None:
    files = {entry.name for entry in ran.out.iterdir()}
    assert {"result.json", "rounds.csv", "model.npz", "model.json", "accuracy.png"} <= files
    assert (ran.out / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    for name in ("result.json", "rounds.csv", "accuracy.png", "model.npz"):
        assert str(ran.out / name) in ran.printed


def test_the_table_has_floors_baselines_and_both_epsilons(ran: Ran) -> None:
    for text in ("65.0", "97.5", "centralised SVM", "no noise", "nominal", "certified", "seeded"):
        assert text in ran.printed
    assert "round 3/3" in ran.shown


def test_the_result_is_the_same_for_the_same_seed_and_another_for_another(
    ran: Ran, tmp_path: Path
) -> None:
    def digest(seed: str) -> str:
        out = tmp_path / seed
        assert main(["simulate", *SHORT, "--seed", seed, "--quiet", "--out", str(out)]) == 0
        return no_constants((out / "result.json").read_text())["runs"][0]["final"]["weights_sha256"]

    assert digest("1") == ran.result["runs"][0]["final"]["weights_sha256"]
    assert digest("2") != digest("1")


@pytest.mark.parametrize("command", ["simulate", "compare --workers 1", FIG4])
def test_json_prints_result_json_and_nothing_else(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*command.split(), *SHORT, "--json", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert no_constants(printed.out) == no_constants((out / "result.json").read_text())
    assert printed.err == ""


@pytest.mark.parametrize("command", ["simulate", "compare --workers 1", "shards"])
def test_quiet_prints_nothing(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = SHORT if command != "shards" else ["--clients", "7"]
    assert main([*command.split(), *words, "--quiet", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr() == ("", "")


def test_without_out_a_new_directory_under_runs_is_made_each_time() -> None:
    for _ in range(2):
        assert main(["simulate", *SHORT, "--quiet"]) == 0
    assert [entry.name for entry in Path().iterdir()] == ["runs"]
    assert len(list(Path("runs").iterdir())) == 2


def test_compare_writes_every_run_of_the_grid_paired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = "compare --strategies global-dp,fedavg,centralised --sweep epsilon=5,50 --workers 1"
    assert main([*words.split(), *SHORT, "--out", str(out)]) == 0
    result = no_constants((out / "result.json").read_text())
    keys = [(r["strategy"], r["cell"]["epsilon"], r["seed"]) for r in result["runs"]]
    names = ("global-dp", "fedavg", "centralised")
    assert keys == [(s, e, n) for s in names for e in (5.0, 50.0) for n in (1, 2)]
    paired = [row for row in result["summary"] if row["metric"] == "accuracy_minus_first"]
    assert [(row["strategy"], row["n"]) for row in paired] == [
        (s, 2) for s in names[1:] for _ in (5, 50)
    ]
    digests = {r["final"]["weights_sha256"] for r in result["runs"] if r["strategy"] == "fedavg"}
    assert len(digests) == 2  # no noise: epsilon changes nothing
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "minus global-dp, points" in capsys.readouterr().out


def test_compare_is_the_same_on_one_core_and_on_two(tmp_path: Path) -> None:
    found = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        words = ["compare", *SHORT, "--workers", workers, "--quiet", "--out", str(out)]
        assert main(words) == 0
        runs = no_constants((out / "result.json").read_text())["runs"]
        found.append([run["final"]["weights_sha256"] for run in runs])
    assert found[0] == found[1]
    assert len(found[0]) == 4


def test_shards_are_written_one_a_clinic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["shards", "--clients", "3", "--out", str(out)]) == 0
    assert sorted(entry.name for entry in out.iterdir()) == [
        *(f"clinic-{n:02d}.csv" for n in range(3)),
        "schema.json",
    ]
    assert capsys.readouterr().out.count("182 records") == 3
    assert "is not empty" in refused(["shards", "--clients", "3", "--out", str(out)], capsys)


def test_a_model_of_the_command_line_diagnoses_the_data_it_came_from(
    ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.csv"
    path.write_text("7,5,1,1,1,2,1,3,1,1\n8,8,10,10,8,7,10,9,7,1\n")
    assert main(["predict", "--model", str(ran.out), str(path), "--json"]) == 0
    rows = no_constants(capsys.readouterr().out)
    assert [row["record"] for row in rows] == ["7", "8"]
    assert rows[0]["score"] < rows[1]["score"]


def test_ctrl_c_before_a_round_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run_one", interrupt)
    assert "nothing was written" in refused(["simulate", "--quiet"], capsys, code=130)


def test_a_summary_of_one_seed_has_no_interval_and_no_nan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "--rounds", "2", "--clients", "5", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    result = no_constants((tmp_path / "out" / "result.json").read_text())
    assert {row["ci95_low"] for row in result["summary"]} <= {None}
    assert all(row["mean"] is None or math.isfinite(row["mean"]) for row in result["summary"])
    assert not re.search(r"\bnan\b", capsys.readouterr().out.lower())


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--out", ""], "--out is empty"),
        (["--workers", "0"], "must be a whole number from 1"),
        (["--workers", "-3"], "--workers"),
    ],
)
def test_an_empty_out_and_no_workers_are_bad_input(capsys, flags: list[str], says: str) -> None:
    assert main(["compare", "--seeds", "1", *flags]) == 2
    assert says in capsys.readouterr().err


def test_an_out_that_links_to_nowhere_is_refused_before_the_run(capsys, tmp_path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert main(["simulate", "--out", str(tmp_path / "link")]) == 2
    assert "symbolic link to nowhere" in capsys.readouterr().err
