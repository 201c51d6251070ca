"""What a device of the synthetic market offers and delivers: tokens of the cubes it covers."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from strategies.market_world import device_part, false_tokens, moment, true_tokens
from strategies.settings import Settings

BITS = 8


def offer_of(settings: Settings, device: int, server_round: int) -> tuple[int, int, int]:
    """Return price, value and channels of a device's offer; it asks for its cost."""
    episode, step = moment(settings, server_round)
    part = device_part(settings, device, episode)
    return int(part.costs[step]), int(part.values[step]), int(part.channels[step])


def tokens_of(settings: Settings, device: int, server_round: int) -> NDArray[np.int64]:
    """Return what a device sees of each cube, 0 where it covers nothing, shape (K,)."""
    episode, step = moment(settings, server_round)
    covers = device_part(settings, device, episode).covers[step]
    return np.where(covers, true_tokens(settings, episode)[step], 0)


def spoil(
    tokens: NDArray[np.int64], settings: Settings, device: int, server_round: int
) -> NDArray[np.int64]:
    """Return tokens with the cube that the device's attack spoils replaced by its own lie."""
    episode, step = moment(settings, server_round)
    cube = int(device_part(settings, device, episode).spoiled[step])
    if cube < 0:
        return tokens
    spoiled = tokens.copy()
    spoiled[cube] = false_tokens(settings, device, episode)[step]
    return spoiled


@lru_cache(maxsize=256)
def body_of(channels: int, rate_bps: float, slot_s: float) -> bytes:
    """Return bytes that fill so many channels for a slot, so that bookings can be checked."""
    return bytes(int(channels * rate_bps * slot_s) // BITS)
