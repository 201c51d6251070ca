"""Small markets within the test process, with peers that misbehave on purpose."""

from collections.abc import Callable, Mapping
from typing import Any

from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict

from server.market import MarketOutcome, run_market
from strategies.market_presets import compose_market
from strategies.settings import Settings
from tests.peers import Peers, Tampering, grid_of

Change = Callable[[dict[str, Any]], dict[str, Any]]


def market_settings(strategy: str = "reputation", /, **changes: Any) -> Settings:
    """Return a small market: nine devices, six users, two episodes of fifteen rounds."""
    small = {
        "clients": 9,
        "users": 6,
        "channels": 9,
        "rounds": 30,
        "episode_length": 15,
        "cover": 0.5,
        "z": 0.72,
        "seed": 5,
    }
    return compose_market(strategy, {**small, **changes})


def trade(
    settings: Settings, tampering: Mapping[int, Tampering] | None = None, kind: str = "train"
) -> MarketOutcome:
    """Run a market in which the named partitions tamper with one kind of their replies."""
    return run_market(grid_of(settings, Peers(tampering or {}, kind)), settings)


def offering(**entries: Any) -> Tampering:
    """Return a tampering that changes entries of an offer or a rating."""

    def tamper(reply: Message) -> Message:
        record = next(r for r in reply.content.values() if isinstance(r, MetricRecord))
        for name, value in entries.items():
            record[name] = value
        return reply

    return tamper


def delivering(**entries: Any) -> Tampering:
    """Return a tampering that changes entries of a delivery."""

    def tamper(reply: Message) -> Message:
        record = next(r for r in reply.content.values() if isinstance(r, ConfigRecord))
        for name, value in entries.items():
            record[name] = value(record[name]) if callable(value) else value
        return reply

    return tamper


def answering(content: RecordDict) -> Tampering:
    """Return a tampering that answers something else altogether."""

    def tamper(reply: Message) -> Message:
        reply.content = content
        return reply

    return tamper
