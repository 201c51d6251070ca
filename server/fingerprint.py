"""What the numbers of a run depend on: settings, data, code and libraries, each comparable.

A run is continued only by what began it: otherwise it would end in a result that no run has.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from server.report import versions
from strategies.setting_fields import is_import_path
from strategies.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("datasets", "strategies", "clients", "server")
_FREE = ("ledger", "node_wait", "round_timeout")
"""Settings of where a run runs, which its numbers do not depend on."""
_SHORT = 12


@lru_cache(maxsize=8)
def code_version(names: Iterable[str] = ROOMS) -> str:
    """Return a short fingerprint of code, committed or not.

    Parameters
    ----------
    names : iterable of str
        Files and directories; by default what server and clients run.
    """
    digest = hashlib.sha256()
    for path in _sources(names):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_SHORT]


def identity_of(settings: Settings) -> dict[str, Any]:
    """Return all that the numbers of a run depend on, as plain values.

    Returns
    -------
    dict
        ``settings`` (without passwords), ``versions``, ``data``, ``schema`` and ``own``, the
        module of a user's own strategy.
    """
    return {
        "settings": settings.shown(),
        "versions": {"code": code_version(), **versions()},
        "data": data_version(settings.data),
        "schema": data_version(settings.schema),
        "own": own_code(settings.aggregation),
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
    for part, name in (("data", "data"), ("schema", "schema"), ("own", "aggregation")):
        if kept[part] != now[part]:
            return f"the file behind --{name} has changed"
    return ""


@lru_cache(maxsize=64)
def data_version(name: str) -> str:
    """Return the fingerprint of a file's bytes; of a directory, its files' names, sizes and times.

    A directory of recordings is gigabytes: reading it would take longer than a run.
    """
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


@lru_cache(maxsize=64)
def own_code(aggregation: str) -> str:
    """Return the fingerprint of the module of a user's own strategy; of its imports nothing."""
    if not is_import_path(aggregation):
        return ""
    found = find_spec(aggregation.partition(":")[0])
    return "" if found is None or found.origin is None else data_version(found.origin)


def _sources(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        path = ROOT / name
        yield from (path,) if path.suffix else sorted(path.rglob("*.py"))
