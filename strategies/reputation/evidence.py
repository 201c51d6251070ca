"""From visits, complaints and blame to one event per device and user (a slot's p and q)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]

VACUOUS, POSITIVE, NEGATIVE = 0, 1, 2


def events(
    visits: BoolArray, complaints: BoolArray, covers: BoolArray, blamed: BoolArray
) -> NDArray[np.uint8]:
    """Return what each user's silence or complaint says of each device in one slot.

    NEGATIVE (q = 1) if the device is blamed for any of the user's complaints, else POSITIVE
    (p = 1) if the user visited a cube that it covered, else VACUOUS. Silence about a cube that
    was not visited says nothing. Counting cubes instead of users would raise R to .75.

    Parameters
    ----------
    visits, complaints : ndarray of bool, shape (..., M, K)
        Cubes each user visited, and those of them it complained of.
    covers, blamed : ndarray of bool, shape (..., K, n)
        Devices whose delivery covered a cube, and those blamed for it.

    Returns
    -------
    ndarray of uint8, shape (..., n, M)
        VACUOUS, POSITIVE or NEGATIVE.
    """
    negative = _meet(blamed, complaints & visits)
    positive = _meet(covers, visits)
    codes = positive.astype(np.uint8)
    codes[negative] = NEGATIVE
    return codes


def _meet(devices: BoolArray, users: BoolArray) -> BoolArray:
    """Return whether device and user share a cube: (..., K, n), (..., M, K) to (..., n, M)."""
    # Counts up to K are exact in float32, and matmul of floats is the fast one.
    shared = np.matmul(
        np.swapaxes(devices, -1, -2).astype(np.float32),
        np.swapaxes(users, -1, -2).astype(np.float32),
    )
    return np.asarray(shared > 0)
