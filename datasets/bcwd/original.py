"""The original file, from either of the two copies shipped, checked by its hash.

`breast-cancer-wisconsin.data` is the file as UCI has it. A Flower app bundle drops `.data` files,
so the same rows lie beside it as JSON; the original's bytes are rebuilt from them.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from datasets.errors import DataError
from datasets.files import read_bytes

SHA256 = "402c585309c399237740f635ef9919dc512cca12cbeb20de5e563a4593f22b64"
DIRECTORY = Path(__file__).parent
LIMIT = 2**20
PUBLIC_DATA = "FEDERATION_PUBLIC_DATA"
"""Set where this code came in a bundle without data: the machine's own copy of `datasets`."""


def original_text(directory: Path = DIRECTORY) -> str:
    """Return the original file's text, from the `.data` file or else from the JSON.

    Parameters
    ----------
    directory
        Where the two copies lie.

    Returns
    -------
    str
        699 lines `id,V1,...,V9,class`, of SHA-256 `SHA256`.

    Raises
    ------
    DataError
        If neither copy has the right hash.
    """
    own = os.environ.get(PUBLIC_DATA)
    for place in (directory, Path(own) / "bcwd") if own else (directory,):
        for read in (_from_data, _from_json):
            content = read(place)
            if content is not None and hashlib.sha256(content).hexdigest() == SHA256:
                return content.decode("ascii")
    raise DataError(
        f"{directory}: neither breast-cancer-wisconsin.data nor .json is the original BCWD "
        f"(sha256 {SHA256[:12]}...): restore them from the repository, or give the data's path"
    )


def json_from_text(text: str) -> str:
    """Write the original's rows as JSON, one row a line: how the embedded copy was made.

    Parameters
    ----------
    text
        The original file.

    Returns
    -------
    str
        JSON with `sha256` and `rows`; a missing value is null.
    """
    lines = (line.replace("?", "null") for line in text.splitlines())
    rows = ",\n".join(f"[{line}]" for line in lines)
    return f'{{"sha256": "{SHA256}", "rows": [\n{rows}\n]}}\n'


def _from_data(directory: Path) -> bytes | None:
    try:
        return read_bytes(directory / "breast-cancer-wisconsin.data", LIMIT)
    except DataError:
        return None


def _from_json(directory: Path) -> bytes | None:
    try:
        content = json.loads(read_bytes(directory / "breast-cancer-wisconsin.json", LIMIT))
        return "".join(_line(row) for row in content["rows"]).encode("ascii")
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _line(row: list[Any]) -> str:
    return ",".join("?" if value is None else str(value) for value in row) + "\n"
