"""What every client handler shares: its settings, its place, and how it says no."""

from functools import lru_cache
from typing import TypeVar, cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict

from strategies.presets import from_run_config
from strategies.settings import Settings
from strategies.wrappers.protocol import REFUSAL

RecordT = TypeVar("RecordT", ArrayRecord, MetricRecord, ConfigRecord)


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
    """Return the run's settings as this client received them in its run config."""
    return _settings(tuple(context.run_config.items()), clients_of(context))


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
    if clients is not None and clients != settings.clients:
        settings = settings.changed(clients=clients)
    return settings
