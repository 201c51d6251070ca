"""SIGKILL at a random moment, as a user meets it: the command line, a process, a file."""

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from federation.outputs import DATABASE
from server.errors import StateError
from server.fingerprint import identity_of
from server.state.run_keeper import new_run
from server.state.store import StateStore
from strategies.settings import Settings
from tests.markets import market_settings
from tests.peers import settings_of
from tests.server.state.runs import finish, resumed

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("FEDERATION_KILLS", "1"))
"""How often through the command line."""
FORKED_KILLS = 20
RUNS = {
    "global-dp": settings_of(rounds=60),
    "dp-gd": settings_of("dp-gd", rounds=40),
    "fedadam": settings_of(rounds=60, aggregation="fedadam"),
    "trusted": settings_of("dp-gd", rounds=20, selection="reputation", attack="sign-flip"),
    "market": market_settings(rounds=60),
}
JOBS = {
    "global-dp": ["--rounds", "200", "--learning-rate", "0.01"],
    "market": ["--dataset", "carrada", "--rounds", "100", "--users", "6", "--clients", "9"],
    "fedadam": ["--rounds", "200", "--aggregation", "fedadam"],
    "dp-gd": ["--strategy", "dp-gd", "--rounds", "300"],
}


def command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "federation.cli", "simulate", "--seeds", "1", *words]


def run(*words: str) -> str:
    done = subprocess.run(
        command(*words), capture_output=True, text=True, timeout=400, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_midway(moment: np.random.Generator, out: Path, *words: str) -> int:
    """Start a run and kill it a random while after its first checkpoint; return the last round."""
    job = subprocess.Popen(
        command("--quiet", "--checkpoint", "--out", str(out), *words),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = monotonic() + 60
        while last_round(out) is None:
            assert monotonic() < end and job.poll() is None
            sleep(0.002)
        sleep(moment.uniform(0.0, 0.4))
        job.send_signal(signal.SIGKILL)
        assert job.wait(10) == -signal.SIGKILL, "it ended before it was killed: more rounds"
    finally:
        job.kill()
        job.wait()
    return last_round(out) or 0


def last_round(out: Path) -> int | None:
    if not (out / DATABASE).exists():
        return None
    try:
        store = StateStore(out / DATABASE)
        found = store.newest()
        store.close()
    except StateError:  # it is being made
        return None
    return None if found is None else found.round


def left_by(out: Path) -> dict[str, Any]:
    """Return what a run left, but for its clocks."""
    (entry,) = json.loads((out / "result.json").read_text())["runs"]
    for record in entry["rounds"]:
        record.pop("seconds")
    entry["final"].pop("seconds")
    ledger = out / "ledger.jsonl"
    return entry | {"ledger": ledger.read_text() if ledger.exists() else ""}


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_runs_killed_at_random_moments_end_as_if_nothing_had_happened(tmp_path: Path) -> None:
    seed = secrets.randbits(32)
    moment, names = np.random.default_rng(seed), list(JOBS)
    rounds = []
    for number in range(KILLS):
        name, out = names[number % len(names)], tmp_path / f"killed-{number}"
        rounds.append((name, kill_midway(moment, out, *JOBS[name])))
        assert not (out / "result.json").exists()
        run("--quiet", "--resume", "--out", str(out))
        whole = tmp_path / f"whole-{name}"
        if not whole.exists():
            run("--quiet", "--out", str(whole), *JOBS[name])
        assert left_by(out) == left_by(whole), (seed, number, rounds[-1])
    sys.stdout.write(f"killed after rounds {rounds}, seed {seed}\n")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_processes_killed_at_random_moments_leave_twenty_identical_results(
    tmp_path: Path,
) -> None:
    seed = secrets.randbits(32)
    moment, told = np.random.default_rng(seed), []
    wholes, names = {name: finish(settings) for name, settings in RUNS.items()}, list(RUNS)
    while len(told) < FORKED_KILLS:
        name = names[len(told) % len(names)]
        place = tmp_path / f"{len(told)}-{secrets.token_hex(4)}.db"
        last = killed_process(RUNS[name], place, float(moment.uniform(0.0, 0.6)))
        if last is None or last == RUNS[name].rounds:
            continue  # killed before it began or after it ended: that tells nothing
        told.append((name, last))
        assert resumed(RUNS[name], place) == wholes[name], (seed, told)
    sys.stdout.write(f"killed after rounds {told}, seed {seed}\n")


def killed_process(settings: Settings, place: Path, seconds: float) -> int | None:
    """Run in a process of its own, kill it with SIGKILL, and return the last round kept."""
    child = os.fork()
    if child == 0:
        try:
            finish(settings, new_run(StateStore(place), identity_of(settings)))
        finally:
            os._exit(0)
    sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not place.exists():
        return None
    store = StateStore(place)
    found = store.newest()
    store.close()
    return None if found is None else found.round
