"""Ctrl-C: exit 130, what was finished is kept and said, and nothing looks done."""

import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from federation.database.store import ResultsStore

ROOT = Path(__file__).parents[2]
# Writes a line to standard output once the job is well under way, then goes on.
SIMULATE = """
import sys
from federation import cli, commands

real = commands.run_one

def spied(settings, on_round, keeper):
    def told(record):
        on_round(record)
        if record.round == 5:
            print("under way", flush=True)
    return real(settings, told, keeper)

commands.run_one = spied
sys.exit(cli.main(sys.argv[1:]))
"""
COMPARE = """
import sys
from contextlib import contextmanager
from federation import cli, compare_command

@contextmanager
def bar(title, quiet):
    yield lambda share: print("under way", flush=True)

if __name__ == "__main__":
    compare_command.share_bar = bar
    sys.exit(cli.main(sys.argv[1:]))
"""


def interrupted(code: str, words: list[str], folder: Path) -> tuple[int, str]:
    """Start a command, press Ctrl-C once it says it is under way; return code and messages."""
    script = folder / "job.py"
    script.write_text(code)
    job = subprocess.Popen(
        [sys.executable, "-P", str(script), *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        start_new_session=True,
    )
    try:
        assert job.stdout is not None
        assert job.stdout.readline() == "under way\n", job.communicate(timeout=60)[1]
        job.send_signal(signal.SIGINT)
        _, messages = job.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):  # the job's workers too, where it left any behind
            os.killpg(job.pid, signal.SIGKILL)
    return job.returncode, messages


def test_a_run_keeps_its_finished_rounds(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["simulate", "--rounds", "1000000", "--quiet", "--out", str(out)]
    code, messages = interrupted(SIMULATE, words, tmp_path)
    assert code == 130, messages
    assert messages.count("\n") == 1
    assert messages.startswith("error: interrupted after round ")
    assert str(out / "unfinished-rounds.csv") in messages
    assert [entry.name for entry in out.iterdir()] == ["unfinished-rounds.csv"]
    with (out / "unfinished-rounds.csv").open(newline="") as stream:
        rounds = [int(row["round"]) for row in csv.DictReader(stream)]
    assert len(rounds) >= 5
    assert rounds == list(range(1, len(rounds) + 1))
    assert f"after round {len(rounds)} of 1000000" in messages


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_comparison_keeps_its_finished_runs(workers: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["compare", "--strategies", "fedavg", "--rounds", "20", "--seeds", "5000"]
    words += ["--workers", workers, "--out", str(out)]
    code, messages = interrupted(COMPARE, words, tmp_path)
    assert code == 130, messages
    assert messages.count("\n") == 1
    kept = int(messages.removeprefix("error: interrupted with ").split()[0])
    assert 1 <= kept < 5000
    assert "the same command with --resume goes on" in messages
    assert {entry.name for entry in out.iterdir()} == {"results.db"}
    with ResultsStore(out / "results.db", create=False) as store:
        assert store.count() == kept


REPEAT = """
import sys
from federation import cli, repeat

real = repeat.repeat

def spied(settings, seed):
    if seed == 3:
        print("under way", flush=True)
    return real(settings, seed)

repeat.repeat = spied
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_run_survives_an_interrupt_of_its_repetition(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["simulate", "--rounds", "20", "--seeds", "100000", "--quiet", "--out", str(out)]
    code, messages = interrupted(REPEAT, words, tmp_path)
    assert code == 130, messages
    assert messages.count("\n") == 1
    result = json.loads((out / "result.json").read_text())
    (count,) = {row["n"] for row in result["summary"]}
    assert 2 <= count < 100000
    assert f"interrupted after {count} of 100000 seeds" in messages
    assert {"model.npz", "model.json", "rounds.csv"} <= {entry.name for entry in out.iterdir()}
