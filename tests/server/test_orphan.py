"""A server app whose SuperLink was killed ends by itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

ROOT = Path(__file__).parents[2]
CHILD = "import time; from server.orphan import end_with_parent; end_with_parent(0.05); " + (
    "print('up', flush=True); time.sleep(60)"
)
PARENT = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {CHILD!r}]); " + (
    "print(p.pid, flush=True); p.wait()"
)


def test_it_ends_when_its_parent_was_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert parent.stdout.readline() == "up\n"
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        end = monotonic() + 20
        while _runs(child):
            assert monotonic() < end, "the orphan goes on"
            sleep(0.02)
    finally:
        parent.stdout.close()
        if _runs(child):
            os.kill(child, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
