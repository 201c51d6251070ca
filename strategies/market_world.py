"""The world of a market as each side may see it, drawn from the settings alone.

Devices, users and the experimenter draw their own parts, each from a stream of its own
(:mod:`strategies.market.world`); the strategies at the server draw none.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from strategies.market import DeviceEpisode, device_episode, device_types, user_visits
from strategies.market_settings import market_of, type_counts
from strategies.randomness import Purpose, generator
from strategies.settings import Settings

MAX_TOKEN = 2**53
"""Tokens lie below, so that a float64 holds them exactly."""


def moment(settings: Settings, server_round: int) -> tuple[int, int]:
    """Return episode and time-step within it of a round, both counted from 0."""
    return divmod(server_round - 1, settings.episode_length)


@lru_cache(maxsize=64)
def types_of(settings: Settings) -> NDArray[np.int8]:
    """Return the type 1, 2 or 3 of every device, shape (N,)."""
    counts = type_counts(settings)
    if counts is None:
        return device_types(market_of(settings), settings.seed)
    ordered = np.repeat(np.arange(1, 4, dtype=np.int8), counts)
    return generator(settings.seed, Purpose.TYPE_ORDER).permutation(ordered)


@lru_cache(maxsize=512)
def device_part(settings: Settings, device: int, episode: int) -> DeviceEpisode:
    """Return what one device does in one episode: coverage, attacks, and synthetic offers."""
    kind = int(types_of(settings)[device])
    return device_episode(market_of(settings), settings.seed, device, kind, episode)


@lru_cache(maxsize=512)
def user_part(settings: Settings, user: int, episode: int) -> NDArray[np.bool_]:
    """Return the cubes that one user visits in each time-step of an episode, shape (T, K)."""
    return user_visits(market_of(settings), settings.seed, user, episode)


@lru_cache(maxsize=16)
def true_tokens(settings: Settings, episode: int) -> NDArray[np.int64]:
    """Return what is there to see: a token for each time-step and cube, shape (T, K)."""
    rng = generator(settings.seed, Purpose.TRUE_TOKENS, 0, episode)
    shape = (settings.episode_length, market_of(settings).cubes)
    return rng.integers(1, MAX_TOKEN, shape)


@lru_cache(maxsize=512)
def false_tokens(settings: Settings, device: int, episode: int) -> NDArray[np.int64]:
    """Return what a device shows instead of the truth in each time-step, shape (T,)."""
    rng = generator(settings.seed, Purpose.FALSE_TOKENS, device, episode)
    return rng.integers(1, MAX_TOKEN, settings.episode_length)


def as_bits(cubes: NDArray[np.bool_]) -> int:
    """Return a set of cubes, shape (K,), as bits: bit k for cube k."""
    return sum(1 << int(cube) for cube in np.flatnonzero(cubes))
