"""Random streams of the data room: one per run seed and purpose, never shared."""

from enum import IntEnum

import numpy as np

from datasets.errors import DataError, shown


class Purpose(IntEnum):
    """Second word of a stream's `SeedSequence`.

    Spelled as four letters so that no other room's purposes collide with them.
    """

    HOLDOUT = int.from_bytes(b"hold")
    PARTITION = int.from_bytes(b"part")
    PUBLIC = int.from_bytes(b"publ")


def generator(seed: int, purpose: Purpose) -> np.random.Generator:
    """Open the stream of a purpose.

    Parameters
    ----------
    seed
        Run seed, a non-negative integer.
    purpose
        What the draws decide.

    Returns
    -------
    numpy.random.Generator
        PCG64 seeded with `SeedSequence([seed, purpose])`.

    Raises
    ------
    DataError
        If the seed is no non-negative integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise DataError(f"seed {shown(seed)} must be a whole number, 0 or more")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(seed), purpose])))
