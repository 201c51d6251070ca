"""All random streams of a run, each addressed by what it is for.

A stream is ``SeedSequence((seed, purpose, identity, round))``: data, split, training and
noise never share a seed, and a stream's values do not depend on how many draws another
stream made, so that every backend and the vectorised core see the same numbers.
"""

import os
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

WORD = 2**32 - 1
"""Largest number that is one word of a seed."""


class Purpose(IntEnum):
    """What a random stream is for; part of its seed, so the values must never change."""

    CLINIC_NOISE = 1001
    SERVER_NOISE = 1002
    BATCHES = 1003
    HOSTILE_CLINICS = 1004
    ATTACK_MOMENT = 1005
    ATTACK_DRAWS = 1006
    UPLOAD_COST = 1007
    RATING_NOISE = 1008
    TYPE_ORDER = 3101
    TRUE_TOKENS = 3102
    FALSE_TOKENS = 3103
    EPISODES = 3104
    CAMERA = 3105
    DETECTOR = 3106
    ATTACK_KIND = 3107
    ATTACKER = 3108
    DELIVERY_COST = 3109


def generator(
    seed: int, purpose: Purpose, identity: int = 0, round_: int = 0
) -> np.random.Generator:
    """Return the generator of one stream.

    Parameters
    ----------
    seed : int
        Seed of the run, at least 0.
    purpose : Purpose
        What the stream is for.
    identity : int
        Which participant draws from it.
    round_ : int
        Round of the federation it belongs to.
    """
    address = (seed, int(purpose), identity, round_)
    words = np.array(address, np.uint32) if max(address) <= WORD else address  # the same, faster
    return np.random.default_rng(np.random.SeedSequence(words))


class NoiseSource(Protocol):
    """Where a mechanism takes its standard normal draws from."""

    private: bool

    def standard_normal(self, size: int, round_: int) -> NDArray[np.float64]:
        """Return ``size`` independent N(0, 1) draws for round ``round_``."""


class SeededNoise:
    """Repeatable noise for experiments: whoever knows the seed can subtract it.

    Parameters
    ----------
    seed : int
        Seed of the run.
    purpose : Purpose
        ``CLINIC_NOISE`` or ``SERVER_NOISE``.
    identity : int
        Who draws.
    """

    private = False

    def __init__(self, seed: int, purpose: Purpose, identity: int = 0) -> None:
        self._address = (seed, purpose, identity)

    def standard_normal(self, size: int, round_: int) -> NDArray[np.float64]:
        """Return the same ``size`` draws whenever asked for the same round."""
        return generator(*self._address, round_).standard_normal(size)


class SystemNoise:
    """Noise from the operating system's CSPRNG, by the Box-Muller transform."""

    private = True

    def standard_normal(self, size: int, round_: int) -> NDArray[np.float64]:
        """Return ``size`` fresh draws; ``round_`` is not used, nothing repeats."""
        bits = np.frombuffer(os.urandom(16 * size), dtype=np.uint64).reshape(2, size) >> np.uint64(
            11
        )
        uniform = (bits.astype(np.float64) + 0.5) * 2.0**-53  # in (0, 1): the logarithm is finite
        draws: NDArray[np.float64] = np.sqrt(-2.0 * np.log(uniform[0])) * np.cos(
            2.0 * np.pi * uniform[1]
        )
        return draws
