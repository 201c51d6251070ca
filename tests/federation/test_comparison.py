"""A comparison that is stopped and taken up again, and one that must not be."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from federation import comparison as comparison_module
from federation.cells import Task, work
from federation.cli import main
from federation.compare import build_grid
from federation.comparison import Comparison
from federation.database.store import ResultsStore
from federation.fingerprint import key_of
from federation.repeat import baseline_settings
from server.errors import RunFailed
from strategies.presets import compose

TINY = ["--rounds", "2", "--clients", "4", "--workers", "1", "--quiet"]
GRID = ["compare", "--strategies", "global-dp,fedavg", "--sweep", "epsilon=5,50", *TINY]
MARKET = ["compare", "--dataset", "carrada", "--clients", "6", "--users", "4", "--channels", "6"]
MARKET += ["--rounds", "20", "--episode-length", "10", "--workers", "1", "--quiet"]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(folder: str) -> Any:
    return json.loads(Path(folder, "result.json").read_text())


def without_times(text: str) -> str:
    """Leave out what the clock says: seconds, and what is computed from them."""
    result = json.loads(text)
    result["summary"] = [row for row in result["summary"] if row["metric"] != "seconds"]
    return re.sub(r'"seconds": [0-9.e-]+', '"seconds": 0', json.dumps(result))


class Killed(BaseException):
    """Stands for SIGKILL: nothing gets to clean up."""


@pytest.mark.parametrize(
    "words", [GRID, [*MARKET, "--attacks", "none,stale"]], ids=["bcwd", "market"]
)
def test_what_was_finished_is_not_run_again_and_the_result_is_the_same(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*words, "--seeds", "3", "--out", "whole"]) == 0
    done: list[Task] = []

    def killed(task: Task) -> Any:
        if len(done) == 5:
            raise Killed
        done.append(task)
        return work(task)

    monkeypatch.setattr(comparison_module, "work", killed)
    with pytest.raises(Killed):
        main([*words, "--seeds", "3", "--out", "half"])
    assert not Path("half/result.json").exists()
    again: list[Task] = []

    def counted(task: Task) -> Any:
        again.append(task)
        return work(task)

    monkeypatch.setattr(comparison_module, "work", counted)
    assert main([*words, "--seeds", "3", "--out", "half", "--resume"]) == 0
    whole = {cell for task in [*done, *again] for cell in task.cells}
    assert not {c for t in done for c in t.cells} & {c for t in again for c in t.cells}
    assert len(whole) == 12 if words is GRID else len(whole) > 10
    texts = [Path(name, "result.json").read_text() for name in ("whole", "half")]
    assert without_times(texts[0]) == without_times(texts[1])


def test_more_seeds_keep_those_that_were_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main([*GRID, "--seeds", "1", "--out", "r"]) == 0
    ran: list[Task] = []
    monkeypatch.setattr(comparison_module, "work", lambda task: (ran.append(task), work(task))[1])
    assert main([*GRID, "--seeds", "2", "--out", "r", "--resume"]) == 0
    assert {cell.settings.seed for task in ran for cell in task.cells} == {2}
    assert {row["n"] for row in read("r")["summary"]} == {2}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (GRID, "--out r: holds results"),
        ([*GRID, "--rounds", "3", "--resume"], "(rounds 2, now 3); runs of both would not be"),
    ],
)
def test_nothing_is_mixed_silently(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*GRID, "--seeds", "1", "--out", "r"]) == 0
    before = Path("r/result.json").read_bytes()
    assert main([*words, "--seeds", "1", "--out", "r"]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert Path("r/result.json").read_bytes() == before


def test_other_code_is_another_comparison(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*GRID, "--seeds", "1", "--out", "r"]) == 0
    from federation import fingerprint

    versions = fingerprint.all_versions() | {"code": "other"}
    for module in (fingerprint, comparison_module):
        monkeypatch.setattr(module, "all_versions", lambda: versions)
    assert main([*GRID, "--seeds", "1", "--out", "r", "--resume"]) == 2
    assert re.search(r"\(code \w+, now other\)", capsys.readouterr().err)


def test_a_half_made_comparison_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*GRID, "--seeds", "1", "--out", "r"]) == 0
    Path("r/result.json").unlink()
    assert main([*GRID, "--seeds", "1", "--out", "r"]) == 2
    assert "holds 4 of these 4 runs: add --resume" in capsys.readouterr().err


def test_a_failed_run_is_named_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from federation import cells

    real = cells.run_cell

    def failing(cell: Any, traced: bool = False) -> Any:
        if cell.settings.strategy == "fedavg" and cell.settings.seed == 2:
            raise RunFailed("nobody came")
        return real(cell, traced)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "run_cell", failing)
        assert main([*GRID, "--seeds", "2", "--out", "r"]) == 1
    assert "2 of 8 runs failed" in capsys.readouterr().err
    result = read("r")
    assert [(run["strategy"], run["seed"]) for run in result["failed"]] == [("fedavg", 2)] * 2
    assert len(result["runs"]) == 6
    assert main([*GRID, "--seeds", "2", "--out", "r", "--resume"]) == 0
    assert read("r")["failed"] == []


def test_each_cell_says_its_settings_floors_and_baselines() -> None:
    words = ["compare", "--strategies", "global-dp,fedavg", "--sweep", "rounds=2,4"]
    assert main([*words, "--clients", "4", "--workers", "1", "--quiet", "--seeds", "2",
                 "--out", "r"]) == 0  # fmt: skip
    result = read("r")
    found = {(b["strategy"], b["cell"]["rounds"]): b for b in result["cells"]}
    assert set(found) == {(s, v) for s in ("global-dp", "fedavg") for v in (2, 4)}
    for (strategy, rounds), block in found.items():
        assert block["settings"]["strategy"] == strategy
        assert block["settings"]["rounds"] == rounds
        assert block["floors"]["majority"] == pytest.approx(0.65, abs=0.01)
        assert set(block["baselines"]) == {"centralised_svm", "federated_nonprivate"}
    base = {key: block["baselines"]["federated_nonprivate"] for key, block in found.items()}
    assert base["global-dp", 4] == base["fedavg", 4]
    assert base["global-dp", 4] != base["global-dp", 2]
    row = next(r for r in result["summary"] if (r["strategy"], r["metric"], r["cell"]["rounds"])
               == ("fedavg", "accuracy", 4))  # fmt: skip
    assert base["fedavg", 4]["summary"]["accuracy"]["mean"] == pytest.approx(row["mean"])
    assert result["baselines"] == found["global-dp", 2]["baselines"]


def test_strategies_of_one_schedule_share_their_baseline() -> None:
    one = compose("global-dp", {"epsilon": 5.0, "clip_norm": 0.2})
    other = compose("krum", {"byzantine": 2})
    assert baseline_settings(one) == baseline_settings(other)
    assert baseline_settings(one.changed(seed=2)) != baseline_settings(other)
    assert baseline_settings(one.changed(unit="patient")) != baseline_settings(other)


def test_a_key_holds_all_that_numbers_depend_on(tmp_path: Path) -> None:
    settings = compose("fedavg", {})
    assert key_of(settings) == key_of(compose("fedavg", {}))
    assert key_of(settings) != key_of(settings.changed(seed=2))
    keys = set()
    for text in ("a", "b"):
        (tmp_path / text).write_text(text)
        keys.add(key_of(settings.changed(data=str(tmp_path / text))))
    assert len(keys) == 2


def test_a_market_keeps_who_won_for_the_first_seed() -> None:
    words = [*MARKET, "--strategies", "no-reputation,reputation", "--seeds", "3"]
    assert main([*words, "--out", "r"]) == 0
    result = read("r")
    traced = [run for run in result["runs"] if "trace" in run]
    assert [run["seed"] for run in traced] == [1, 1]
    trace = traced[1]["trace"]
    assert trace["rounds"] == list(range(1, 21))
    assert len(trace["attackers"]) == 4
    assert {name for name, kind in trace["kinds"].items() if kind != "type 1"} == set(
        trace["attackers"]
    )
    for run in traced:
        paid = sum(run["trace"]["paid"].values()) / 20
        assert paid == pytest.approx(run["final"]["payments"], abs=1)
    with ResultsStore(Path("r/results.db")) as store:
        entry = store.run(1)["entry"]
    assert entry == result["runs"][0]
    rows = {row["metric"] for row in result["summary"]}
    assert {"welfare_minus_first", "attack_rate_minus_first"} <= rows


def test_the_database_goes_where_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*GRID, "--seeds", "1", "--out", "a", "--database", "shared.db"]) == 0
    monkeypatch.setenv("FEDERATION_DATABASE", "shared.db")
    assert main(["simulate", "--rounds", "2", "--quiet", "--out", "b"]) == 0
    assert not Path("a/results.db").exists()
    assert not Path("b/results.db").exists()
    assert main(["runs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "shared.db"
    assert len(lines) == 2 + 4 + 1


def test_a_shared_database_gives_its_runs_to_another_directory() -> None:
    words = [*GRID, "--seeds", "1", "--database", "shared.db"]
    assert main([*words, "--out", "a"]) == 0
    assert main([*words, "--out", "b"]) == 2
    assert main([*words, "--out", "b", "--resume"]) == 0
    with ResultsStore("shared.db") as store:
        assert store.count() == 4
    assert without_times(Path("a/result.json").read_text()) == without_times(
        Path("b/result.json").read_text()
    )


def test_a_comparison_without_a_finished_run_has_no_result() -> None:
    grid = build_grid(["fedavg"], {}, [1], {"rounds": 2}, None)
    with ResultsStore("r.db") as store:
        assert Comparison(grid, store).result("x")["runs"] == []


MISTAKES = {
    "attack": (
        ["--attacks", "none,label-flp"],
        "cell global-dp, attack label-flp: --attack: unknown attack 'label-flp'; did you mean "
        "'label-flip'?",
    ),
    "strategy": (
        ["--strategies", "fedavg,krumm"],
        "unknown strategy 'krumm'; did you mean 'krum'?",
    ),
    "sweep": (["--sweep", "epsilom=1"], "unknown setting 'epsilom'; did you mean 'epsilon'?"),
    "combination": (
        ["--strategies", "fedavg,krum", "--sweep", "byzantine=2,9"],
        "cell krum, byzantine 9: krum with byzantine 9 needs 21 replies",
    ),
    "alone": (
        ["--strategies", "fedavg,centralised", "--attacks", "none,label-flip"],
        "cell centralised, attack label-flip: --attack needs at least two clinics",
    ),
    "attacks twice": (["--attacks", "none", "--sweep", "attack=none"], "say the same"),
    "nothing to resume from": (["--database", "", "--resume"], "--database is empty"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_line_before_anything_runs(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, reason = MISTAKES[name]
    assert main(["compare", "--quiet", *words, "--out", "r"]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert not list(Path().iterdir())


@pytest.mark.parametrize("command", ["simulate", "compare"])
@pytest.mark.parametrize("change", ["UPDATE federation_schema SET version_num = '9999'",
                                    "DROP TABLE awards"])  # fmt: skip
def test_a_database_that_cannot_be_used_stops_a_run_before_it_begins(
    command: str, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ResultsStore(Path("r/results.db")).close()
    with closing(sqlite3.connect("r/results.db")) as connection:
        connection.execute(change)
        connection.commit()
    assert main([command, *TINY[:4], "--quiet", "--out", "r"]) == 2
    error = capsys.readouterr().err
    assert "results database r/results.db: " in error
    assert error.count("\n") == 1
    assert [path.name for path in Path("r").iterdir()] == ["results.db"]
