"""The synthetic market: devices that sell, some that cheat, and users that complain.

Each draw of this world belongs to one device or user and can be made alone, so that Flower
clients and the vectorised runner see the same market.
"""

from strategies.market.draws import World, draw_world
from strategies.market.run import MarketRun
from strategies.market.settings import SET_A, SET_B, MarketError, MarketSettings
from strategies.market.simulate import simulate_market
from strategies.market.table import MarketTable, compare_modes, market_table
from strategies.market.world import (
    DeviceEpisode,
    attack_schedule,
    device_episode,
    device_types,
    spoiled_cubes,
    synthetic_similarity,
    user_visits,
)

__all__ = [
    "SET_A",
    "SET_B",
    "DeviceEpisode",
    "MarketError",
    "MarketRun",
    "MarketSettings",
    "MarketTable",
    "World",
    "attack_schedule",
    "compare_modes",
    "device_episode",
    "device_types",
    "draw_world",
    "market_table",
    "simulate_market",
    "spoiled_cubes",
    "synthetic_similarity",
    "user_visits",
]
