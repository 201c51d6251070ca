"""What the numbers of a run depend on: settings, data, code and libraries, each comparable.

A run is continued only by what began it: otherwise it would end in a result that no run has.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from server.report import versions
from strategies.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
_ROOMS = ("datasets", "strategies", "clients", "server")
_FREE = ("ledger",)
"""Settings of where a run runs, which its numbers do not depend on."""
_SHORT = 12


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return a short fingerprint of the code that both apps run, committed or not."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_SHORT]


def identity_of(settings: Settings) -> dict[str, Any]:
    """Return all that the numbers of a run depend on, as plain values.

    Returns
    -------
    dict
        ``settings`` (without passwords), ``versions``, ``data`` and ``schema``.
    """
    return {
        "settings": settings.shown(),
        "versions": {"code": code_version(), **versions()},
        "data": _data_version(settings.data),
        "schema": _data_version(settings.schema),
    }


def fingerprint_of(identity: Mapping[str, Any]) -> str:
    """Return the hash of an identity, without what may differ."""
    settings = {k: v for k, v in identity["settings"].items() if k not in _FREE}
    text = json.dumps({**identity, "settings": settings}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def difference(kept: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return in words the first thing two identities do not share, '' when there is none."""
    for part in ("settings", "versions"):
        ours, theirs = now[part], kept[part]
        for name in dict.fromkeys([*ours, *theirs]):
            if name not in _FREE and ours.get(name) != theirs.get(name):
                label = "--" + name.replace("_", "-") if part == "settings" else name
                return f"{label} was {theirs.get(name)!r} and is {ours.get(name)!r}"
    for part in ("data", "schema"):
        if kept[part] != now[part]:
            return f"the file behind --{part} has changed"
    return ""


@lru_cache(maxsize=64)
def _data_version(name: str) -> str:
    """Return the hash of a file; of a directory that of its files' names, sizes and times."""
    if not name:
        return ""
    path = Path(name).expanduser()
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for entry in sorted(path.rglob("*")):
        stat = entry.stat()
        digest.update(f"{entry.relative_to(path)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for room in _ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))
