"""The market on the command line: what is written, what is printed, and every mistake in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from federation import market_commands
from federation.cli import main
from federation.market_reproduce import COMPARED
from server.market_report import FIGURES, MONEY
from strategies.auction.audit import KINDS

SMALL = ["--dataset", "carrada", "--clients", "9", "--users", "6", "--channels", "9"]
SHORT = [*SMALL, "--rounds", "30", "--episode-length", "15"]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(path: str) -> Any:
    return json.loads(Path(path).read_text())


def test_simulate_writes_everything_and_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *SHORT, "--seeds", "3", "--out", "r"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "reputation, synthetic market",
        "sold by type 1",
        "3 seeds, 95 %",
        "r/ledger.jsonl",
    ):
        assert text in printed
    result = read("r/result.json")
    names = {"settings", "versions", "floors", "baselines", "runs", "summary", "command"}
    assert set(result) == names
    (entry,) = result["runs"]
    assert [row["round"] for row in entry["rounds"]] == list(range(1, 31))
    assert {row["metric"] for row in result["summary"]} == set(FIGURES)
    assert {row["n"] for row in result["summary"]} <= {2, 3}
    assert len(Path("r/ledger.jsonl").read_text().splitlines()) == 30
    assert len(Path("r/rounds.csv").read_text().splitlines()) == 31
    assert Path("r/market.png").read_bytes().startswith(PNG)
    assert not Path("r/twin.png").exists()


def test_the_default_on_carrada_is_the_papers_mechanism_and_json_is_all_that_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate", *SHORT, "--json", "--out", "r"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == read("r/result.json")
    assert captured.err == ""
    settings = json.loads(captured.out)["settings"]
    assert (settings["strategy"], settings["selection"]) == ("reputation", "reputation")


def test_a_payload_market_draws_the_twin_of_a_frame() -> None:
    words = ["--market", "payload", "--cover", "0.6", "--channels", "30", "--quiet", "--out", "r"]
    assert main(["simulate", *SHORT, *words]) == 0
    assert Path("r/twin.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("what", ["market-fig4", "market-fig5"])
def test_reproduce_measures_both_sets_and_draws(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", what, *SHORT[2:], "--seeds", "2", "--out", "r"]) == 0
    printed = capsys.readouterr().out
    assert "set A" in printed
    assert "100.0%  type 1 dominates" in printed or "type 1 dominates" in printed
    result = read("r/result.json")
    assert len(result["runs"]) == 2 * 2 * len(COMPARED)
    assert set(result["shape"]) == {"A", "B"}
    ratios = {
        row["strategy"]: row["mean"]
        for row in result["summary"]
        if row["metric"] == "welfare_ratio" and row["cell"]["set"] == "A"
    }
    assert ratios["no-reputation"] == 1.0
    assert set(ratios) == set(COMPARED)
    assert Path(f"r/{what}.png").read_bytes().startswith(PNG)


def test_reproduce_one_set_by_messages() -> None:
    words = ["--preset", "market-b", "--types", "3,3,3", "--workers", "1", "--quiet"]
    assert main(["reproduce", "market-fig4", *SHORT, *words, "--seeds", "1", "--out", "r"]) == 0
    result = read("r/result.json")
    assert set(result["shape"]) == {"B"}
    assert result["settings"]["z"] == 0.72


def test_compare_lays_strategies_and_swept_settings_side_by_side(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--strategies", "reputation,trusted", "--sweep", "z=0.7,0.9", "--seeds", "2"]
    assert main(["compare", *SHORT, *words, "--out", "r"]) == 0
    result = read("r/result.json")
    cells = {(run["strategy"], run["cell"]["z"]) for run in result["runs"]}
    assert cells == {(s, z) for s in ("reputation", "trusted") for z in (0.7, 0.9)}
    assert "z 0.9" in capsys.readouterr().out
    assert main(["compare", *SHORT, "--seeds", "1", "--quiet", "--out", "d"]) == 0
    assert {run["strategy"] for run in read("d/result.json")["runs"]} == set(COMPARED)


def test_audit_auction_finds_the_holes_with_checks_off_and_none_with_checks_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["audit", "auction", "--tries", "300", "--json", "--out", "r"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == read("r/audit.json")
    cases = {(case["kind"], case["checks"]): case for case in result["cases"]}
    assert set(cases) == {(kind, checks) for kind in KINDS for checks in (True, False)}
    for kind in ("cost", "value", "channels", "overbooking"):
        assert cases[kind, True]["profitable"] == 0
    assert cases["value", False]["share"] > 0.3
    assert cases["channels", False]["share"] > 0.3
    assert all(case["irrational"] == 0 for case in result["cases"])
    assert main(["audit", "auction", "--tries", "50", "--out", "q"]) == 0
    printed = capsys.readouterr().out
    assert "claims another value than it delivers" in printed
    assert "paid less than their cost: 0" in printed


def test_audit_auction_repeats_itself() -> None:
    for out in ("a", "b"):
        assert main(["audit", "auction", "--tries", "40", "--quiet", "--out", out]) == 0
    assert Path("a/audit.json").read_text() == Path("b/audit.json").read_text()


MISTAKES: dict[str, tuple[list[str], str]] = {
    "theta above alpha": (["--theta", "0.6"], "theta 0.6 is outside 0..alpha = 0.5"),
    "fewer channels than none": (["--channels", "-1"], "--channels must be at least 0, got -1"),
    "negative price": (["--reserve", "-5"], "--reserve must be at least 0, got -5"),
    "cover of 2": (["--cover", "2"], "--cover must be at most 1, got 2.0"),
    "z of 1": (["--z", "1"], "--z must be below 1, got 1"),
    "omega of 0": (["--omega", "0"], "--omega must be above 0, got 0"),
    "no window": (["--window", "0"], "--window must be at least 1, got 0"),
    "cubes of words": (["--cubes", "many"], "--cubes 'many': give slices"),
    "too many cubes": (["--cubes", "4x4x4"], "1 to 63 in all"),
    "types of others": (["--types", "1,2,3"], "are 6 devices and --clients is 9"),
    "types of words": (["--types", "a,b"], "--types 'a,b': give three counts"),
    "rates of words": (["--attack-rates", "often"], "give three probabilities"),
    "rate of 3": (["--attack-rates", "3,0,0"], "probabilities lie in 0..1"),
    "attack": (["--attack", "ddos"], "--attack: unknown value 'ddos'"),
    "weather": (["--weather", "9"], "--weather must be at most 1.5, got 9"),
    "strategy of bcwd": (["--strategy", "fedavg"], "carrada has no strategy 'fedavg'; use one of"),
    "preset of bcwd": (["--preset", "paper-std"], "carrada has no preset 'paper-std'"),
    "setting of bcwd": (["--epsilon", "3"], "--epsilon is a setting of --dataset bcwd"),
    "data without payload": (["--data", "x"], "--data names a CARRADA root"),
    "no such root": (["--market", "payload", "--data", "x"], "is not a CARRADA root"),
    "discount without": (
        ["--strategy", "no-reputation", "--discount", "reputation"],
        "need reputations",
    ),
    "budget without auction": (["--auction", "none", "--budget", "5"], "need an auction"),
    "no users": (["--users", "0"], "--users must be at least 1, got 0"),
    "seeds": (["--seeds", "0"], "--seeds must be a whole number"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_line_and_writes_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, reason = MISTAKES[name]
    assert main(["simulate", *SHORT, *words, "--out", "r"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert reason in captured.err
    assert not Path("r").exists()


OTHERS: dict[str, tuple[list[str], str]] = {
    "strategy of carrada": (
        ["simulate", "--strategy", "reputation-unfiltered"],
        "goes with --dataset carrada",
    ),
    "preset of carrada": (["simulate", "--preset", "market-a"], "goes with --dataset carrada"),
    "setting of carrada": (["simulate", "--cover", "0.4"], "--cover is a setting of"),
    "figure with strategy": (
        ["reproduce", "market-fig4", "--strategy", "reputation"],
        "leave --strategy out",
    ),
    "figure of bcwd settings": (
        ["reproduce", "market-fig5", "--delta", "0.1"],
        "--delta is a setting",
    ),
    "figure with selection": (
        ["reproduce", "market-fig4", "--selection", "none"],
        "leave --selection out",
    ),
    "figure on bcwd": (["reproduce", "market-fig4", "--dataset", "bcwd"], "of --dataset carrada"),
    "shards": (["shards", "--dataset", "carrada"], "cuts records of clinics"),
    "figure": (["reproduce", "market-fig6"], "unknown figure 'market-fig6'"),
    "audit tries": (["audit", "auction", "--tries", "none"], "--tries must be a whole number"),
    "audit rule": (["audit", "auction", "--rule", "first"], "--rule: unknown value 'first'"),
    "audit reserve": (["audit", "auction", "--reserve", "-1"], "--reserve must be a whole number"),
    "compare strategy": (
        ["compare", "--dataset", "carrada", "--strategies", "fedavg"],
        "carrada has no strategy 'fedavg'",
    ),
    "compare twice": (
        ["compare", "--dataset", "carrada", "--strategies", "trusted,trusted"],
        "name each once",
    ),
    "sweep": (
        ["compare", "--dataset", "carrada", "--sweep", "theta=0.4,0.9"],
        "theta 0.9 is outside",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_mistake_elsewhere_ends_in_one_line_and_writes_nothing(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, reason = OTHERS[name]
    assert main([*words, "--out", "r"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert reason in captured.err
    assert not Path("r").exists()


def test_a_root_that_is_not_carrada_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for path in ("empty", "file"):
        words = ["--market", "payload", "--data", str(tmp_path / path), "--out", "r"]
        assert main(["simulate", *SHORT, *words]) == 2
        assert f"{path}: is not a CARRADA root" in capsys.readouterr().err
    assert not Path("r").exists()


def test_a_market_that_sells_nothing_is_a_run_that_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate", *SHORT, "--reserve", "1", "--out", "r"]) == 1
    assert "nobody won the auction" in capsys.readouterr().err
    assert not Path("r").exists()


def test_an_interrupt_keeps_the_finished_rounds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = market_commands.run_market_one

    def interrupted(settings: Any, on_round: Any, *rest: Any) -> Any:
        def told(record: Any) -> None:
            on_round(record)
            if record.round == 4:
                raise KeyboardInterrupt

        return real(settings, told, *rest)

    monkeypatch.setattr(market_commands, "run_market_one", interrupted)
    assert main(["simulate", *SHORT, "--quiet", "--out", "r"]) == 130
    assert "interrupted after round 4 of 30" in capsys.readouterr().err
    assert len(Path("r/unfinished-rounds.csv").read_text().splitlines()) == 5
    assert not Path("r/result.json").exists()


def test_a_settings_file_drives_a_market() -> None:
    Path("run.toml").write_text(
        'dataset = "carrada"\npreset = "market-b"\nrounds = 15\nepisode-length = 15\nclients = 6\n'
        'users = 3\nstrategy = "no-reputation"\n'
    )
    assert main(["simulate", "--config", "run.toml", "--quiet", "--out", "r"]) == 0
    settings = read("r/result.json")["settings"]
    assert (settings["z"], settings["strategy"], settings["clients"]) == (0.72, "no-reputation", 6)
    assert (
        main(
            [
                "reproduce",
                "market-fig4",
                "--config",
                "run.toml",
                "--quiet",
                "--seeds",
                "1",
                "--out",
                "f",
            ]
        )
        == 0
    )


def test_money_is_whole_everywhere() -> None:
    assert main(["simulate", *SHORT, "--quiet", "--out", "r"]) == 0
    entry = read("r/result.json")["runs"][0]
    assert all(isinstance(entry["final"][name], int) for name in MONEY)
