"""Named compositions of the market: what each ``--strategy`` and ``--preset`` of carrada sets."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from strategies.learn_settings import GROUP as LEARN_GROUP
from strategies.learn_settings import NOT_OF_LEARNING, TASKS
from strategies.market_settings import GROUP
from strategies.settings import Settings, SettingsError, flag, nearest
from strategies.trust_settings import SHARED

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
_SHARED_GROUPS = ("what to run", "separate machines")
_SHARED_NAMES = ("data", "attack", *SHARED)
_HERE = {"bcwd": "bcwd", "twin": "carrada", "learn": "carrada's --task learn"}


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
            f"; use one of {', '.join(MARKET_STRATEGIES)}; to train a model add --task learn"
        )
    if preset is not None and preset not in MARKET_CALIBRATIONS:
        raise SettingsError(
            f"--dataset carrada has no preset {preset!r}"
            f"; use one of {', '.join(MARKET_CALIBRATIONS)}"
        )
    refuse_foreign(overrides, "twin")
    values: dict[str, Any] = dict(_MARKET)
    values |= MARKET_CALIBRATIONS[preset] if preset else {}
    values |= MARKET_STRATEGIES[strategy][1]
    values |= overrides
    return Settings.from_mapping(values | {"strategy": strategy, "dataset": "carrada"})


def world_of(overrides: Mapping[str, Any]) -> str:
    """Return what a run is about: ``bcwd``, or on carrada its task, ``twin`` or ``learn``.

    Raises
    ------
    SettingsError
        For an unknown task, with the nearest one.
    """
    if overrides.get("dataset") != "carrada":
        return "bcwd"
    task = str(overrides.get("task", Settings.task))
    if task not in TASKS:
        raise SettingsError(f"--task: unknown value {task!r}{nearest(task, TASKS)}")
    return task


def refuse_foreign(names: Iterable[str], world: str) -> None:
    """Refuse settings that a run does not read, so that none is silently without effect.

    Parameters
    ----------
    names : iterable of str
        Settings that the user named.
    world : str
        Of :func:`world_of`.

    Raises
    ------
    SettingsError
        Naming the setting and where it belongs.
    """
    groups = {item.name: item.metadata["group"] for item in fields(Settings)}
    for name in names:
        known = name.replace("-", "_")
        group = groups.get(known)
        if group is None or group in _SHARED_GROUPS or name in _SHARED_NAMES:
            continue
        worlds = _readers(known, group)
        if world not in worlds:
            raise SettingsError(
                f"{flag(known)} is a setting of {_where(worlds, world)} and does nothing on "
                f"{_HERE[world]}: leave it out or change {_switch(worlds, world)}"
            )


def _where(worlds: tuple[str, ...], world: str) -> str:
    """Return which flag would make a run read a setting."""
    if world == "bcwd" and worlds != ("learn",):
        return "--dataset carrada"
    named = {"bcwd": "--dataset bcwd", "twin": "--task twin", "learn": "--task learn"}
    return " or ".join(named[other] for other in worlds)


def _switch(worlds: tuple[str, ...], world: str) -> str:
    tasks = world != "bcwd" and any(other in TASKS for other in worlds)
    return "--task" if tasks else "--dataset"


def _readers(name: str, group: str) -> tuple[str, ...]:
    """Return the worlds that read a setting."""
    if name == "task":
        return TASKS
    if group == GROUP:
        return ("twin",)
    if group == LEARN_GROUP:
        return ("learn",)
    return ("bcwd",) if name in NOT_OF_LEARNING else ("bcwd", "learn")


def hint_at_market(name: str, known: Iterable[str]) -> str:
    """Return what to do about a name that bcwd does not know."""
    if name in MARKET_STRATEGIES or name in MARKET_CALIBRATIONS:
        return "; it goes with --dataset carrada"
    return nearest(name, set(known))
