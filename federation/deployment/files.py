"""Private files: 0600 in directories of 0700, written whole, never through somebody's link."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from datasets.errors import DataError
from datasets.files import read_bytes
from federation.deployment.errors import DeploymentError

PRIVATE_FILE, PRIVATE_DIRECTORY, PUBLIC_FILE = 0o600, 0o700, 0o644
MAX_BYTES = 1 << 20


def private_directory(path: Path) -> Path:
    """Make a directory of mode 0700 with its parents, or take one of the user's own.

    Raises
    ------
    DeploymentError
        When it is not the user's own directory, or others may write in it.
    """
    try:
        path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as fault:
        raise DeploymentError(f"{path}: cannot be made ({fault.strerror}); name another") from fault
    if not path.is_dir():
        raise DeploymentError(f"{path} is a file, not a directory; name a directory")
    if status.st_uid != os.getuid():
        raise DeploymentError(f"{path} belongs to another user; name a directory of yours")
    path.chmod(PRIVATE_DIRECTORY)
    return path


def write_private(path: Path, content: bytes | str, mode: int = PRIVATE_FILE) -> Path:
    """Write a file so that a reader finds the old content or the new, and only its owner reads."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def read_small(path: Path, what: str) -> bytes:
    """Return the bytes of a small file.

    Raises
    ------
    DeploymentError
        When it is missing, unreadable, no regular file (a pipe would be waited for) or larger
        than 1 MiB; ``what`` says what it should be.
    """
    try:
        return read_bytes(path, MAX_BYTES)
    except DataError as fault:
        raise DeploymentError(f"{fault}; it should be {what}") from fault


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Return a small JSON object.

    Raises
    ------
    DeploymentError
        As :func:`read_small`, and when it is no JSON object.
    """
    try:
        value = json.loads(read_small(path, what))
    except (ValueError, RecursionError) as fault:
        if isinstance(fault, DeploymentError):
            raise
        raise DeploymentError(f"{path}: not {what} (no JSON)") from fault
    if not isinstance(value, dict):
        raise DeploymentError(f"{path}: not {what} (no JSON object)")
    return value


def open_to_others(path: Path) -> bool:
    """Return whether anybody but the owner may read or write a file or directory."""
    return bool(path.stat().st_mode & 0o077)
