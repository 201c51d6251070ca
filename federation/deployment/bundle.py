"""The bundle that a run sends to every machine: this project's code, and no data.

It is built from a staged folder with a name that Flower takes, whatever the working copy is
called, and depends on nothing but the code: two people with the same code get the same hash.
"""

import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from federation.deployment.errors import DeploymentError
from federation.deployment.surroundings import ROOT

STAGED_NAME = "trusted-federation"
ROOMS = ("clients", "datasets", "server", "strategies")
"""What client and server app import."""
_APP_KEYS = ("publisher", "components", "config")


@dataclass(frozen=True)
class Bundle:
    """A Flower app bundle and its hash, by which clients know it."""

    content: bytes
    sha256: str


def build_bundle(root: Path = ROOT) -> Bundle:
    """Return the bundle of a working copy.

    Raises
    ------
    DeploymentError
        When Flower refuses it, for instance because of its size.
    """
    from flwr.cli.build import build_fab_from_disk

    with tempfile.TemporaryDirectory(prefix="federation-") as scratch:
        staged = Path(scratch) / STAGED_NAME
        stage(root, staged)
        try:
            content = build_fab_from_disk(staged)
        except ValueError as fault:
            raise DeploymentError(f"the bundle cannot be built: {fault}") from fault
    return Bundle(content, sha256(content).hexdigest())


def stage(root: Path, staged: Path) -> None:
    """Copy code, and what Flower must know of it, into a new folder."""
    import tomli_w

    staged.mkdir()
    for source in code_of(root):
        target = staged / source.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    (staged / "pyproject.toml").write_text(tomli_w.dumps(_manifest(project)), encoding="utf-8")


def code_of(root: Path) -> Iterator[Path]:
    """Yield the Python files of the rooms that travel, in order."""
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield path


def _manifest(project: dict[str, Any]) -> dict[str, Any]:
    about, app = project["project"], project["tool"]["flwr"]["app"]
    kept = {key: about[key] for key in ("name", "version", "description", "license")}
    return {
        "project": {**kept, "dependencies": about["dependencies"]},
        "tool": {"flwr": {"app": {key: app[key] for key in _APP_KEYS}}},
    }
