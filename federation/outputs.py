"""What lies in an ``--out`` directory, the database beside it, and the command that made it."""

import argparse
import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from federation.flags import UsageError

DATABASE = "results.db"
DATABASE_VARIABLE = "FEDERATION_DATABASE"
FILES = (
    "result.json",
    "report.html",
    "rounds.csv",
    "model.npz",
    "model.json",
    "accuracy.png",
    "comparison.png",
    "market.png",
    "twin.png",
    "ledger.jsonl",
    "unfinished-rounds.csv",
    "interrupted.json",
)
"""What commands write; a run takes away what another left, so that no two are mixed."""
_OUTPUT_ONLY = (
    "out",
    "database",
    "quiet",
    "json",
    "live",
    "live_port",
    "checkpoint",
    "resume",
    "workers",
    "track",
    "wait",
    "config",
)


class DatabaseError(ValueError):
    """A results database that cannot be used; the message is one line for the user."""


def now() -> str:
    """Return the time, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fresh(out: Path) -> None:
    """Make the directory and take an earlier run's files away, result.json first.

    The results database stays: it keeps runs apart.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (out / name).unlink(missing_ok=True)


@contextmanager
def writing_in(out: Path) -> Iterator[None]:
    """Let one process at a time write a result into a directory, so that no two are mixed.

    Whoever comes second waits, and its result replaces the other's whole.
    """
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(out, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: as good as it gets there
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def database_of(options: argparse.Namespace, out: Path) -> str | Path:
    """Return where results go: ``--database``, the environment, or a file in ``--out``.

    Raises
    ------
    UsageError
        When ``--database`` is empty.
    """
    named: str | None = getattr(options, "database", None)
    if named is not None and not named.strip():
        raise UsageError("--database is empty: name a file or a SQLAlchemy URL")
    return named or os.environ.get(DATABASE_VARIABLE, "").strip() or out / DATABASE


def repeat_command(command: str, options: argparse.Namespace) -> str:
    """Return the command that gives the same numbers: as typed, but for where output goes."""
    words = ["./run_federation.sh", command]
    for name, value in vars(options).items():
        if name in _OUTPUT_ONLY and name != "config":
            continue
        if value is None or value is False:
            continue
        flag = f"--{name.replace('_', '-')}"
        if name == "ledger":
            kind, is_url, _ = str(value).partition("://")
            value = f"{kind}://..." if is_url else value  # noqa: PLW2901 - a password hides there
        for part in value if isinstance(value, list) else [value]:
            words += [flag, str(part)]
    return shlex.join(words)
