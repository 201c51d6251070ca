"""What every client handler shares: its settings, its place, and how it says no."""

from functools import lru_cache
from typing import TypeVar, cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict

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
        recent = (config, len(config), _settings(tuple(config.items()), clients))
        _RECENT[id(config), clients] = recent
    return recent[2]


def noise_of(context: Context, settings: Settings) -> str:
    """Return where this client's noise comes from: ``seeded``, ``system`` or ``discrete``.

    A deployed client never takes noise that the server could repeat, unless its own machine
    allows it (``allow-seeded-noise`` in the node config, for experiments).
    """
    deployed = "data-path" in context.node_config
    if settings.noise == "seeded" and deployed:
        return "seeded" if context.node_config.get("allow-seeded-noise") else "system"
    return settings.noise


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
