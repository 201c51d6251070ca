"""The draws of many seeds side by side, for the vectorised runner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategies.market.settings import MarketSettings
from strategies.market.world import (
    BoolArray,
    DeviceEpisode,
    IntArray,
    device_episode,
    device_types,
    user_visits,
)


@dataclass(frozen=True)
class World:
    """Draws of S seeds: time-steps first within a seed, then devices or users.

    Attributes
    ----------
    seeds : tuple of int
    types : ndarray of int8, shape (S, N)
    values, costs, channels, spoiled : ndarray of int64, shape (S, T, N)
    attacks : ndarray of bool, shape (S, T, N)
    covers : ndarray of bool, shape (S, T, K, N)
    visits : ndarray of bool, shape (S, T, M, K)
    """

    seeds: tuple[int, ...]
    types: NDArray[np.int8]
    values: IntArray
    costs: IntArray
    channels: IntArray
    spoiled: IntArray
    attacks: BoolArray
    covers: BoolArray
    visits: BoolArray


def draw_world(settings: MarketSettings, seeds: Sequence[int]) -> World:
    """Draw everything that does not depend on who is chosen, for all seeds."""
    types = np.stack([device_types(settings, seed) for seed in seeds])
    devices = [
        _device_run(settings, seed, device, int(types[s, device]))
        for s, seed in enumerate(seeds)
        for device in range(settings.devices)
    ]
    visits = [_user_run(settings, seed, user) for seed in seeds for user in range(settings.users)]

    def side_by_side(parts: Sequence[BoolArray] | Sequence[IntArray]) -> NDArray[Any]:
        """Turn S * n arrays (T, ...) into one of shape (S, T, n, ...)."""
        joined = np.stack(parts).reshape(len(seeds), -1, *parts[0].shape)
        return np.ascontiguousarray(np.swapaxes(joined, 1, 2))

    return World(
        seeds=tuple(seeds),
        types=types,
        values=side_by_side([run.values for run in devices]),
        costs=side_by_side([run.costs for run in devices]),
        channels=side_by_side([run.channels for run in devices]),
        spoiled=side_by_side([run.spoiled for run in devices]),
        attacks=side_by_side([run.attacks for run in devices]),
        covers=np.swapaxes(side_by_side([run.covers for run in devices]), 2, 3),
        visits=side_by_side(visits),
    )


def _device_run(
    settings: MarketSettings, seed: int, device: int, device_type: int
) -> DeviceEpisode:
    """Return all episodes of a device, one after the other."""
    parts = [
        device_episode(settings, seed, device, device_type, episode)
        for episode in range(settings.episodes)
    ]
    return DeviceEpisode(
        *(
            np.concatenate([getattr(part, item.name) for part in parts])
            for item in fields(DeviceEpisode)
        )
    )


def _user_run(settings: MarketSettings, seed: int, user: int) -> BoolArray:
    """Return the visits of a user in all episodes, shape (rounds, K)."""
    return np.concatenate([user_visits(settings, seed, user, e) for e in range(settings.episodes)])
