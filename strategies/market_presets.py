"""Named compositions of the market: what each ``--strategy`` and ``--preset`` of carrada sets."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from strategies.market_settings import GROUP
from strategies.settings import Settings, SettingsError, flag, nearest

DEFAULT_STRATEGY = "reputation"
_MARKET = {"privacy": "none", "rounds": 500}
_TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "no-reputation": (
        "the auction alone: everybody may sell, whatever was delivered before",
        {"selection": "none"},
    ),
    "reputation-unfiltered": (
        "reputation, a complaint blamed on all devices at the cube: without Algorithm 1",
        {"selection": "unfiltered"},
    ),
    "reputation": (
        "reputation by Algorithm 1: the paper's mechanism",
        {"selection": "reputation"},
    ),
    "trusted": (
        "the same, and the auction values a delivery at reputation times value",
        {"selection": "reputation", "discount": "reputation"},
    ),
}
MARKET_STRATEGIES: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {name: (text, MappingProxyType(values)) for name, (text, values) in _TABLE.items()}
)
MARKET_CALIBRATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "market-a": MappingProxyType({"cover": 0.3, "z": 0.8}),
        "market-b": MappingProxyType({"cover": 0.5, "z": 0.72}),
    }
)
_SHARED_GROUPS = ("what to run",)
_SHARED_NAMES = ("data", "attack")


def compose_market(
    strategy: str, overrides: Mapping[str, Any], preset: str | None = None
) -> Settings:
    """Return the settings of a market: preset, then strategy, then what the user named.

    Raises
    ------
    SettingsError
        For a name of another data set or of none, or values that do not go together.
    """
    if strategy not in MARKET_STRATEGIES:
        raise SettingsError(
            f"--dataset carrada has no strategy {strategy!r}"
            f"; use one of {', '.join(MARKET_STRATEGIES)}"
        )
    if preset is not None and preset not in MARKET_CALIBRATIONS:
        raise SettingsError(
            f"--dataset carrada has no preset {preset!r}"
            f"; use one of {', '.join(MARKET_CALIBRATIONS)}"
        )
    refuse_foreign(overrides, "carrada")
    values: dict[str, Any] = dict(_MARKET)
    values |= MARKET_CALIBRATIONS[preset] if preset else {}
    values |= MARKET_STRATEGIES[strategy][1]
    values |= overrides
    return Settings.from_mapping(values | {"strategy": strategy, "dataset": "carrada"})


def refuse_foreign(names: Iterable[str], dataset: str) -> None:
    """Refuse settings that a data set does not read, so that none is silently without effect.

    Raises
    ------
    SettingsError
        Naming the setting and where it belongs.
    """
    other = "bcwd" if dataset == "carrada" else "carrada"
    groups = {item.name: item.metadata["group"] for item in fields(Settings)}
    for name in names:
        group = groups.get(name.replace("-", "_"))
        if group is None or group in _SHARED_GROUPS or name in _SHARED_NAMES:
            continue
        if (group == GROUP) != (dataset == "carrada"):
            raise SettingsError(
                f"{flag(name)} is a setting of --dataset {other} and does nothing on {dataset}: "
                "leave it out or change --dataset"
            )


def hint_at_market(name: str, known: Iterable[str]) -> str:
    """Return what to do about a name that bcwd does not know."""
    if name in MARKET_STRATEGIES or name in MARKET_CALIBRATIONS:
        return "; it goes with --dataset carrada"
    return nearest(name, set(known))
