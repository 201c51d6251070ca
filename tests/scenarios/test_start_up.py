"""What a first round costs in imports: none of the heavy libraries is on its way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = [
    "torch",
    "ray",
    "matplotlib",
    "sklearn",
    "dp_accounting",
    "pandas",
    "scipy.stats",
    "opacus",
    "numba",
    "PIL",
    "scipy",
    "sqlalchemy",
]
FIRST_ROUND = """
import json, os, sys
from federation import cli, commands

real = commands.run_one

def spied(settings, on_round, keeper):
    def told(record):
        on_round(record)
        if record.round == 1:
            print(json.dumps(sorted(sys.modules)))
            sys.stdout.flush()
            os._exit(7)
    return real(settings, told, keeper)

commands.run_one = spied
cli.main(sys.argv[1:])
"""


@pytest.mark.parametrize("words", [[], ["simulate", "--strategy", "fedavg", "--quiet"]], ids=str)
def test_nothing_heavy_is_imported_by_the_first_round(words: list[str], tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-c", FIRST_ROUND, *words],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert run.returncode == 7, run.stderr
    loaded = json.loads(run.stdout)
    assert {"flwr", "numpy", "rich"} <= set(loaded)
    assert [name for name in HEAVY if name in loaded] == []
