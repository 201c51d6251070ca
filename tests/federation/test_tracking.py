"""--track: what each tracker is told, that its troubles are not the run's, and how it ends."""

import json
import sqlite3
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest

from federation import tracking
from federation.cli import main
from federation.flags import UsageError
from federation.tracking import figures_of, tracked, trackers_from
from server.errors import RunFailed
from server.loop import RoundRecord
from strategies.settings import Settings

RUN = ["simulate", "--rounds", "3", "--clients", "5", "--quiet", "--out", "out"]


class Kept:
    """A tracker that keeps what it is told; one that trips at a round when asked to."""

    needs = "json"
    told: ClassVar[list[tuple[int, dict[str, float]]]] = []
    ended: ClassVar[list[bool]] = []
    trips_at: ClassVar[int] = -1

    def __init__(self, settings: Settings, out: Path) -> None:
        Kept.told, Kept.ended = [], []

    def log(self, values: Mapping[str, float], step: int) -> None:
        if step == Kept.trips_at:
            raise OSError("no space left")
        Kept.told.append((step, dict(values)))

    def close(self, failed: bool) -> None:
        Kept.ended.append(failed)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Kept]:
    monkeypatch.setattr(tracking, "TRACKERS", {"kept": Kept})
    monkeypatch.setattr(Kept, "trips_at", -1)
    monkeypatch.chdir(tmp_path)
    return Kept


def test_every_round_is_told_once_with_the_figures_of_the_result(kept: type[Kept]) -> None:
    assert main([*RUN, "--track", "kept"]) == 0
    rounds = json.loads(Path("out/result.json").read_text())["runs"][0]["rounds"]
    assert [step for step, _ in kept.told] == [0, 1, 2, 3]
    assert [values["accuracy"] for _, values in kept.told] == [r["accuracy"] for r in rounds]
    assert kept.ended == [False]


def test_a_tracker_that_trips_is_left_out_and_the_run_goes_on(
    kept: type[Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "trips_at", 2)
    assert main([*RUN, "--track", "kept"]) == 0
    assert [step for step, _ in kept.told] == [0, 1]
    assert Path("out/result.json").exists()


def test_a_failed_run_is_closed_as_failed(kept: type[Kept], tmp_path: Path) -> None:
    with pytest.raises(RunFailed), tracked(["kept"], Settings(), tmp_path):
        raise RunFailed("nobody came")
    assert kept.ended == [True]


def test_a_tracker_that_cannot_start_is_one_line_and_nothing_looks_done(
    kept: type[Kept], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Kept, settings: Settings, out: Path) -> None:
        raise OSError("port taken")

    monkeypatch.setattr(kept, "__init__", broken)
    assert main([*RUN, "--track", "kept"]) == 1
    assert capsys.readouterr().err == "error: --track kept cannot start: OSError: port taken\n"
    assert not Path("out/result.json").exists()


def test_only_finite_numbers_are_told() -> None:
    record = RoundRecord(1, {"accuracy": 0.5, "auc": float("nan"), "name": "x"}, {"0": 3})
    assert figures_of(record) == {"accuracy": 0.5, "replies": 1.0, "unused_replies": 0.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tensorbord", "unknown tracker 'tensorbord'; did you mean 'tensorboard'?"),
        ("tensorboard,tensorboard", "name each tracker once"),
        ("", "unknown tracker ''"),
    ],
)
def test_a_bad_list_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", "[?]")):
        trackers_from(text)


def test_an_extra_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="setup wandb"):
        trackers_from("wandb-offline")


def test_tensorboard_files_hold_the_accuracies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboardX.proto.event_pb2 import Event

    monkeypatch.chdir(tmp_path)
    assert main([*RUN, "--track", "tensorboard"]) == 0
    (path,) = Path("out/tensorboard").iterdir()
    found: dict[int, float] = {}
    data, place = path.read_bytes(), 0
    while place < len(data):  # TFRecord: length (8), crc (4), event, crc (4)
        size = int.from_bytes(data[place : place + 8], "little")
        event = Event.FromString(data[place + 12 : place + 12 + size])
        for value in event.summary.value:
            if value.tag == "accuracy":
                found[event.step] = value.simple_value
        place += size + 16
    rounds = json.loads(Path("out/result.json").read_text())["runs"][0]["rounds"]
    assert found == {r["round"]: pytest.approx(r["accuracy"], rel=1e-6) for r in rounds}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow: ./run_federation.sh setup mlflow")
def test_mlflow_holds_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main([*RUN, "--track", "mlflow"]) == 0
    with sqlite3.connect("out/mlflow.db") as base:
        (status,) = base.execute("select status from runs").fetchone()
        steps = base.execute("select step, value from metrics where key = 'accuracy' order by 1")
        told = dict(steps.fetchall())
    rounds = json.loads(Path("out/result.json").read_text())["runs"][0]["rounds"]
    assert status == "FINISHED"
    assert told == {r["round"]: r["accuracy"] for r in rounds}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb: ./run_federation.sh setup wandb")
def test_wandb_stays_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", "not-a-key")
    assert main([*RUN, "--track", "wandb-offline"]) == 0
    (path,) = Path("out/wandb").glob("offline-run-*/run-*.wandb")
    assert path.stat().st_size > 0
    assert b"not-a-key" not in b"".join(
        p.read_bytes() for p in Path("out/wandb").rglob("*") if p.is_file()
    )
