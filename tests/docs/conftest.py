"""A directory as a reader stands in, and how blocks are run there."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block

FRONT_DOOR = "run_federation.sh"


class Desk:
    """A directory with the front door and the data set, as a working copy has them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.directory = home / "a desk"
        self.directory.mkdir()
        (self.directory / "datasets").symlink_to(ROOT / "datasets")
        _put_front_door(self.directory / FRONT_DOOR)

    def run(self, block: Block) -> str:
        """Return what a block prints; it must not fail."""
        command = ["bash", "-euo", "pipefail", "-c", block.text]
        environment = self._environment()
        if block.language == "python":
            command = [sys.executable, "-P", "-c", block.text]
            environment["PYTHONPATH"] = str(ROOT)
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            printed, complaints = process.communicate(timeout=240)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        assert process.returncode == 0, f"{block.place}: {process.returncode}\n{complaints[-2000:]}"
        return printed

    def clear(self) -> None:
        """End what outlives a block and names this directory: a local SuperLink does."""
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.fsencode(self.home) in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGTERM)

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FLWR_")}
        return kept | {
            "HOME": str(self.home),
            "MPLCONFIGDIR": str(
                Path.home() / ".cache" / "matplotlib"
            ),  # else fonts are listed anew
            "PROJECT": str(ROOT),
            "VENV": sys.prefix,
            "COLUMNS": "100",
            "NO_COLOR": "1",
        }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a fresh desk, cleared of processes afterwards."""
    made = Desk(tmp_path)
    yield made
    made.clear()


def _put_front_door(path: Path) -> None:
    """Link the real script where it would run this interpreter; else stand in for it."""
    if Path(sys.prefix).resolve() == (ROOT / ".venv").resolve():
        path.symlink_to(ROOT / FRONT_DOOR)
        return
    call = f'"{sys.executable}" -P -m federation.cli'
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec {call} "$@"\n')
    path.chmod(0o755)
