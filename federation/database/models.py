"""The tables of the results database.

Money is whole micro-credits, rates are fractions, times are UTC. Who is named by ``participant``
goes by its lasting name: a clinic's or a device's identity, never Flower's node id.
"""

import json
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Dialect, Double, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

SCHEMA = "0001"
"""The newest migration; a database of another one is brought here, or refused when newer."""
VERSION_TABLE = "federation_schema"


class JsonText(TypeDecorator[Any]):
    """JSON as text: the order of keys and every digit stay as they were, whatever the database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text of a value."""
        del dialect
        return None if value is None else json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the value of a text."""
        del dialect
        return None if value is None else json.loads(value)


class Base(DeclarativeBase):
    """What all tables share."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Double}


def _run() -> Mapped[int]:
    return mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)


def _name() -> Mapped[str]:
    return mapped_column(String(128), primary_key=True)


class Run(Base):
    """One run.

    ``key`` is the fingerprint of all that its numbers depend on; ``entry`` its element of
    result.json without the rounds, which have a table of their own.
    """

    __tablename__ = "runs"
    __table_args__ = (Index("runs_by_key", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64))
    command: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    dataset: Mapped[str] = mapped_column(String(32))
    strategy: Mapped[str] = mapped_column(String(200))
    attack: Mapped[str | None] = mapped_column(String(200))
    epsilon: Mapped[float | None]
    seed: Mapped[int] = mapped_column(BigInteger)
    started: Mapped[str] = mapped_column(String(32))
    seconds: Mapped[float]
    accuracy: Mapped[float | None]
    cell: Mapped[Any] = mapped_column(JsonText)
    settings: Mapped[Any] = mapped_column(JsonText)
    versions: Mapped[Any] = mapped_column(JsonText)
    entry: Mapped[Any] = mapped_column(JsonText)


class Round(Base):
    """One round of a run; ``record`` is all that was measured."""

    __tablename__ = "rounds"

    run_id: Mapped[int] = _run()
    round: Mapped[int] = mapped_column(primary_key=True)
    accuracy: Mapped[float | None]
    loss: Mapped[float | None]
    sensitivity: Mapped[float | None]
    specificity: Mapped[float | None]
    auc: Mapped[float | None]
    replies: Mapped[int | None]
    unused: Mapped[int | None]
    seconds: Mapped[float | None]
    record: Mapped[Any] = mapped_column(JsonText)


class Participant(Base):
    """Who took part; ``kind`` is what the experimenter knows of it, the strategies never."""

    __tablename__ = "participants"

    run_id: Mapped[int] = _run()
    participant: Mapped[str] = _name()
    kind: Mapped[str] = mapped_column(String(64))
    attacker: Mapped[bool]


class Offer(Base):
    """What somebody would sell in a round."""

    __tablename__ = "offers"

    run_id: Mapped[int] = _run()
    round: Mapped[int] = mapped_column(primary_key=True)
    participant: Mapped[str] = _name()
    price: Mapped[int] = mapped_column(BigInteger)
    value: Mapped[int] = mapped_column(BigInteger)
    channels: Mapped[int | None]


class Award(Base):
    """Who won a round: what was promised, and whether it delivered something usable."""

    __tablename__ = "awards"

    run_id: Mapped[int] = _run()
    round: Mapped[int] = mapped_column(primary_key=True)
    participant: Mapped[str] = _name()
    promised: Mapped[int | None] = mapped_column(BigInteger)
    delivered: Mapped[bool]


class Payment(Base):
    """What was paid out after a delivery was examined."""

    __tablename__ = "payments"

    run_id: Mapped[int] = _run()
    round: Mapped[int] = mapped_column(primary_key=True)
    participant: Mapped[str] = _name()
    amount: Mapped[int] = mapped_column(BigInteger)


class Rating(Base):
    """What a user said of a round: the cubes it visited and complained of, as bits."""

    __tablename__ = "ratings"

    run_id: Mapped[int] = _run()
    round: Mapped[int] = mapped_column(primary_key=True)
    participant: Mapped[str] = _name()
    visited: Mapped[int] = mapped_column(BigInteger)
    complained: Mapped[int] = mapped_column(BigInteger)


class Reputation(Base):
    """What somebody's word was worth before a round."""

    __tablename__ = "reputations"

    run_id: Mapped[int] = _run()
    round: Mapped[int] = mapped_column(primary_key=True)
    participant: Mapped[str] = _name()
    reputation: Mapped[float]
    trusted: Mapped[bool | None]


class PrivacySpent(Base):
    """Certified epsilon of a whole run by adversary and sensitivity; none stands for unbounded."""

    __tablename__ = "privacy_spent"

    run_id: Mapped[int] = _run()
    adversary: Mapped[str] = mapped_column(String(32), primary_key=True)
    sensitivity: Mapped[str] = mapped_column(String(32), primary_key=True)
    delta: Mapped[float] = mapped_column(primary_key=True)
    unit: Mapped[str] = mapped_column(String(32))
    epsilon: Mapped[float | None]


TABLES: dict[str, type[Base]] = {
    model.__tablename__: model
    for model in (
        Run,
        Round,
        Participant,
        Offer,
        Award,
        Payment,
        Rating,
        Reputation,
        PrivacySpent,
    )
}
