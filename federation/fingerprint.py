"""What the numbers of a run depend on, as one key: settings, data, code and libraries."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from server.fingerprint import ROOMS, code_version, data_version, own_code
from server.report import versions
from strategies.settings import Settings

_CODE = (
    *ROOMS,
    "federation/backends",
    "federation/baselines.py",
    "federation/cells.py",
    "federation/market_runs.py",
    "federation/runner.py",
    "federation/vectorised.py",
)
"""Where numbers are made; pages and pictures may change without making a run another one."""


@lru_cache(maxsize=1)
def all_versions() -> dict[str, str]:
    """Return the versions that numbers depend on, this program's own first."""
    from importlib.metadata import version

    own = {"trusted-federation": version("trusted-federation"), "code": code_version(_CODE)}
    return own | versions()


def key_of(settings: Settings) -> str:
    """Return the key of a run: two runs with the same key have the same numbers."""
    known = {
        "settings": settings.shown(),
        "versions": all_versions(),
        "data": data_version(settings.data),
        "schema": data_version(settings.schema),
        "own": own_code(settings.aggregation),
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
