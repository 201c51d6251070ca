"""What ``submit`` leaves of a run that came from a server: all that ``simulate`` leaves."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from federation.cli import main
from federation.deployment.submit import finish
from federation.runner import run_market_one, run_one
from server.frames import RESULT, FrameReader, frame_lines, result_value
from strategies.market_presets import compose_market
from strategies.presets import compose

OPTIONS = Namespace(database=None, quiet=True, json=False)
STARTED = "2026-01-02T03:04:05Z"


def arrived(run: Any) -> dict[str, Any]:
    """Return a run's result as it leaves the log of a server."""
    found: list[dict[str, Any]] = []
    reader = FrameReader(lambda _, value: found.append(value), lambda _: None)
    reader.feed("\n".join(frame_lines(RESULT, result_value(run))) + "\n")
    return found[0]


def test_a_deployed_run_is_recorded_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = run_one(compose("trusted", {"clients": 8, "rounds": 2, "attack": "sign-flip"}))
    out = Path("runs/deployed")
    assert finish(OPTIONS, out, arrived(run), STARTED) == 0
    assert {"clinics.png", "ledger.jsonl", "report.html", "results.db"} <= set(names(out))
    assert main(["runs", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    (entry,) = json.loads((out / "result.json").read_text())["runs"]
    assert (row["command"], row["strategy"], row["started"]) == ("submit", "trusted", STARTED)
    assert row["accuracy"] == entry["final"]["accuracy"]
    assert main(["runs", "export", "--out", "tables"]) == 0
    paid = [line.split(",")[-1] for line in Path("tables/payments.csv").read_text().split()[1:]]
    assert sum(map(int, paid)) == entry["market"]["payments"] > 0


def test_a_deployed_market_is_recorded_with_its_page(tmp_path: Path) -> None:
    market = {"clients": 6, "users": 4, "channels": 6, "rounds": 4, "episode_length": 2}
    outcome = run_market_one(compose_market("reputation", market))
    assert finish(OPTIONS, tmp_path, arrived(outcome), STARTED) == 0
    assert {"ledger.jsonl", "market.png", "report.html", "results.db"} <= set(names(tmp_path))
    page = (tmp_path / "report.html").read_text()
    assert "Winners and payments" in page
    assert "Reputation over time" in page


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
