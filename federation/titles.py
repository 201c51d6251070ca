"""What a run is called where people read: the named strategy, and every part put in its place."""

from collections.abc import Mapping
from typing import Any

from strategies.presets import STRATEGIES
from strategies.settings import Settings

_PARTS = {
    "aggregation": "no aggregation",
    "privacy": "no noise",
    "selection": "no selection",
    "detector": "no detector",
    "auction": "no auction",
}
"""Parts of a composition, and what stands for ``none`` of them."""


def strategy_title(settings: Mapping[str, Any]) -> str:
    """Return the strategy, with the parts that are not its own in brackets: ``fedavg (krum)``.

    Parameters
    ----------
    settings : mapping
        As in result.json. A strategy of the user's own is its import path; a market's strategies
        are whole.
    """
    name = str(settings["strategy"])
    if settings["dataset"] == "carrada" and settings.get("task", "twin") == "twin":
        return name
    own = STRATEGIES[name][1] if name in STRATEGIES else {"privacy": "none", "aggregation": name}
    usual, other = Settings().as_dict(), []
    for part, nothing in _PARTS.items():
        expected = own.get(part, usual[part])
        value = settings.get(part, expected)
        if part == "detector" and settings.get("selection", "none") == "none":
            continue
        if value != expected:
            other.append(nothing if value == "none" else str(value))
    return f"{name} ({', '.join(other)})" if other else name
