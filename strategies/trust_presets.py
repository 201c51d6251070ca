"""What the compositions that select clinics bring along, as far as the rest of them is used."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

FIRST_SHARE = 0.3
SOLD_FIRST_SHARE = 0.4
"""In an auction all upload in round 1 and few in later ones: it has to tell more."""
_REPUTATION: dict[str, Any] = {"first_share": FIRST_SHARE, "epsilon": 2.0}
_TRUSTED: dict[str, Any] = {
    **_REPUTATION,
    "first_share": SOLD_FIRST_SHARE,
    "rounds": 20,
    "uploads": 14,  # more than a clinic sells: where budgets run out, whoever nobody wanted is left
    "channels": 8,
    "discount": "reputation",
    "upload_cost": "0.1,0.5",
}
_SALE = ("rounds", "uploads", "channels", "discount", "upload_cost")
SELECTING: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"reputation": MappingProxyType(_REPUTATION), "trusted": MappingProxyType(_TRUSTED)}
)
_CHANNELS_OF_OBJECTS = 2
"""Channels that an upload of CARRADA's learning task takes, where one of BCWD takes one."""
_PROVEN = ("certified", "dp-gd", "dp-sgd")


def selecting_defaults(
    strategy: str, overrides: Mapping[str, Any], mechanisms: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what a selecting strategy sets below presets and what the user names.

    Parameters
    ----------
    strategy : str
        Any strategy; others than those in ``SELECTING`` set nothing.
    overrides : mapping
        What the user named: a part that is switched off takes along what only it reads.
    mechanisms : mapping
        The configuration of each mechanism; without noise clinics train as under dp-gd, if it is
        among them.
    """
    if strategy not in SELECTING:
        return {}
    values = dict(SELECTING[strategy])
    privacy = overrides.get("privacy", "dp-gd")
    if privacy != "dp-gd":
        values.pop("first_share")
    if privacy not in _PROVEN:
        values = {k: v for k, v in values.items() if k not in ("epsilon", "uploads")}
    if privacy == "global-dp":
        values.pop("rounds", None)
    if overrides.get("auction") == "none":
        values = {k: v for k, v in values.items() if k not in _SALE}
    if overrides.get("selection") == "none":
        values.pop("discount", None)
    if privacy == "none" and "dp-gd" in mechanisms:
        shape = {k: v for k, v in mechanisms["dp-gd"].items() if k not in ("epsilon", "delta")}
        values = shape | values
    return values


def selling_objects(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an auction of CARRADA's learning task sets: as many uploads a round as on BCWD.

    Where each clinic's uploads are counted, rounds are as few as on BCWD too: with more of them
    everybody would be sold out before the last.

    Parameters
    ----------
    values : mapping
        Of :func:`selecting_defaults`.
    """
    found = {"channels": _CHANNELS_OF_OBJECTS * values["channels"]} if "channels" in values else {}
    return found | ({"rounds": values["rounds"]} if "uploads" in values else {})
