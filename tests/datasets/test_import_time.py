"""The room opens fast: numpy and the standard library, nothing heavy."""

import subprocess
import sys
from pathlib import Path

HEAVY = {"pandas", "torch", "sklearn", "scipy", "matplotlib", "flwr", "ray", "PIL", "dp_accounting"}
ROOT = Path(__file__).parents[2]
CODE = """
import sys
import datasets, datasets.partition, datasets.split, datasets.shards, datasets.records
datasets.load_table()
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_loading_bcwd_imports_nothing_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert "numpy" in loaded
    assert not loaded & HEAVY
