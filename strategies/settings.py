"""The one set of settings of a run: flags, settings file, Flower run config and docs alike.

Every field carries its help, group and bounds as metadata; the command line, ``--config``,
``[tool.flwr.app.config]`` and the settings table of the docs are made from them, so that a
name, a default or a bound is written once.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, replace
from math import inf, isfinite
from typing import Any, Self

from strategies.attack_settings import AttackFields, settle_attack
from strategies.durable_settings import DurableFields
from strategies.learn_settings import LEARNT, LearnFields, check_learning
from strategies.learning.features import FEATURE_MAPS
from strategies.market_settings import MarketFields, check_market
from strategies.privacy.global_dp import READINGS, GlobalDP
from strategies.rating_settings import RatingFields, check_ratings
from strategies.secure_settings import SHARED_NOISE, SecureFields, check_secure, is_secure
from strategies.setting_fields import (
    LARGEST,
    MOST_CLIENTS,
    MOST_CREDITS,
    MOST_RECORDS,
    MOST_ROUNDS,
    SMALLEST,
    is_import_path,
)
from strategies.setting_fields import SettingsError as SettingsError
from strategies.setting_fields import flag as flag
from strategies.setting_fields import nearest as nearest
from strategies.setting_fields import setting as _setting
from strategies.trust_settings import TrustFields, check_trust, settled

DATASETS = ("bcwd", "carrada")

AGGREGATIONS = ("fedavg", "fedadam", "fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan")
LINEAR_AGGREGATIONS = ("fedavg",)
PRIVACY = ("none", "global-dp", "certified", "dp-gd", "dp-sgd", "shared-noise")
LARGEST_PROVEN = 1000.0
CERTIFIED_PRIVACY = ("certified", "dp-gd", "dp-sgd", "shared-noise")
"""Mechanisms whose epsilon is proven, not nominal."""


@dataclass(frozen=True)
class _CoreSettings:
    """What every run reads, and the settings of a diagnosis model."""

    strategy: str = _setting("global-dp", "what to run", "named composition to start from")
    dataset: str = _setting(
        "bcwd",
        "what to run",
        "data set of the clients; carrada: a market, or a model by --task learn",
        choices=DATASETS,
    )
    clients: int = _setting(
        20,
        "what to run",
        "number of clinics V; on carrada of devices N",
        minimum=1,
        maximum=MOST_CLIENTS,
    )
    rounds: int = _setting(
        100,
        "what to run",
        "rounds T: how often the model is broadcast",
        minimum=1,
        maximum=MOST_ROUNDS,
    )
    seed: int = _setting(
        1,
        "what to run",
        "seed of data, split, training and seeded noise",
        minimum=0,
        maximum=10**15,
    )
    backend: str = _setting(
        "inprocess",
        "what to run",
        "inprocess: messages within this process; ray: Flower's simulation runtime",
        choices=("inprocess", "ray"),
    )

    data: str = _setting(
        "", "data", "file to read instead of the shipped data; on carrada a CARRADA root"
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
        "how the held-out fifth is cut; by record, one patient (or track) can be on both sides",
        choices=("record", "patient", "track", "sequence"),
    )
    test_fraction: float = _setting(
        0.2, "data", "share held out at the server", above=0.0, below=1.0
    )
    partition: str = _setting(
        "iid",
        "data",
        "iid: equal random shards; sizes: proportional to --sizes; dirichlet: skewed labels; "
        "sequence: whole recordings",
        choices=("iid", "sizes", "dirichlet", "sequence"),
    )
    sizes: str = _setting(
        "", "data", "relative shard sizes, one per clinic (partition sizes; none: 1,2,...,V)"
    )
    skew: float = _setting(
        0.5,
        "data",
        "Dirichlet concentration; smaller is more skewed",
        above=0.0,
        maximum=LARGEST,
    )
    min_records: int = _setting(
        1, "data", "smallest shard a clinic may hold", minimum=1, maximum=MOST_RECORDS
    )

    features: str = _setting(
        "scaled", "model", "feature map; scaled is (x - 5.5) / 4.5 on BCWD", choices=FEATURE_MAPS
    )
    bias: float = _setting(
        1.0,
        "model",
        "value of the constant feature that stands for the bias",
        minimum=-LARGEST,
        maximum=LARGEST,
    )
    feature_scale: float = _setting(
        1.0,
        "model",
        "every feature but the bias is multiplied by it",
        above=0.0,
        minimum=SMALLEST,
        maximum=LARGEST,
    )
    learning_rate: float = _setting(
        0.001, "model", "step size eta of local training", above=0.0, maximum=LARGEST
    )
    steps: int = _setting(5, "model", "local steps k a round", minimum=1, maximum=MOST_ROUNDS)
    batch_size: int = _setting(
        0, "model", "records a local step uses; 0 is all of them", minimum=0, maximum=MOST_RECORDS
    )
    l2: float = _setting(
        0.001, "model", "weight of the L2 term, bias included", minimum=0.0, maximum=LARGEST
    )

    aggregation: str = _setting(
        "fedavg",
        "aggregation",
        "Flower strategy that merges the uploads, or module:Name of your own",
        choices=AGGREGATIONS,
        importable=True,
    )
    byzantine: int = _setting(
        0,
        "aggregation",
        "f, attackers that krum, multikrum and bulyan allow for",
        minimum=0,
        maximum=MOST_CLIENTS,
    )
    trim: float = _setting(
        0.2, "aggregation", "share cut at each end by fedtrimmedavg", minimum=0.0, below=0.5
    )
    server_rate: float = _setting(
        0.01, "aggregation", "server step size of fedadam", above=0.0, maximum=LARGEST
    )

    privacy: str = _setting("global-dp", "privacy", "mechanism at the clinics", choices=PRIVACY)
    epsilon: float = _setting(
        30.0,
        "privacy",
        "epsilon of the mechanism: nominal for global-dp, proven for the others",
        above=0.0,
        minimum=SMALLEST,
        below=1e15,
    )
    delta: float = _setting(
        0.01, "privacy", "delta of the guarantee", above=0.0, minimum=1e-100, below=1.0
    )
    clip_norm: float = _setting(
        0.5,
        "privacy",
        "B, largest norm of an uploaded model; for dp-gd, dp-sgd and shared-noise C, of the "
        "gradient of one unit",
        above=0.0,
        minimum=SMALLEST,
        maximum=LARGEST,
    )
    exposures: int = _setting(
        1,
        "privacy",
        "E <= T, uploads an eavesdropper is assumed to overhear",
        minimum=1,
        maximum=MOST_ROUNDS,
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
        "what a guarantee protects; patient (or track) cuts shards and split by patient id; "
        "clinic, with shared-noise, all records of one",
        choices=("record", "patient", "track", "clinic"),
    )
    noise: str = _setting(
        "seeded",
        "privacy",
        "seeded: repeatable, for experiments, not private; system: the operating system's CSPRNG; "
        "discrete: the same, exact on a grid, without floating-point gaps",
        choices=("seeded", "system", "discrete"),
    )
    feature_bound: float = _setting(
        0.7,
        "privacy",
        "C of certified: longer feature vectors are scaled down to it",
        above=0.0,
        minimum=SMALLEST,
        maximum=LARGEST,
    )
    smoothing: float = _setting(
        0.5,
        "privacy",
        "h of certified: width of the hinge's smoothed corner",
        above=0.0,
        minimum=SMALLEST,
        maximum=LARGEST,
    )
    batches: int = _setting(
        2,
        "privacy",
        "dp-sgd takes each record into a step with probability 1/batches",
        minimum=1,
        maximum=MOST_RECORDS,
    )
    max_epsilon: float = _setting(
        0.0,
        "privacy",
        "each clinic stops before its certified epsilon against the server passes this; 0 is none",
        minimum=0.0,
        maximum=1e15,
    )
    max_uploads: int = _setting(
        0,
        "privacy",
        "each clinic uploads at most this often in a run; 0 is rounds",
        minimum=0,
        maximum=MOST_ROUNDS,
    )
    price_per_epsilon: int = _setting(
        0,
        "privacy",
        "clinics sell their uploads: micro-credits asked for each epsilon spent; 0: no auction",
        minimum=0,
        maximum=MOST_CREDITS,
    )
    record_value: float = _setting(
        0.01,
        "privacy",
        "what an upload is worth to the server, credits for each record",
        above=0.0,
        maximum=LARGEST,
    )
    ledger: str = _setting(
        "", "privacy", "file or SQLAlchemy URL in which clinics add up what runs cost; none: fresh"
    )
    max_nominal_epsilon: float = _setting(
        0.0,
        "privacy",
        "refuse a nominal epsilon above this at the clinic; 0 is no limit",
        minimum=0.0,
        maximum=1e15,
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
        self._check_privacy()

    def _check_privacy(self) -> None:
        if self.privacy in ("certified", "dp-gd", "dp-sgd") and self.batch_size:
            raise SettingsError(
                f"batch_size goes with global-dp or none: {self.privacy} has its own sampling"
            )
        if self.privacy == "dp-gd" and self.steps != 1:
            raise SettingsError(f"dp-gd takes one step a round, not {self.steps}: set --steps 1")
        if self.noise == "discrete" and self.privacy not in ("certified", "dp-gd", SHARED_NOISE):
            raise SettingsError(
                f"discrete noise is made for certified and dp-gd, not {self.privacy}: "
                "use --noise system"
            )
        if self.privacy in CERTIFIED_PRIVACY and self.epsilon > LARGEST_PROVEN:
            raise SettingsError(
                f"epsilon {self.epsilon:g} protects nobody: {self.privacy} takes at most "
                f"{LARGEST_PROVEN:g}; for no privacy use --privacy none"
            )
        if self.price_per_epsilon and self.privacy not in CERTIFIED_PRIVACY:
            raise SettingsError(
                f"price_per_epsilon needs a proven epsilon, not that of {self.privacy}: use one of "
                f"{', '.join(CERTIFIED_PRIVACY)}"
            )
        if self.max_epsilon and not self.private:
            raise SettingsError("max_epsilon without noise allows nothing: choose a --privacy")

    def __hash__(self) -> int:
        """Return the hash of all values, computed once: settings are keys of many caches."""
        known = self.__dict__.get("_hash")
        if known is None:
            known = hash(tuple(getattr(self, item.name) for item in fields(self)))
            object.__setattr__(self, "_hash", known)
        return known

    def __getstate__(self) -> dict[str, Any]:
        """Leave the hash behind when pickled: another process hashes text differently."""
        return {key: value for key, value in self.__dict__.items() if key != "_hash"}

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
        """Return what the held-out set is cut by: the unit patient or track implies itself."""
        return self.data_unit if self.split == "record" else self.split

    @property
    def data_unit(self) -> str:
        """Return what shards are cut by: a whole clinic is no unit within its shard."""
        return "record" if self.unit == "clinic" else self.unit

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

    def shown(self) -> dict[str, Any]:
        """Return all fields for files and pages: of a database URL only its kind."""
        kind, url, _ = self.ledger.partition("://")
        return self.as_dict() | ({"ledger": f"{kind}://..."} if url else {})

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


@dataclass(frozen=True)
class Settings(
    DurableFields,
    SecureFields,
    LearnFields,
    MarketFields,
    RatingFields,
    TrustFields,
    AttackFields,
    _CoreSettings,
):
    """Validated settings of one federated run.

    Raises
    ------
    SettingsError
        When a value is of the wrong type or out of its bounds, or two contradict.
    """

    __hash__ = _CoreSettings.__hash__  # or dataclass makes one that hashes all fields each time

    def __post_init__(self) -> None:
        """Check each field against its bounds, then the fields against each other."""
        super().__post_init__()
        object.__setattr__(self, "attack", settle_attack(self))
        for name, value in settled(self).items():
            object.__setattr__(self, name, value)
        if self.is_market:
            check_market(self)
        else:
            check_learning(self)
        check_trust(self)
        check_ratings(self)
        check_secure(self)

    @property
    def is_market(self) -> bool:
        """Return whether this is a market of devices and users, not a model of clinics."""
        return self.dataset == "carrada" and self.task == "twin"

    @property
    def is_learning(self) -> bool:
        """Return whether this is a model of CARRADA's object classes."""
        return self.dataset == "carrada" and self.task == "learn"

    @property
    def hinges(self) -> int:
        """Return K, how many hinges each record has: one for every class beyond two."""
        return len(LEARNT) if self.is_learning else 1

    @property
    def secure(self) -> bool:
        """Return whether the server sees sums of uploads only."""
        return is_secure(self)

    @property
    def rates_slices(self) -> bool:
        """Return whether clinics rate the model, so that Algorithm 1 finds whom to blame."""
        return not self.is_market and self.selection != "none" and self.detector == "algorithm1"

    @property
    def rates_publicly(self) -> bool:
        """Return whether clinics rate on records set aside from training."""
        return self.rates_slices and self.ratings == "public"

    @property
    def rates_privately(self) -> bool:
        """Return whether clinics rate by noised counts of their own records."""
        return self.rates_slices and self.ratings == "noised"

    @property
    def releases(self) -> int:
        """Return how many uploads of a clinic its epsilon is spread over, at most T."""
        return min(self.uploads or self.rounds, self.rounds)

    @property
    def nodes(self) -> int:
        """Return how many Flower nodes take part: clinics, or devices and users."""
        return self.clients + self.users if self.is_market else self.clients

    def for_nodes(self, nodes: int) -> Self:
        """Return the settings of a run among ``nodes`` nodes; users keep their number.

        Raises
        ------
        SettingsError
            When a market has no device among so few nodes.
        """
        if nodes == self.nodes:
            return self
        clients = nodes - self.users if self.is_market else nodes
        if clients < 1:
            raise SettingsError(
                f"{nodes} nodes are no market of {self.users} users: lower --users or add nodes"
            )
        return self.changed(clients=clients)


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
        value = _as_float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise SettingsError(
            f"{name} must be {_kind_name(kind)}, got {value!r} ({type(value).__name__})"
        )
    meta = item.metadata
    own = meta["importable"] and is_import_path(value)
    if meta["choices"] and value not in meta["choices"] and not own:
        hint = nearest(str(value), meta["choices"])
        raise SettingsError(f"{name}: unknown value {value!r}{hint}")
    if isinstance(value, float) and not isfinite(value):
        raise SettingsError(f"{name} must be a finite number, got {value}")
    if meta["above"] is not None and value <= meta["above"]:
        raise SettingsError(f"{name} must be above {meta['above']:g}, got {value:g}")
    if meta["minimum"] is not None and value < meta["minimum"]:
        raise SettingsError(f"{name} must be at least {meta['minimum']:g}, got {value}")
    if meta["maximum"] is not None and value > meta["maximum"]:
        raise SettingsError(f"{name} must be at most {meta['maximum']:.16g}, got {value}")
    if meta["below"] is not None and value >= meta["below"]:
        raise SettingsError(f"{name} must be below {meta['below']:g}, got {value:g}")
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _kind_name(kind: type) -> str:
    return {int: "a whole number", float: "a number", str: "text"}.get(kind, kind.__name__)
