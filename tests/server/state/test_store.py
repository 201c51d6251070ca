"""The database of checkpoints: all of a round or nothing, bounded waits, one-line refusals."""

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from federation.runner import launch
from server.errors import RunFailed, StateError
from server.fingerprint import identity_of
from server.loop import RoundRecord
from server.model import load_model
from server.state.run_keeper import new_run
from server.state.store import StateStore
from tests.peers import settings_of
from tests.server.state.runs import finish, resumed

ROOT = Path(__file__).parents[3]
SETTINGS = settings_of(rounds=6)
WAIT = 0.3


def test_a_locked_database_ends_the_run_within_the_bound_and_it_can_be_resumed(
    tmp_path: Path,
) -> None:
    place = tmp_path / "state.db"
    keeper = new_run(StateStore(place, WAIT), identity_of(SETTINGS))
    other = sqlite3.connect(place, isolation_level=None)
    began = 0.0

    def told(record: RoundRecord) -> None:
        nonlocal began
        if record.round == 3:
            other.execute("BEGIN IMMEDIATE")
            began = monotonic()

    with pytest.raises(
        RunFailed, match=r"round 3 could not be kept in \S+state.db \(database is locked\); the"
    ) as caught:
        launch(SETTINGS, told, keeper)
    assert WAIT * 0.9 < monotonic() - began < WAIT + 5
    assert "\n" not in str(caught.value)
    other.close()
    assert resumed(SETTINGS, place) == finish(SETTINGS)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_exit_1_and_it_can_be_resumed(tmp_path: Path) -> None:
    """No file may grow beyond 150 kB: what a full disk says to SQLite."""
    words = ["simulate", "--seeds", "1", "--rounds", "300", "--out", str(tmp_path), "--quiet"]

    def run(*more: str, limit: int | None = None) -> "subprocess.CompletedProcess[str]":
        def limited() -> None:
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run(
            [sys.executable, "-P", "-m", "federation.cli", *words, *more],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
            check=False,
            preexec_fn=limited,
        )

    full = run("--checkpoint", limit=150_000)
    assert full.returncode == 1
    assert full.stderr.startswith("error: round ")
    assert "could not be kept in" in full.stderr and full.stderr.count("\n") == 1
    assert not (tmp_path / "result.json").exists()
    done = run("--resume")
    assert done.returncode == 0, done.stderr
    settings = settings_of(clients=20, rounds=300, learning_rate=0.001)
    assert load_model(tmp_path)[0].tobytes() == finish(settings)["weights"]


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("nothing of ours " * 100)
    for place in (text, tmp_path / "nowhere" / "state.db", tmp_path):
        with pytest.raises(StateError, match="cannot be used for checkpoints") as caught:
            StateStore(place, WAIT)
        assert "\n" not in str(caught.value)
    assert text.read_text() == "nothing of ours " * 100


def test_a_url_keeps_its_password_to_itself() -> None:
    with pytest.raises(StateError) as caught:
        StateStore("nosuchdb://me:secret@host/x", WAIT)
    assert "secret" not in str(caught.value)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "state.db"
    StateStore(place).close()
    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE durable_schema SET version = 99")
    with pytest.raises(StateError, match="made by a newer version of this program"):
        StateStore(place)


def test_other_tables_in_the_same_database_are_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "shared.db"
    with sqlite3.connect(place) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, strategy TEXT)")
        connection.execute("INSERT INTO runs (strategy) VALUES ('theirs')")
    launch(SETTINGS, lambda _: None, new_run(StateStore(place), identity_of(SETTINGS)))
    with sqlite3.connect(place) as connection:
        assert connection.execute("SELECT strategy FROM runs").fetchall() == [("theirs",)]
