"""A playback shows what the live view showed, and what result.json says."""

import json
from argparse import Namespace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import pytest

from federation.cli import main
from federation.live import serving
from federation.live.playback import playback

MARKET = (
    "simulate --dataset carrada --strategy reputation --rounds 12 --episode-length 6 --clients 6"
)
RUNS = {
    "noise": "simulate --strategy dp-gd --rounds 3 --clients 4",
    "plain": "simulate --strategy fedavg --rounds 3 --clients 4",
    "priced": "simulate --strategy dp-gd --rounds 3 --clients 4 --price-per-epsilon 1000",
    "budget": "simulate --strategy dp-gd --rounds 4 --clients 4 --max-uploads 2",
    "market": f"{MARKET} --users 4 --channels 6",
}


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command with --live; return its directory and what the page was told at the end."""
    states: list[dict[str, Any]] = []
    real = serving.LiveServer.close

    def close(self: Any, drain: float = 0.0) -> None:
        self.source.advance()
        states.append(json.loads(self.source.state()))
        real(self, 0.0)

    monkeypatch.setattr(serving.LiveServer, "close", close)

    def run(words: str) -> tuple[Path, dict[str, Any], int]:
        out = tmp_path / "out"
        code = main([*words.split(), "--live", "--quiet", "--seeds", "1", "--out", str(out)])
        assert len(states) == 1
        return out, states[0], code

    return run


@pytest.mark.parametrize("name", [name for name in RUNS if name != "budget"])
def test_playback_equals_live_and_result_json(name: str, watched: Any) -> None:
    out, live, code = watched(RUNS[name])
    assert code == 0
    assert live["status"]["state"] == "finished"
    assert live["status"]["again"] == f"./run_federation.sh live {out}"
    source = playback(out)
    source.advance()
    played = json.loads(source.state())
    assert played["rounds"] == live["rounds"]
    assert played["head"] | {"mode": "live"} == live["head"]
    assert set(live["epsilon"].items()) <= set(played["epsilon"].items())
    rounds = json.loads((out / "result.json").read_text())["runs"][0]["rounds"]
    assert [row["round"] for row in played["rounds"]] == [record["round"] for record in rounds]
    for row, record in zip(played["rounds"], rounds, strict=True):
        for metric, value in row["metrics"].items():
            assert record[metric] == value
        assert row["seconds"] == record["seconds"]
        assert row["unused_count"] == len(record["verdicts"])
        if "merged" in row:
            assert len(row["merged"]) == record["replies"]


def test_eps_of_the_page_is_what_was_asked_for_in_the_end(watched: Any) -> None:
    _, live, _ = watched(RUNS["noise"])
    uploads = live["rounds"][-1]["uploads"]
    assert uploads == {"0": 3, "1": 3, "2": 3, "3": 3}
    assert live["epsilon"]["3"] == pytest.approx(live["head"]["epsilon"]["nominal"], rel=1e-3)


def test_a_market_shows_who_won_was_paid_and_delivered_what(watched: Any) -> None:
    out, live, _ = watched(RUNS["market"])
    ledger = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    for row, entry in zip(live["rounds"], ledger, strict=True):
        assert row["paid"] == entry["paid"]
        assert row["reputations"] == entry["reputations"]
        assert sorted(row["covers"]) == sorted(entry["delivered"])
        known = reduce(or_, row["covers"].values(), 0)
        assert known < 2**8
        assert known.bit_count() == row["metrics"].get("covered", 0)
    last = live["rounds"][-1]
    assert sum(last["paid_total"].values()) == sum(sum(e["paid"].values()) for e in ledger)
    assert sum(last["wins"].values()) == sum(len(e["delivered"]) for e in ledger)


def test_clinics_that_sell_have_one_name_on_the_page(watched: Any) -> None:
    _, live, _ = watched(RUNS["priced"])
    names = {"0", "1", "2", "3"}
    for row in live["rounds"][1:]:
        assert set(row["offers"]) == set(row["uploads"]) == names
        assert {*row["paid"], *row["delivered"], *row["wins"]} <= names


def test_a_failed_run_is_shown_as_failed(watched: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, live, code = watched(RUNS["budget"])
    assert code == 1
    assert live["status"]["state"] == "failed"
    said = capsys.readouterr().err.strip().splitlines()[-1].removeprefix("error: ")
    assert live["status"]["message"] == said
    assert live["status"]["again"] == ""


def test_a_comparison_shows_its_runs(watched: Any) -> None:
    words = "compare --strategies fedavg,dp-gd --sweep rounds=2,3 --clients 4 --workers 1"
    out, live, _ = watched(words)
    assert (live["board"]["total"], live["board"]["done"]) == (4, 4)
    played = json.loads(playback(out).state())
    assert played["board"]["leaders"] == live["board"]["leaders"]
    result = json.loads((out / "result.json").read_text())
    best = max(run["final"]["accuracy"] for run in result["runs"])
    assert played["board"]["leaders"][0]["mean"] == best


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "no result.json"),
        ("", "half-written"),
        ('{"settings": {', "half-written"),
        ("[]", "no result"),
        ("{}", "no result"),
        ('{"runs": [], "settings": {}, "floors": {}}', "no runs"),
        ('{"runs": [{"rounds": [1]}], "settings": {}, "floors": {}}', "no result"),
        ('{"runs": [{}], "settings": {"epsilon": -1}, "floors": {}}', "no result"),
    ],
)
def test_what_is_no_result_is_refused_in_one_line(
    text: str | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    assert main(["live", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_a_directory_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", "no/where"]) == 2
    assert "no such directory" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "1e3", "9" * 30])
def test_what_is_no_port_is_refused(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--live", f"--live-port={port}", "--rounds", "1"]) == 2
    assert "--live-port must be a port" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_port_without_the_view_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--live-port", "8000", "--rounds", "1"]) == 2
    assert "--live-port needs --live" in capsys.readouterr().err


def test_no_secret_reaches_the_page() -> None:
    state, text = serving.outcome(RuntimeError("ledger postgresql://me:pw@db/x\nbroke"))
    assert (state, text) == ("failed", "ledger postgresql://... broke")
    assert serving.outcome(KeyboardInterrupt())[0] == "interrupted"
    assert serving.outcome(None) == ("finished", "")


def test_a_view_that_breaks_does_not_break_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Any, record: Any) -> None:
        raise ValueError("a bug of ours")

    monkeypatch.setattr(serving.Tally, "of_record", broken)
    words = ["simulate", "--strategy", "fedavg", "--rounds", "2", "--clients", "3", "--quiet"]
    assert main([*words, "--live", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert said.count("not shown, the run goes on (ValueError: a bug of ours)") == 1
    assert (tmp_path / "out" / "result.json").is_file()


def test_no_port_at_all_does_not_break_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none_left(*_: object) -> None:
        raise OSError("no sockets")

    monkeypatch.setattr(serving, "LiveServer", none_left)
    with serving.Serving(lambda: None, 0, Path("x")) as view:  # type: ignore[arg-type,return-value]
        view.say("still here")
    assert "not shown, the run goes on (OSError: no sockets)" in capsys.readouterr().err


def test_without_the_flag_nothing_is_loaded() -> None:
    import subprocess
    import sys

    code = "import sys; from federation import commands; print([m for m in sys.modules if 'federation.live' in m])"
    root = Path(__file__).parents[3]
    found = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=root, env={"PYTHONPATH": str(root)},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert found.stdout.strip() == "['federation.live', 'federation.live.view']"


def test_a_second_ctrl_c_while_it_ends_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from federation.live import command

    class Served:
        port, address = 1, "http://127.0.0.1:1/token/"

        def start(self) -> "Served":
            return self

        def close(self, _: float) -> None:
            raise KeyboardInterrupt

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "playback", lambda _: None)
    monkeypatch.setattr(command, "LiveServer", lambda *_: Served())
    monkeypatch.setattr(command, "Event", type("E", (), {"wait": interrupted}))
    assert command.play(Namespace(directory=str(tmp_path))) == 0
    address = capsys.readouterr().err.splitlines()[0]
    assert address.endswith("/token/")  # nothing behind it that a terminal takes for a part of it
