"""The ServerApp as Flower starts it: settings from the run config, result in the context."""

import json
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, RecordDict

from federation.backends.inprocess import run_config
from server.app import app, make_app
from server.errors import RunFailed
from server.federation import FederatedRun
from server.loop import RoundRecord
from server.model import load_model
from strategies.settings import SettingsError
from tests.peers import Peers, federate, grid_of, raises, settings_of

SETTINGS = settings_of(rounds=3)


def context(**changes: Any) -> Context:
    config = {**run_config(SETTINGS), **changes}
    return Context(1, 1, {}, RecordDict(), config)


def test_the_app_runs_what_the_run_config_says_and_leaves_the_result() -> None:
    own = context()
    app(grid_of(SETTINGS), own)
    final = json.loads(str(own.state["result"]["json"]))
    expected = federate(SETTINGS)
    assert final["accuracy"] == expected.final["accuracy"]


def test_out_receives_model_and_rounds(tmp_path: Path) -> None:
    out = tmp_path / "not" / "yet there"
    app(grid_of(SETTINGS), context(out=str(out)))
    weights, card = load_model(out)
    assert weights.tobytes() == federate(SETTINGS).weights.tobytes()
    entry = json.loads((out / "run.json").read_text())
    assert entry["final"]["weights_sha256"] == card["weights_sha256"]
    assert len(entry["rounds"]) == 4


def test_without_out_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app(grid_of(SETTINGS), context(out=""))
    assert list(tmp_path.iterdir()) == []


def test_callers_are_told_of_rounds_and_of_the_run() -> None:
    rounds: list[RoundRecord] = []
    finished: list[FederatedRun] = []
    make_app(rounds.append, finished.append, SETTINGS)(
        grid_of(SETTINGS), Context(1, 1, {}, RecordDict(), {})
    )
    assert finished[0].rounds == rounds
    assert finished[0].settings == SETTINGS


def test_a_wrong_run_config_and_a_failed_run_are_not_swallowed() -> None:
    with pytest.raises(SettingsError, match="--epsilon must be above 0"):
        app(grid_of(SETTINGS), context(epsilon=-1.0))
    with pytest.raises(RunFailed):
        app(grid_of(SETTINGS, Peers(dict.fromkeys(range(7), raises))), context())
