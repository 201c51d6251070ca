"""Reading small text files that nobody vouches for: bounded, regular, UTF-8."""

import stat
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import DataError

MAX_BYTES = 64 * 2**20


def read_bytes(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Parameters
    ----------
    path
        The file.
    limit
        Bytes above which the file is refused before anything is read.

    Returns
    -------
    bytes
        The content.

    Raises
    ------
    DataError
        If the file is missing, unreadable, too large, or no regular file (a directory, a pipe).
    """
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{path}: is a directory, give a file")
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: is not a regular file, save it to one first")
        if status.st_size > limit:
            raise DataError(f"{path}: {status.st_size} bytes, more than the limit of {limit}")
        with Path(path).open("rb") as file:
            # The file may have grown since, and /proc files say 0: the bound holds on what is read.
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read: {reason}") from error
    if len(content) > limit:
        raise DataError(f"{path}: more than the limit of {limit} bytes")
    return content


def read_text(path: str | Path, limit: int = MAX_BYTES) -> str:
    """Read a UTF-8 file, with or without a byte-order mark.

    Parameters
    ----------
    path
        The file.
    limit
        Bytes above which the file is refused before anything is read.

    Returns
    -------
    str
        The text, line ends as they are in the file.

    Raises
    ------
    DataError
        As `read_bytes`, and by file and line if the bytes are not UTF-8.
    """
    content = read_bytes(path, limit)
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise DataError(f"{path}:{line}: byte 0x{byte:02x} is not UTF-8 text") from error


def lines(text: str) -> Iterator[str]:
    r"""Iterate over the lines of a text, split at `\n` alone.

    One line at a time: `str.splitlines` also splits at form feeds and the like, so that line
    numbers go wrong, and a list of millions of empty lines is many times the text.

    Parameters
    ----------
    text
        Any text.

    Yields
    ------
    str
        Each line with its `\n`.
    """
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
