"""What the numbers of a run depend on, as one key: settings, data, code and libraries."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from server.report import versions
from strategies.setting_fields import is_import_path
from strategies.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
_CODE = (
    "datasets",
    "strategies",
    "clients",
    "server",
    "federation/backends",
    "federation/baselines.py",
    "federation/cells.py",
    "federation/market_runs.py",
    "federation/runner.py",
    "federation/vectorised.py",
)
"""Where numbers are made; pages and pictures may change without making a run another one."""
_SHORT = 12


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return a short fingerprint of the code that makes numbers, committed or not."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_SHORT]


@lru_cache(maxsize=1)
def all_versions() -> dict[str, str]:
    """Return the versions that numbers depend on, this program's own first."""
    from importlib.metadata import version

    own = {"trusted-federation": version("trusted-federation"), "code": code_version()}
    return own | versions()


def key_of(settings: Settings) -> str:
    """Return the key of a run: two runs with the same key have the same numbers."""
    known = {
        "settings": settings.shown(),
        "versions": all_versions(),
        "data": _data_version(settings.data),
        "schema": _data_version(settings.schema),
        "own": _own_code(settings.aggregation),
    }
    text = json.dumps(known, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return in words each value that two mappings do not share."""
    return [
        f"{name} {theirs.get(name)}, now {ours.get(name)}"
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]


@lru_cache(maxsize=64)
def _data_version(name: str) -> str:
    """Return the fingerprint of a file's bytes; of a directory, its files' names, sizes and times.

    A directory of recordings is gigabytes: reading it would take longer than a run.
    """
    if not name:
        return ""
    path = Path(name)
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    for entry in sorted(path.rglob("*")):
        stat = entry.stat()
        digest.update(f"{entry.relative_to(path)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _own_code(aggregation: str) -> str:
    """Return the fingerprint of the module of a user's own strategy; of its imports nothing."""
    if not is_import_path(aggregation):
        return ""
    found = find_spec(aggregation.partition(":")[0])
    return "" if found is None or found.origin is None else _data_version(found.origin)


def _sources() -> Iterator[Path]:
    for name in _CODE:
        path = ROOT / name
        yield from (path,) if path.suffix else sorted(path.rglob("*.py"))
