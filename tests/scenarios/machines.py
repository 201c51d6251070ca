"""Machines of a deployed federation as processes of this one: started, killed and looked at by pid."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from federation.deployment.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0


@dataclass
class Desk:
    """A directory in which commands run, and what is still running there."""

    directory: Path
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "federation.cli", *words]

    def run(self, *words: str, timeout: float = 150.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*words),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=_environment(),
            check=False,
        )

    def good(self, *words: str, timeout: float = 150.0) -> str:
        """Run a command that must succeed and return what it prints."""
        done = self.run(*words, timeout=timeout)
        assert done.returncode == 0, done.stderr[-3000:] + self.logs()
        return done.stdout

    def start(self, name: str, *words: str, prefix: Sequence[str] = ()) -> None:
        """Start a command that goes on; what it says goes to ``NAME.out``."""
        with (self.directory / f"{name}.out").open("wb") as said:
            self.running[name] = subprocess.Popen(
                [*prefix, *self.command(*words)],
                cwd=self.directory,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )

    def said(self, name: str) -> str:
        return (self.directory / f"{name}.out").read_text()

    def wait_for(
        self, name: str, words: str, times: int = 1, seconds: float = START_SECONDS
    ) -> None:
        """Wait until a command has said something so many times."""
        until = monotonic() + seconds
        while self.said(name).count(words) < times:
            ended = self.running[name].poll()
            assert ended is None, f"{name} ended with {ended}: {self.said(name)}{self.logs()}"
            assert monotonic() < until, (
                f"{name} never said {words!r}: {self.said(name)}{self.logs()}"
            )
            sleep(0.1)

    def stop(self, name: str) -> None:
        """End a command as Ctrl-C does, and hold it to leaving nothing behind."""
        process = self.running.pop(name)
        family = {process.pid, *descendants(process.pid)}
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        assert not (left := still_there(family)), f"{name} left {left}"

    def clear(self) -> None:
        """End whatever still runs, however a test ended."""
        for process in self.running.values():
            family = {process.pid, *descendants(process.pid)}
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            for pid in still_there(family):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def logs(self) -> str:
        """Return the ends of all logs, for the message of a failed test."""
        found = [*self.directory.glob("*.out"), *self.directory.rglob("logs/*.log")]
        return "".join(f"\n--- {p}\n{p.read_text(errors='replace')[-1500:]}" for p in found)


def descendants(pid: int) -> set[int]:
    """Return the pids below a process."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                found |= {int(child)} | descendants(int(child))
    return found


def below(pid: int, words: str) -> int:
    """Return the process below another whose command line has some words."""
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words in line:
                return child
    raise AssertionError(f"no process below {pid} with {words!r}")


def still_there(pids: set[int], seconds: float = 8.0) -> set[int]:
    """Return which processes are still alive when they had time to end."""
    until = monotonic() + seconds
    while (alive := {pid for pid in pids if _alive(pid)}) and monotonic() < until:
        sleep(0.1)
    return alive


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FLWR_")}
    fonts = str(Path.home() / ".cache" / "matplotlib")
    return kept | {
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "MPLCONFIGDIR": fonts,
    }
