"""What a device of the payload market offers and delivers: a CARRADA scene as PNG and JSON.

The deal is made on what the device sees; it cheats after the deal (the paper's moral hazard), in
the channels that it booked. Only who means to insert a phantom books room for it beforehand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clients.attack_plan import MITM, STALE, Attack, attack_at
from clients.carrada_scenes import STALE_FRAMES, grid_of, older_scene, seen_scene
from datasets.carrada.payload import Payload, PayloadError, channels, encode
from datasets.carrada.scene import Scene
from datasets.carrada.tampering import Tampering, intercept, stale, tamper
from datasets.carrada.value import semantic_value
from datasets.errors import DataError
from strategies.randomness import Purpose, generator
from strategies.settings import Settings
from strategies.wrappers.market_messages import MICRO

COST_PER_CHANNEL = 40_000
COST_RANGE = (50_000, 200_000)
"""c_i of eq. (5): communication by channel, sensing and extraction drawn, micro-credits."""
_TRIES = 8


@dataclass(frozen=True, eq=False)
class Sale:
    """What a device asks for and says in a round.

    Attributes
    ----------
    seen : Scene
        What it saw.
    payload : Payload
        What it would send as it saw it.
    price, value : int
        Micro-credits.
    channels : int
        What it books.
    """

    seen: Scene
    payload: Payload
    price: int
    value: int
    channels: int


@lru_cache(maxsize=128)
def sale_of(settings: Settings, device: int, server_round: int) -> Sale:
    """Return a device's sale of a round; it asks for its cost, as the auction makes it best to.

    Raises
    ------
    datasets.errors.DataError, PayloadError
        If it has nothing that could be sent.
    """
    seen = seen_scene(settings, device, server_round)
    payload = encode(seen)
    booked = _channels(settings, payload)
    attack = attack_at(settings, device, server_round)
    if attack is not None and attack.kind != MITM and attack.how is Tampering.INSERT:
        altered = next(_altered(settings, device, server_round, seen, attack), payload)
        booked = max(booked, _channels(settings, altered))
    rng = generator(settings.seed, Purpose.DELIVERY_COST, device, server_round)
    price = COST_PER_CHANNEL * booked + int(rng.integers(*COST_RANGE))
    value = round(MICRO * semantic_value(seen, settings.weather))
    return Sale(seen, payload, price, value, booked)


def delivery_of(settings: Settings, device: int, server_round: int) -> Payload:
    """Return what the device itself sends: what it sold, or what its attack makes of it."""
    sale = sale_of(settings, device, server_round)
    attack = attack_at(settings, device, server_round)
    if attack is None or attack.kind == MITM:
        return sale.payload
    tries = _altered(settings, device, server_round, sale.seen, attack)
    return _first_that_fits(settings, tries, sale.channels) or sale.payload


def intercepted(settings: Settings, device: int, server_round: int, payload: Payload) -> Payload:
    """Return what the man in the middle makes of a payload, in no more channels than it took."""
    attack = attack_at(settings, device, server_round)
    if attack is None or attack.kind != MITM:
        return payload
    tries = _intercepted(settings, device, server_round, payload, attack)
    return _first_that_fits(settings, tries, _channels(settings, payload)) or payload


def _first_that_fits(settings: Settings, tries: Iterator[Payload], booked: int) -> Payload | None:
    return next((altered for altered in tries if _channels(settings, altered) <= booked), None)


def _altered(
    settings: Settings, device: int, server_round: int, seen: Scene, attack: Attack
) -> Iterator[Payload]:
    """Yield what an attack may send, the way it was meant first, then ways that take less room."""
    rng = _attacker(settings, device, server_round)
    for number in range(_TRIES):
        how = attack.how if number < _TRIES // 2 else None
        try:
            if attack.kind == STALE:
                yield encode(_stale(settings, device, server_round, seen, rng))
            else:
                centre = _point_in(settings, seen, rng)
                yield encode(tamper(seen, rng, how, centre=centre))
        except (DataError, PayloadError):
            continue
    if seen.objects:
        yield encode(tamper(seen, rng, Tampering.HIDE))


def _stale(
    settings: Settings, device: int, server_round: int, seen: Scene, rng: np.random.Generator
) -> Scene:
    low, high = STALE_FRAMES
    older = older_scene(settings, device, server_round, int(rng.integers(low, high + 1)))
    if older is None:
        raise DataError("nothing was seen before")
    return stale(seen, older)


def _intercepted(
    settings: Settings, device: int, server_round: int, payload: Payload, attack: Attack
) -> Iterator[Payload]:
    rng = _attacker(settings, device, server_round)
    for how in (*[attack.how] * (_TRIES // 2), *[None] * (_TRIES // 2), Tampering.HIDE):
        try:
            yield intercept(payload, rng, how)
        except (DataError, PayloadError):
            continue


def _attacker(settings: Settings, device: int, server_round: int) -> np.random.Generator:
    return generator(settings.seed, Purpose.ATTACKER, device, server_round)


def _channels(settings: Settings, payload: Payload) -> int:
    return channels(payload, settings.channel_rate, settings.slot)


def _point_in(
    settings: Settings, scene: Scene, rng: np.random.Generator
) -> tuple[float, float, float] | None:
    """Draw a place in a cube that the device vouches for, where a phantom does harm."""
    grid = grid_of(settings)
    covered = np.flatnonzero(grid.cubes_from_bits(scene.covers))
    if not covered.size:
        return None
    at = np.unravel_index(int(rng.choice(covered)), grid.shape)
    low = [edges[place] for edges, place in zip(grid.edges, at, strict=True)]
    high = [edges[place + 1] for edges, place in zip(grid.edges, at, strict=True)]
    drawn = rng.uniform(low, high)
    return float(drawn[0]), float(drawn[1]), float(drawn[2])
