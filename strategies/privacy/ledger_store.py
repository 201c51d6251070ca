"""Ledgers and replies on disk, so that a restart neither forgets a cost nor pays it twice.

One database through SQLAlchemy, an SQLite file by default. A clinic's *data* is a name that
stays the same for the same records: costs of all runs on it add up. Charge and reply are
written in one transaction before the reply is sent.
"""

import json

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from strategies.privacy.ledger import Budget, Charge, Key, Ledger

_METADATA = MetaData()
_UPLOADS = Table(
    "privacy_uploads",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("data", String(200), nullable=False, index=True),
    Column("run", String(200), nullable=False),
    Column("round", Integer, nullable=False),
    Column("broadcast", String(128), nullable=False),
    Column("charge", Text, nullable=False),
    Column("reply", LargeBinary, nullable=False),
    UniqueConstraint("data", "run", "round", "broadcast"),
)


class LedgerStore:
    """Ledgers of any number of data sets in one database.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, for instance ``sqlite:///clinic.db``.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        if self._engine.dialect.name == "sqlite":
            # pysqlite begins a transaction at the first write; the check must be inside it too
            event.listen(self._engine, "connect", _manual_transactions)
            event.listen(self._engine, "begin", _begin_immediate)
        _METADATA.create_all(self._engine)

    def load(self, data: str) -> Ledger:
        """Return the ledger of a data set, empty when nothing was charged."""
        with self._engine.connect() as connection:
            return _ledger(connection, data)

    def names(self) -> list[str]:
        """Return the name of every data set that was charged, in order."""
        query = select(_UPLOADS.c.data).distinct().order_by(_UPLOADS.c.data)
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def reply(self, data: str, key: Key) -> bytes | None:
        """Return the reply that was written for this release, None when there is none."""
        with self._engine.connect() as connection:
            return _reply(connection, data, key)

    def record(
        self, data: str, charge: Charge, reply: bytes, budget: Budget | None = None
    ) -> bytes:
        """Charge one upload and keep its reply; return the bytes to send.

        A release that was recorded before keeps its first reply, which is returned instead of
        ``reply``: the new noise must not be sent.

        Raises
        ------
        PrivacyBudgetExhausted
            When the upload would pass the budget; nothing is written then.
        """
        with self._engine.begin() as connection:
            before = _reply(connection, data, charge.key)
            if before is not None:
                return before
            _ledger(connection, data).charged(charge, budget)
            run, round_, broadcast = charge.key
            connection.execute(
                insert(_UPLOADS).values(
                    data=data,
                    run=run,
                    round=round_,
                    broadcast=broadcast,
                    charge=json.dumps(charge.as_dict(), allow_nan=False),
                    reply=reply,
                )
            )
            return reply

    def revise(self, data: str, charge: Charge) -> None:
        """Replace what a recorded release was charged, once more is known of its noise."""
        run, round_, broadcast = charge.key
        text = json.dumps(charge.as_dict(), allow_nan=False)
        with self._engine.begin() as connection:
            connection.execute(
                update(_UPLOADS)
                .where(
                    _UPLOADS.c.data == data,
                    _UPLOADS.c.run == run,
                    _UPLOADS.c.round == round_,
                    _UPLOADS.c.broadcast == broadcast,
                )
                .values(charge=text)
            )

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _ledger(connection: Connection, data: str) -> Ledger:
    query = select(_UPLOADS.c.charge).where(_UPLOADS.c.data == data).order_by(_UPLOADS.c.id)
    return Ledger.from_list(json.loads(text) for text in connection.scalars(query))


def _reply(connection: Connection, data: str, key: Key) -> bytes | None:
    run, round_, broadcast = key
    query = select(_UPLOADS.c.reply).where(
        _UPLOADS.c.data == data,
        _UPLOADS.c.run == run,
        _UPLOADS.c.round == round_,
        _UPLOADS.c.broadcast == broadcast,
    )
    found: bytes | None = connection.scalars(query).first()
    return found


def _manual_transactions(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
