"""SIGKILL in the middle of a comparison: no worker stays, and it goes on to the same page."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GRID = ["compare", "--strategies", "global-dp,krum", "--attacks", "none,sign-flip", "--seeds", "4"]
GRID += ["--rounds", "30", "--workers", "2", "--quiet"]


def started(words: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "federation.cli", *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )


def finished(path: Path) -> int:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM runs").fetchone()[0])
    return 0


def children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and f"\nPPid:\t{parent}\n" in (entry / "status").read_text():
                found.append(int(entry.name))
    return found


def alive(process: int) -> bool:
    with suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    return False


def until(what: str, happened: object) -> None:
    end = time.monotonic() + 120
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < end, f"{what} did not happen within two minutes"
        time.sleep(0.02)


def timeless(text: str) -> str:
    result = json.loads(text)
    result["summary"] = [row for row in result["summary"] if row["metric"] != "seconds"]
    return re.sub(r'"seconds": [0-9.e-]+', '"seconds": 0', json.dumps(result))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_killed_comparison_goes_on_to_the_same_page(tmp_path: Path) -> None:
    job = started([*GRID, "--out", "killed"], tmp_path)
    workers: list[int] = []
    try:
        until("the first runs", lambda: finished(tmp_path / "killed" / "results.db") >= 4)
        workers = children(job.pid)
        assert len(workers) >= 2
        job.kill()
        job.wait(30)
        until("the workers' end", lambda: not any(map(alive, workers)))
    finally:
        job.kill()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
    kept = finished(tmp_path / "killed" / "results.db")
    assert 4 <= kept < 16
    assert not (tmp_path / "killed" / "result.json").exists()
    for out, more in (("killed", ["--resume"]), ("whole", [])):
        job = started([*GRID, "--out", out, *more], tmp_path)
        _, messages = job.communicate(timeout=280)
        assert job.returncode == 0, messages
    assert finished(tmp_path / "killed" / "results.db") == 16
    for name in ("report.html", "result.json"):
        one, other = ((tmp_path / out / name).read_text() for out in ("killed", "whole"))
        assert (timeless(one) == timeless(other)) if name == "result.json" else one == other
