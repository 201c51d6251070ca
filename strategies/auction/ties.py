"""Keys that break ties by a per-round hash, never by position."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def tie_keys(
    seed: int, purpose: str, round_number: int, identities: Sequence[str]
) -> NDArray[np.uint64]:
    """Hash each identity with the round, so that no device is favoured for long.

    A key depends on its own identity alone: who else takes part does not change it.

    Parameters
    ----------
    seed : int
        Seed of the run; keep it from the bidders where that matters.
    purpose : str
        What the keys are for (``"auction"``, ``"blame"``), so that uses are independent.
    round_number : int
        Round of the federation.
    identities : sequence of str
        Identity of each client, in the order of the arrays the keys go with.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The smaller key wins a tie.
    """
    salt = blake2b(f"{seed}/{purpose}/{round_number}".encode(), digest_size=16)
    keys = np.empty(len(identities), dtype=np.uint64)
    for i, identity in enumerate(identities):
        digest = salt.copy()
        digest.update(b"/" + identity.encode())
        keys[i] = int.from_bytes(digest.digest()[:8], "big")
    return keys
