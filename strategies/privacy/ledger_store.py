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
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from strategies.database import open_engine, reading
from strategies.privacy.ledger import Budget, Charge, Key, Ledger

KEPT_REPLIES = 256
"""Replies of a data set that can be sent again; a round asked again later is refused."""
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
        # What was charged must be known after a power cut too, for the reply may have left.
        self._engine = open_engine(url, every_commit=True)
        _METADATA.create_all(self._engine)

    def load(self, data: str) -> Ledger:
        """Return the ledger of a data set, empty when nothing was charged."""
        with reading(self._engine) as connection:
            return _ledger(connection, data)

    def names(self) -> list[str]:
        """Return the name of every data set that was charged, in order."""
        query = select(_UPLOADS.c.data).distinct().order_by(_UPLOADS.c.data)
        with reading(self._engine) as connection:
            return list(connection.scalars(query))

    def reply(self, data: str, key: Key) -> bytes | None:
        """Return the reply that was written for this release, None when there is none.

        Empty when there was one and it is no longer kept.
        """
        with reading(self._engine) as connection:
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
            _forget_old_replies(connection, data)
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


def _forget_old_replies(connection: Connection, data: str) -> None:
    """Keep the latest replies only; what they cost is kept for ever."""
    kept = (
        select(_UPLOADS.c.id)
        .where(_UPLOADS.c.data == data)
        .order_by(_UPLOADS.c.id.desc())
        .offset(KEPT_REPLIES)
        .limit(1)
    )
    oldest = connection.scalars(kept).first()
    if oldest is not None:
        old = (_UPLOADS.c.data == data) & (_UPLOADS.c.id <= oldest)
        connection.execute(update(_UPLOADS).where(old).values(reply=b""))


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
