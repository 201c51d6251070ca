"""Named compositions: what each ``--strategy`` and each ``--preset`` sets."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from strategies.learn_presets import learning_values
from strategies.market_presets import (
    DEFAULT_STRATEGY,
    compose_market,
    hint_at_market,
    refuse_foreign,
    world_of,
)
from strategies.secure_settings import SHARED_NOISE
from strategies.setting_fields import is_import_path
from strategies.settings import Settings, SettingsError
from strategies.trust_presets import selecting_defaults, selling_objects

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
    "multikrum": (
        "non-private, the mean of the uploads that Krum likes best; f by --byzantine",
        {"privacy": "none", "aggregation": "multikrum"},
    ),
    "fedmedian": (
        "non-private, coordinate-wise median of the uploads",
        {"privacy": "none", "aggregation": "fedmedian"},
    ),
    "certified": (
        "model release by smoothed-hinge steps whose sensitivity is proven",
        {"privacy": "certified", "aggregation": "fedavg"},
    ),
    "dp-gd": (
        "clipped gradients, noised in each clinic every round: the guarantee holds, the server "
        "needs no trust",
        {"privacy": "dp-gd", "aggregation": "fedavg"},
    ),
    "dp-sgd": (
        "Opacus' engine with Poisson sampling in each clinic",
        {"privacy": "dp-sgd", "aggregation": "fedavg"},
    ),
    "reputation": (
        "dp-gd, and only clinics take part whose noised uploads are likely those of an honest one",
        {"privacy": "dp-gd", "aggregation": "fedavg", "selection": "reputation"},
    ),
    "trusted": (
        "the same, and an auction buys the uploads of eight of them in a round, at reputation "
        "times value",
        {
            "privacy": "dp-gd",
            "aggregation": "fedavg",
            "selection": "reputation",
            "auction": "knapsack",
        },
    ),
    "shared-noise": (
        "dp-gd under secure aggregation: the server sees only sums, so clinics share the noise",
        {"privacy": "shared-noise", "aggregation": "fedavg"},
    ),
    "centralised": (
        "one clinic that holds all training records, whatever --clients says; same steps, no noise",
        {"privacy": "none", "aggregation": "fedavg"},
    ),
}
STRATEGIES: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {name: (text, MappingProxyType(values)) for name, (text, values) in _TABLE.items()}
)

_GRADIENTS = {
    "rounds": 10,
    "steps": 1,
    "learning_rate": 3.0,
    "clip_norm": 0.3,
    "features": "log",
    "feature_scale": 1 / 3,
    "bias": 0.6,
    "l2": 0.0,
    "epsilon": 1.0,
    "delta": 1e-5,
}
MECHANISMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "dp-gd": MappingProxyType(_GRADIENTS),
        "dp-sgd": MappingProxyType({**_GRADIENTS, "batches": 2}),
        "shared-noise": MappingProxyType({**_GRADIENTS, "clip_norm": 0.6}),
        "certified": MappingProxyType(
            {
                "rounds": 3,
                "steps": 10,
                "learning_rate": 0.5,
                "clip_norm": 10.0,
                "feature_bound": 0.7,
                "smoothing": 0.5,
                "features": "log",
                "l2": 0.0,
                "epsilon": 1.0,
                "delta": 1e-5,
            }
        ),
    }
)
"""The one configuration over all eps that each certified mechanism brings along."""

BY_CLINIC: Mapping[str, Any] = MappingProxyType(
    {
        **_GRADIENTS,
        "rounds": 6,
        "steps": 10,
        "learning_rate": 1.0,
        "clip_norm": 0.5,
        "bias": 0.5,
        "epsilon": 2.0,
    }
)
"""What shared-noise brings along with ``--unit clinic``: clipped updates of several steps."""

_ONE_CLINIC = {"clients": 1, "partition": "iid", "sizes": ""}
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
        A key of ``STRATEGIES``, or of ``MARKET_STRATEGIES`` on the market of carrada; or
        ``module:Name``, a Flower strategy of the user's own that merges without noise unless told
        otherwise.
    overrides : mapping
        Settings the user named, the data set among them; they win over strategy and preset.
    preset : str, optional
        A key of ``CALIBRATIONS``, or of ``MARKET_CALIBRATIONS`` on carrada.

    Raises
    ------
    SettingsError
        For an unknown name (with the nearest one) or values that do not go together.
    """
    world = world_of(overrides)
    if world == "twin":
        return compose_market(strategy, overrides, preset)
    named = _parts_of(strategy)
    if preset is not None and preset not in CALIBRATIONS:
        raise SettingsError(f"unknown preset {preset!r}{hint_at_market(preset, CALIBRATIONS)}")
    refuse_foreign(overrides, world)
    privacy = overrides.get("privacy", named.get("privacy"))
    by_clinic = privacy == SHARED_NOISE and overrides.get("unit") == "clinic"
    values: dict[str, Any] = dict(BY_CLINIC if by_clinic else MECHANISMS.get(str(privacy), {}))
    # How clinics of CARRADA's learning task train without noise is its own (learning_values).
    own = selecting_defaults(strategy, overrides, {} if world == "learn" else MECHANISMS)
    values |= own
    if world == "learn":
        values |= learning_values(str(privacy)) | selling_objects(own)
    values |= CALIBRATIONS[preset] if preset else {}
    values |= named
    values |= overrides
    if strategy == "centralised":
        values |= _ONE_CLINIC
    values["strategy"] = strategy
    rounds = overrides.get("rounds")
    if isinstance(rounds, int) and "exposures" not in overrides:
        values["exposures"] = min(values.get("exposures", 1), max(rounds, 1))
    return Settings.from_mapping(values)


def _parts_of(strategy: str) -> Mapping[str, Any]:
    if strategy in STRATEGIES:
        return STRATEGIES[strategy][1]
    if is_import_path(strategy):
        return {"privacy": "none", "aggregation": strategy}
    raise SettingsError(f"unknown strategy {strategy!r}{hint_at_market(strategy, STRATEGIES)}")


def default_strategy(dataset: object, task: object = None) -> str:
    """Return what runs on a data set when no strategy is named."""
    market = world_of({"dataset": dataset, "task": task or Settings.task}) == "twin"
    return DEFAULT_STRATEGY if market else str(Settings.strategy)


NO_SETTINGS = ("out", "resume")
"""Keys of a run config that say where a run runs, not what it is."""


@lru_cache(maxsize=64)
def _first_of(settings: Settings) -> Settings:
    """Return the first of equal settings: a cache knows the same object without comparing it."""
    return settings


def from_run_config(values: Mapping[str, Any]) -> Settings:
    """Return the settings that a Flower run config stands for.

    ``flwr run`` hands every key of ``[tool.flwr.app.config]`` to both apps, so a value that
    equals the default counts as not named; our own launchers send finished settings and say
    so with ``composed``. ``out`` and ``resume`` are no settings and are passed over.

    Raises
    ------
    SettingsError
        As :func:`compose`.
    """
    named = {
        key.replace("-", "_"): value for key, value in values.items() if key not in NO_SETTINGS
    }
    preset = str(named.pop("preset", "")) or None
    if named.pop("composed", False):
        return _first_of(Settings.from_mapping(named, "run config"))
    defaults = Settings().as_dict()
    strategy = str(named.pop("strategy", defaults["strategy"]))
    overrides = {key: value for key, value in named.items() if value != defaults.get(key)}
    if strategy == defaults["strategy"]:
        strategy = default_strategy(overrides.get("dataset"), overrides.get("task"))
    return compose(strategy, overrides, preset)
