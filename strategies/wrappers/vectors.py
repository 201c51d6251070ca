"""Weight vectors in and out of Flower Arrays, byte for byte what Flower writes, but fast.

Flower serialises with ``np.save`` and reads with ``np.load``, 90 us each way for ten numbers;
both ends here know the header in advance.
"""

from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from numpy.typing import NDArray

NUMPY = "numpy.ndarray"


@lru_cache(maxsize=64)
def npy_header(dimension: int) -> bytes:
    """Return the .npy header of a little-endian float64 vector of this length."""
    buffer = BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (dimension,)}
    np.lib.format.write_array_header_1_0(buffer, header)  # allocates nothing, whatever a peer says
    return buffer.getvalue()


def to_array(vector: NDArray[np.float64]) -> Array:
    """Return the Flower Array of a float64 vector of shape (d,)."""
    if vector.ndim != 1 or vector.dtype != np.float64:
        raise ValueError(f"expected a float64 vector, got {vector.dtype} of shape {vector.shape}")
    data = npy_header(len(vector)) + np.ascontiguousarray(vector, dtype="<f8").tobytes()
    return Array("float64", vector.shape, NUMPY, data)


def to_vector(array: Array) -> NDArray[np.float64]:
    """Return the values of an Array as Flower's ``numpy()`` does, faster for plain vectors."""
    data = array.data
    if array.stype == NUMPY and len(array.shape) == 1:
        header = npy_header(array.shape[0])
        if len(data) == len(header) + 8 * array.shape[0] and data.startswith(header):
            return np.frombuffer(data, dtype="<f8", offset=len(header))
    return array.numpy()


class VectorArray(Array):
    """An Array that was checked to be a plain float64 vector and is read without parsing."""

    @classmethod
    def of(cls, array: Array) -> "VectorArray":
        """Return the same array, data shared."""
        fast = cls.__new__(cls)
        fast.__dict__.update(array.__dict__)
        return fast

    def numpy(self) -> NDArray[np.float64]:
        """Return the values, writable as from Flower's own ``numpy()``."""
        return to_vector(self).copy()


class CheckedContent(RecordDict):
    """Records of an accepted reply, sorted by kind once.

    Flower's ``metric_records`` and ``array_records`` build a new synchronised dict at each
    access, and its strategies ask seven times a reply; and it parses an array whenever one
    reads it. What was checked need not be parsed again.
    """

    def __init__(self, content: Mapping[str, ArrayRecord | MetricRecord | ConfigRecord]) -> None:
        super().__init__()
        self.__dict__["_data"] = dict(content.items())
        for record in content.values():
            if isinstance(record, ArrayRecord):
                values = record.__dict__["_data"]
                for key, array in values.items():
                    if not isinstance(array, VectorArray):
                        values[key] = VectorArray.of(array)
        self.__dict__["_by_kind"] = {
            kind: {key: record for key, record in content.items() if isinstance(record, kind)}
            for kind in (ArrayRecord, MetricRecord)
        }

    @property
    def array_records(self) -> Any:
        """Return the array records."""
        return self.__dict__["_by_kind"][ArrayRecord]

    @property
    def metric_records(self) -> Any:
        """Return the metric records."""
        return self.__dict__["_by_kind"][MetricRecord]
