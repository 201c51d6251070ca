"""Units of privacy: records, or patients with all of their records, as one array axis.

A clinic's shard becomes ``(units, records of a unit, d)``, padded with rows of zeros, which
have a zero gradient. With the unit ``record`` the middle axis has length 1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def group_units(
    signed: FloatArray, groups: NDArray[np.int64] | None = None, hinges: int = 1
) -> FloatArray:
    """Gather one shard's records by unit.

    Parameters
    ----------
    signed : ndarray, shape (n hinges, d)
        Records times their labels.
    groups : ndarray of int, shape (n,), optional
        Patient of each record; without it every record is a unit of its own.
    hinges : int
        Rows of each record, one after the other; all of them are of its unit.

    Returns
    -------
    ndarray, shape (units, most records of a unit, d)
        Units in ascending order of patient, records in their order.
    """
    if groups is None:
        return signed.reshape(-1, hinges, signed.shape[-1])
    groups = np.repeat(groups, hinges)
    _, unit, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(unit, kind="stable")
    place = np.arange(len(unit)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    grouped = np.zeros((len(sizes), int(sizes.max()), signed.shape[-1]))
    grouped[unit[order], place] = signed[order]
    return grouped


def stack_units(shards: Sequence[FloatArray]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Stack clinics of unequal size into one array.

    Parameters
    ----------
    shards : sequence of ndarray, shape (units_i, records_i, d)
        From :func:`group_units`.

    Returns
    -------
    stacked : ndarray, shape (clinics, units, records, d)
        Padded with zeros.
    count : ndarray of int, shape (clinics,)
        True number of units of each clinic.
    """
    units, records = (max(shard.shape[axis] for shard in shards) for axis in (0, 1))
    stacked = np.zeros((len(shards), units, records, shards[0].shape[-1]))
    for clinic, shard in enumerate(shards):
        stacked[clinic, : shard.shape[0], : shard.shape[1]] = shard
    return stacked, np.array([len(shard) for shard in shards], dtype=np.int64)
