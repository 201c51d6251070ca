"""JSON and NumPy files of a CARRADA root: bounded before they are parsed, never pickled."""

import io
import json
import math
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from datasets.errors import DataError, shown
from datasets.files import read_bytes

MAX_BOX_JSON = 32 * 2**20
MAX_ANNOTATION_JSON = 512 * 2**20
MAX_HEADER = 4096
"""Bytes of a .npy header; real ones have 128."""


def read_json(path: Path, limit: int = MAX_BOX_JSON) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Parameters
    ----------
    path
        The file.
    limit
        Bytes above which the file is refused before anything is read.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    DataError
        If the file is too large, no JSON, nested too deeply, or holds no object.
    """
    content = read_bytes(path, limit)
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {error}; fetch the file again") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: holds {shown(value)} instead of a JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def read_array(path: Path, shape: tuple[int, ...], kinds: str = "bui") -> NDArray[Any]:
    """Read a .npy file of a known shape, checking its header before its data.

    Parameters
    ----------
    path
        The file.
    shape
        The only accepted shape.
    kinds
        Accepted kinds of the data type, as `numpy.dtype.kind`.

    Returns
    -------
    numpy.ndarray
        A read-only view of the file's content.

    Raises
    ------
    DataError
        If the file is no .npy file, or of another shape, kind or length.
    """
    count = math.prod(shape)
    content = read_bytes(path, count * 16 + MAX_HEADER)
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        found, fortran, dtype = read_header(stream, max_header_size=MAX_HEADER)
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: is not a .npy file; fetch it again") from error
    if found != shape:
        raise DataError(f"{path}: shape {shown(found)} instead of {shape}")
    if dtype.kind not in kinds:
        raise DataError(f"{path}: data type {dtype} instead of one of kind {kinds!r}")
    if len(content) - stream.tell() != count * dtype.itemsize:
        raise DataError(f"{path}: truncated or padded; fetch it again")
    flat = np.frombuffer(content, dtype, count, stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")
