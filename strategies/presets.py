"""Named compositions: what each ``--strategy`` and each ``--preset`` sets."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from strategies.settings import Settings, SettingsError, nearest

_TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "global-dp": (
        "clip, noise at each clinic, noise topped up at the server: the paper's protocol",
        {"privacy": "global-dp", "aggregation": "fedavg"},
    ),
    "fedavg": (
        "the same federation without any noise or clipping",
        {"privacy": "none", "aggregation": "fedavg"},
    ),
    "krum": ("non-private, one upload chosen by Krum", {"privacy": "none", "aggregation": "krum"}),
    "fedmedian": (
        "non-private, coordinate-wise median of the uploads",
        {"privacy": "none", "aggregation": "fedmedian"},
    ),
    "centralised": (
        "one clinic that holds all training records, trained by the same steps without noise",
        {"privacy": "none", "aggregation": "fedavg", "clients": 1, "partition": "iid", "sizes": ""},
    ),
}
STRATEGIES: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {name: (text, MappingProxyType(values)) for name, (text, values) in _TABLE.items()}
)

CALIBRATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "paper-std": MappingProxyType(
            {"rounds": 100, "exposures": 1, "learning_rate": 0.001, "delta": 1e-2, "reading": "std"}
        ),
        "paper-variance": MappingProxyType(
            {
                "rounds": 10,
                "exposures": 10,
                "learning_rate": 0.01,
                "delta": 1e-5,
                "reading": "variance",
            }
        ),
    }
)


def compose(strategy: str, overrides: Mapping[str, Any], preset: str | None = None) -> Settings:
    """Return the settings of a named strategy with single parts overridden.

    Parameters
    ----------
    strategy : str
        A key of ``STRATEGIES``.
    overrides : mapping
        Settings the user named; they win over strategy and preset.
    preset : str, optional
        A key of ``CALIBRATIONS``.

    Raises
    ------
    SettingsError
        For an unknown name (with the nearest one) or values that do not go together.
    """
    if strategy not in STRATEGIES:
        raise SettingsError(f"unknown strategy {strategy!r}{nearest(strategy, set(STRATEGIES))}")
    if preset is not None and preset not in CALIBRATIONS:
        raise SettingsError(f"unknown preset {preset!r}{nearest(preset, set(CALIBRATIONS))}")
    values: dict[str, Any] = dict(CALIBRATIONS[preset]) if preset else {}
    values |= STRATEGIES[strategy][1]
    values |= overrides
    values["strategy"] = strategy
    if "rounds" in overrides and "exposures" not in overrides:
        values["exposures"] = min(values.get("exposures", 1), overrides["rounds"])
    return Settings.from_mapping(values)


def from_run_config(values: Mapping[str, Any]) -> Settings:
    """Return the settings that a Flower run config stands for.

    ``flwr run`` hands every key of ``[tool.flwr.app.config]`` to both apps, so a value that
    equals the default counts as not named; our own launchers send finished settings and say
    so with ``composed``. ``out`` is not a setting and is passed over.

    Raises
    ------
    SettingsError
        As :func:`compose`.
    """
    named = {key.replace("-", "_"): value for key, value in values.items() if key != "out"}
    preset = str(named.pop("preset", "")) or None
    if named.pop("composed", False):
        return Settings.from_mapping(named, "run config")
    defaults = Settings().as_dict()
    strategy = str(named.pop("strategy", defaults["strategy"]))
    overrides = {key: value for key, value in named.items() if value != defaults.get(key)}
    return compose(strategy, overrides, preset)
