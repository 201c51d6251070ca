"""The one set of settings of a run: flags, settings file, Flower run config and docs alike.

Every field carries its help, group and bounds as metadata; the command line, ``--config``,
``[tool.flwr.app.config]`` and the settings table of the docs are made from them, so that a
name, a default or a bound is written once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from math import isfinite
from typing import Any, Self

from strategies.learning.features import FEATURE_MAPS
from strategies.privacy.global_dp import READINGS, GlobalDP

AGGREGATIONS = ("fedavg", "fedadam", "fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan")
LINEAR_AGGREGATIONS = ("fedavg",)
PRIVACY = ("none", "global-dp")


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one line: what, why, what to do."""


def _setting(
    default: Any,
    group: str,
    help_: str,
    *,
    choices: Sequence[str] = (),
    minimum: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    meta = {
        "group": group,
        "help": help_,
        "choices": tuple(choices),
        "minimum": minimum,
        "above": above,
        "below": below,
    }
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class Settings:
    """Validated settings of one federated run.

    Raises
    ------
    SettingsError
        When a value is of the wrong type or out of its bounds, or two contradict.
    """

    strategy: str = _setting("global-dp", "what to run", "named composition to start from")
    dataset: str = _setting("bcwd", "what to run", "data set of the clients", choices=("bcwd",))
    clients: int = _setting(20, "what to run", "number of clinics V", minimum=1)
    rounds: int = _setting(
        100, "what to run", "rounds T: how often the model is broadcast", minimum=1
    )
    seed: int = _setting(
        1, "what to run", "seed of data, split, training and seeded noise", minimum=0
    )
    backend: str = _setting(
        "inprocess",
        "what to run",
        "inprocess: messages within this process; ray: Flower's simulation runtime",
        choices=("inprocess", "ray"),
    )

    data: str = _setting(
        "", "data", "file to read instead of the shipped Breast Cancer Wisconsin data"
    )
    schema: str = _setting("", "data", "schema file (TOML or JSON) of a table in another format")
    missing: str = _setting(
        "drop",
        "data",
        "incomplete records: leave out, or fill with the median",
        choices=("drop", "median"),
    )
    split: str = _setting(
        "record",
        "data",
        "how the held-out fifth is cut; by record, one patient can be on both sides",
        choices=("record", "patient"),
    )
    test_fraction: float = _setting(
        0.2, "data", "share held out at the server", above=0.0, below=1.0
    )
    partition: str = _setting(
        "iid",
        "data",
        "iid: equal random shards; sizes: proportional to --sizes; dirichlet: skewed labels",
        choices=("iid", "sizes", "dirichlet"),
    )
    sizes: str = _setting(
        "", "data", "relative shard sizes, one per clinic: 1,2,3 (partition sizes)"
    )
    alpha: float = _setting(
        0.5, "data", "Dirichlet concentration; smaller is more skewed", above=0.0
    )
    min_records: int = _setting(1, "data", "smallest shard a clinic may hold", minimum=1)

    features: str = _setting(
        "scaled", "model", "feature map; scaled is (x - 5.5) / 4.5 on BCWD", choices=FEATURE_MAPS
    )
    bias: float = _setting(1.0, "model", "value of the constant feature that stands for the bias")
    learning_rate: float = _setting(0.001, "model", "step size eta of local training", above=0.0)
    steps: int = _setting(5, "model", "local steps k a round", minimum=1)
    batch_size: int = _setting(0, "model", "records a local step uses; 0 is all of them", minimum=0)
    l2: float = _setting(0.001, "model", "weight of the L2 term, bias included", minimum=0.0)

    aggregation: str = _setting(
        "fedavg", "aggregation", "Flower strategy that merges the uploads", choices=AGGREGATIONS
    )
    byzantine: int = _setting(
        0, "aggregation", "f, attackers that krum, multikrum and bulyan allow for", minimum=0
    )
    trim: float = _setting(
        0.2, "aggregation", "share cut at each end by fedtrimmedavg", minimum=0.0, below=0.5
    )
    server_rate: float = _setting(0.01, "aggregation", "server step size of fedadam", above=0.0)

    privacy: str = _setting("global-dp", "privacy", "mechanism at the clinics", choices=PRIVACY)
    epsilon: float = _setting(30.0, "privacy", "nominal epsilon of the mechanism", above=0.0)
    delta: float = _setting(0.01, "privacy", "delta of the guarantee", above=0.0, below=1.0)
    clip_norm: float = _setting(0.5, "privacy", "B, largest norm of an uploaded model", above=0.0)
    exposures: int = _setting(
        1, "privacy", "E <= T, uploads an eavesdropper is assumed to overhear", minimum=1
    )
    reading: str = _setting(
        "std",
        "privacy",
        "how N(0, sigma I) is read in the paper's eqs. 10 and 14",
        choices=READINGS,
    )
    unit: str = _setting(
        "record",
        "privacy",
        "what a guarantee protects; patient cuts shards and split by patient id",
        choices=("record", "patient"),
    )
    noise: str = _setting(
        "seeded",
        "privacy",
        "seeded: repeatable, for experiments, not private; system: the operating system's CSPRNG",
        choices=("seeded", "system"),
    )
    clinic_max_epsilon: float = _setting(
        0.0,
        "privacy",
        "refuse a nominal epsilon above this at the clinic; 0 is no limit",
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        """Check each field against its bounds, then the fields against each other."""
        for item in fields(self):
            object.__setattr__(self, item.name, _checked(item, getattr(self, item.name)))
        if self.privacy != "none" and self.exposures > self.rounds:
            raise SettingsError(
                f"exposures {self.exposures} is more than rounds {self.rounds}: "
                "an eavesdropper cannot overhear more uploads than there are; lower --exposures"
            )
        if self.partition == "sizes" and len(self.shard_sizes) not in (0, self.clients):
            raise SettingsError(
                f"sizes names {len(self.shard_sizes)} shards for {self.clients} clients: "
                "give one relative size for each clinic"
            )
        if self.sizes and self.partition != "sizes":
            raise SettingsError("sizes needs --partition sizes: no other partition reads it")
        check_byzantine(self.aggregation, self.byzantine, self.clients)

    @property
    def shard_sizes(self) -> tuple[float, ...]:
        """Return the relative shard sizes, empty when not given."""
        try:
            sizes = tuple(float(part) for part in self.sizes.split(",") if part.strip())
        except ValueError:
            sizes = (-1.0,)
        if any(not isfinite(size) or size <= 0 for size in sizes):
            raise SettingsError(f"sizes must be positive numbers with commas, got {self.sizes!r}")
        return sizes

    @property
    def split_unit(self) -> str:
        """Return what the held-out set is cut by: the unit patient implies patient."""
        return "patient" if self.unit == "patient" else self.split

    @property
    def private(self) -> bool:
        """Return whether any noise is added at all."""
        return self.privacy != "none"

    def calibration(self) -> GlobalDP:
        """Return the public calibration of the paper's protocol."""
        return GlobalDP(
            epsilon=self.epsilon,
            delta=self.delta,
            clip_norm=self.clip_norm,
            rounds=self.rounds,
            exposures=self.exposures,
            reading=self.reading,
        )

    def changed(self, **values: Any) -> Self:
        """Return a copy with ``values`` replaced and checked again."""
        return replace(self, **values)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields in order, with plain values."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "settings") -> Self:
        """Build settings from ``{name: value}``; names may use ``-`` for ``_``.

        Raises
        ------
        SettingsError
            For an unknown name, with the nearest known one, or a bad value.
        """
        known = {item.name for item in fields(cls)}
        clean: dict[str, Any] = {}
        for key, value in values.items():
            name = str(key).replace("-", "_")
            if name not in known:
                raise SettingsError(f"{source}: unknown setting {key!r}{nearest(name, known)}")
            clean[name] = value
        return cls(**clean)


def nearest(name: str, known: Sequence[str] | set[str] | frozenset[str]) -> str:
    """Return '; did you mean X?' for the closest known name, or the list when none is close."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; use one of {', '.join(sorted(known))}"


def flag(name: str) -> str:
    """Return the command-line spelling of a field name."""
    return "--" + name.replace("_", "-")


def default_of(item: Field[Any]) -> Any:
    """Return the default of a settings field."""
    return None if item.default is MISSING else item.default


def byzantine_limit(aggregation: str, replies: int) -> int | None:
    """Return the largest f that ``replies`` allow, None where the rule has no f.

    Krum and multi-Krum need ``n >= 2 f + 3`` (Blanchard et al., 2017), Bulyan
    ``n >= 4 f + 3`` (El Mhamdi et al., 2018). Negative when even f = 0 is too many.
    """
    if aggregation in ("krum", "multikrum"):
        return (replies - 3) // 2
    if aggregation == "bulyan":
        return (replies - 3) // 4
    return None


def check_byzantine(aggregation: str, byzantine: int, replies: int) -> None:
    """Raise SettingsError when ``replies`` are too few for ``byzantine`` attackers."""
    limit = byzantine_limit(aggregation, replies)
    if limit is not None and byzantine > limit:
        factor = 4 if aggregation == "bulyan" else 2
        allowed = f"lower --byzantine to at most {limit}" if limit >= 0 else "add clients"
        raise SettingsError(
            f"{aggregation} with byzantine {byzantine} needs {factor * byzantine + 3} replies "
            f"({factor} f + 3) and has {replies}: {allowed}"
        )


def _checked(item: Field[Any], value: Any) -> Any:
    kind = item.type if isinstance(item.type, type) else str
    name = flag(item.name)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise SettingsError(
            f"{name} must be {_kind_name(kind)}, got {value!r} ({type(value).__name__})"
        )
    meta = item.metadata
    if meta["choices"] and value not in meta["choices"]:
        hint = nearest(str(value), meta["choices"])
        raise SettingsError(f"{name}: unknown value {value!r}{hint}")
    if isinstance(value, float) and not isfinite(value):
        raise SettingsError(f"{name} must be a finite number, got {value}")
    if meta["minimum"] is not None and value < meta["minimum"]:
        raise SettingsError(f"{name} must be at least {meta['minimum']:g}, got {value:g}")
    if meta["above"] is not None and value <= meta["above"]:
        raise SettingsError(f"{name} must be above {meta['above']:g}, got {value:g}")
    if meta["below"] is not None and value >= meta["below"]:
        raise SettingsError(f"{name} must be below {meta['below']:g}, got {value:g}")
    return value


def _kind_name(kind: type) -> str:
    return {int: "a whole number", float: "a number", str: "text"}.get(kind, kind.__name__)
