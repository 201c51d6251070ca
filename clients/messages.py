"""What every client handler shares: its settings, its place, and how it says no."""

from functools import lru_cache
from typing import TypeVar, cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict

from datasets.errors import DataError
from strategies.presets import from_run_config
from strategies.settings import Settings
from strategies.wrappers.protocol import REFUSAL

RecordT = TypeVar("RecordT", ArrayRecord, MetricRecord, ConfigRecord)


MAX_RECENT = 64
_RECENT: dict[tuple[int, int | None], tuple[object, int, Settings]] = {}


def refuse(message: Message, reason: str) -> Message:
    """Return a reply that declines ``message`` and carries nothing but the reason."""
    return Message(RecordDict({REFUSAL: ConfigRecord({REFUSAL: reason})}), reply_to=message)


def record_of(message: Message, kind: type[RecordT]) -> RecordT:
    """Return the single record of a kind that a message carries.

    Raises
    ------
    ValueError
        When there is none or more than one.
    """
    found = [record for record in message.content.values() if isinstance(record, kind)]
    if len(found) != 1:
        raise ValueError(f"expected one {kind.__name__} in the message, got {len(found)}")
    return found[0]


def round_of(config: ConfigRecord) -> int:
    """Return the server's round that a config names."""
    return int(cast(int, config["server-round"]))


def clinic_settings(context: Context) -> Settings:
    """Return the run's settings as this client received them in its run config.

    Flower forbids a client to change its run config, so the object stands for its contents:
    hashing all of them again in every handler would cost more than the message.
    """
    config, clients = context.run_config, clients_of(context)
    recent = _RECENT.get((id(config), clients))
    if recent is None or recent[0] is not config or recent[1] != len(config):
        if len(_RECENT) >= MAX_RECENT:
            _RECENT.clear()
        of_run = _settings(tuple(config.items()), clients)
        recent = (config, len(config), _with_own_data(of_run, context))
        _RECENT[id(config), clients] = recent
    return recent[2]


def _with_own_data(settings: Settings, context: Context) -> Settings:
    """Return a run's settings as a deployed client may use them.

    It reads what its own machine names (``data-path``) or the public data that every copy of this
    project holds, and never a path of its machine that a server names.

    Raises
    ------
    datasets.errors.DataError
        When the run is about other data and this client has none of its own.
    """
    if not is_deployed(context):
        return settings
    own = context.node_config.get("data-path")
    if own is None and (settings.data or settings.schema):
        raise DataError(
            "this client reads no file that a server names: start it with --data and its own file"
        )
    if settings.is_market and settings.market == "payload":
        return settings.changed(data="" if own is None else str(own))
    return settings


def noise_of(context: Context, settings: Settings) -> str:
    """Return where this client's noise comes from: ``seeded``, ``system`` or ``discrete``.

    A deployed client never takes noise that the server could repeat, unless its own machine
    allows it (``allow-seeded-noise`` in the node config, for experiments).
    """
    if settings.noise == "seeded" and is_deployed(context):
        return "seeded" if context.node_config.get("allow-seeded-noise") else "system"
    return settings.noise


def is_deployed(context: Context) -> bool:
    """Return whether this client is a machine of its own, not a simulated one.

    Whoever launches a SuperNode for real says so in its node config (``deployed``, or a
    ``data-path`` of its own), as ``./run_federation.sh client`` does.
    """
    return bool(context.node_config.get("deployed")) or "data-path" in context.node_config


def clients_of(context: Context) -> int | None:
    """Return among how many clients the data is cut, None when the launcher did not say."""
    count = context.node_config.get("num-partitions")
    return None if count is None else int(cast(int, count))


def partition_of(context: Context) -> int:
    """Return the number of this client among the partitions, from 0."""
    return int(cast(int, context.node_config.get("partition-id", 0)))


@lru_cache(maxsize=32)
def _settings(items: tuple[tuple[str, object], ...], clients: int | None) -> Settings:
    settings = from_run_config(dict(items))
    return settings if clients is None else settings.for_nodes(clients)
