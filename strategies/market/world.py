"""Every draw of the synthetic world, each from a stream of its own.

A stream is ``SeedSequence((seed, purpose, identity, episode))``, so a client can draw its own
part of the world without the others', in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from strategies.market.settings import TYPES, WHOLE_EPISODE_TYPE, MarketSettings

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class _Stream(IntEnum):
    """Purposes of the market's streams; their values are part of the seed and never change."""

    TYPES = 3001
    OFFER = 3002
    COVERAGE = 3003
    ATTACK = 3004
    SPOIL = 3005
    VISIT = 3006


def _stream(
    seed: int, purpose: _Stream, identity: int = 0, episode: int = 0
) -> np.random.Generator:
    address = (seed, int(purpose), identity, episode)
    return np.random.default_rng(np.random.SeedSequence(address))


@dataclass(frozen=True)
class DeviceEpisode:
    """What one device does in the T time-steps of one episode.

    Attributes
    ----------
    values, costs, channels : ndarray of int64, shape (T,)
        Semantic value and cost in micro-credits, channels needed.
    covers : ndarray of bool, shape (T, K)
        Cubes that a delivery would cover.
    attacks : ndarray of bool, shape (T,)
        Whether a delivery would be tampered with.
    spoiled : ndarray of int64, shape (T,)
        The cube that the attack spoils, -1 without an attack or a covered cube.
    """

    values: IntArray
    costs: IntArray
    channels: IntArray
    covers: BoolArray
    attacks: BoolArray
    spoiled: IntArray


def device_types(settings: MarketSettings, seed: int) -> NDArray[np.int8]:
    """Return the type 1, 2 or 3 of each device, shape (N,).

    Types are spread evenly; the one or two left over (7/7/6 of 20) rotate with the seed, and the
    order is shuffled.
    """
    types = (np.arange(settings.devices) + seed) % len(TYPES) + 1
    return _stream(seed, _Stream.TYPES).permutation(types).astype(np.int8)


def attack_schedule(
    settings: MarketSettings, seed: int, device: int, device_type: int, episode: int
) -> BoolArray:
    """Return in which time-steps a device attacks, shape (T,) (section IV-A of the paper).

    Types 1 and 2 decide every time-step, type 3 once for the whole episode.
    """
    draws = _stream(seed, _Stream.ATTACK, device, episode).random(settings.steps)
    if device_type == WHOLE_EPISODE_TYPE:
        draws[:] = draws[0]
    return np.asarray(draws < settings.attack[device_type - 1])


def device_episode(
    settings: MarketSettings, seed: int, device: int, device_type: int, episode: int
) -> DeviceEpisode:
    """Draw one device's episode.

    Parameters
    ----------
    settings : MarketSettings
    seed : int
        Seed of the run.
    device : int
        Which device, 0..N-1.
    device_type : int
        Its entry of :func:`device_types`.
    episode : int
        Counted from 0.

    Returns
    -------
    DeviceEpisode
    """
    steps = settings.steps
    offer = _stream(seed, _Stream.OFFER, device, episode)
    coverage = _stream(seed, _Stream.COVERAGE, device, episode)
    covers = coverage.random((steps, settings.cubes)) < settings.cover
    attacks = attack_schedule(settings, seed, device, device_type, episode)
    target = _stream(seed, _Stream.SPOIL, device, episode).random((steps, settings.cubes))
    spoiled = np.where(covers, target, -1.0).argmax(axis=1)
    return DeviceEpisode(
        values=offer.integers(*settings.value_range, size=steps),
        costs=offer.integers(*settings.cost_range, size=steps),
        channels=offer.integers(*settings.size_range, size=steps, endpoint=True),
        covers=covers,
        attacks=attacks,
        spoiled=np.where(attacks & covers.any(axis=1), spoiled, -1),
    )


def user_visits(settings: MarketSettings, seed: int, user: int, episode: int) -> BoolArray:
    """Return which cubes one user visits in each time-step of an episode, shape (T, K)."""
    draws = _stream(seed, _Stream.VISIT, user, episode).random((settings.steps, settings.cubes))
    return np.asarray(draws < settings.visit)


def spoiled_cubes(spoiled: IntArray, cubes: int) -> BoolArray:
    """Return which device spoils which cube.

    Parameters
    ----------
    spoiled : ndarray of int64, shape (..., n)
        The cube that each device spoils, -1 for none.
    cubes : int
        K.

    Returns
    -------
    ndarray of bool, shape (..., K, n)
    """
    return np.asarray(np.arange(cubes)[:, None] == spoiled[..., None, :])


def synthetic_similarity(covers: BoolArray, spoils: BoolArray) -> NDArray[np.float64]:
    """Return how alike deliveries are where payloads have no content to compare.

    Intact deliveries of a cube show the same scene, similarity 1; a spoiled one resembles
    nothing, not even another spoiled one, similarity 0.

    Parameters
    ----------
    covers, spoils : ndarray of bool, shape (..., K, n)

    Returns
    -------
    ndarray of float64, shape (..., K, n, n)
    """
    intact = covers & ~spoils
    return np.asarray(intact[..., :, None] & intact[..., None, :], dtype=np.float64)
