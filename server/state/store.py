"""Runs and their checkpoints in a database; every write is one transaction, or nothing."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Row

from server.errors import RunFailed, StateError
from server.fingerprint import fingerprint_of
from server.state.accounts import write_charges
from server.state.charges import Charges
from server.state.tables import METADATA, ROUNDS, RUNS, SCHEMA, VERSION
from strategies.database import (
    DATABASE_FAULTS,
    open_engine,
    reading,
    reason_of,
    shown,
    writing,
)


@dataclass(frozen=True)
class RoundRow:
    """One round as it is written.

    Parameters
    ----------
    round : int
        Which.
    state : bytes
        Everything that the next round depends on; replaces that of the round before.
    record : str
        What the round did, JSON.
    journal : bytes
        What was learnt in it, added to that of earlier rounds.
    """

    round: int
    state: bytes
    record: str
    journal: bytes


@dataclass(frozen=True)
class KeptRun:
    """A run that a database has.

    Parameters
    ----------
    run : str
        Its name.
    fingerprint : str
        Hash of ``identity``.
    identity : mapping
        What its numbers depend on.
    secret : bytes
        What its nonces are made from.
    round : int or None
        The last round that was kept; None when not even the untrained model was.
    """

    run: str
    fingerprint: str
    identity: Mapping[str, Any]
    secret: bytes
    round: int | None


class StateStore:
    """Checkpoints of runs in one database.

    Parameters
    ----------
    place : str or Path
        File of SQLite, or any SQLAlchemy URL.
    wait : float, optional
        Longest wait for a lock or a connection, seconds.

    Raises
    ------
    StateError
        When it cannot be opened, or is of a newer version of this program.
    """

    def __init__(self, place: str | Path, wait: float | None = None) -> None:
        self._chains: dict[str, tuple[int, bytes, bytes]] = {}
        with self._usable(place):
            self.place = shown(place)
            self._engine = open_engine(place, wait)
            with writing(self._engine) as connection:
                _prepare(connection, self.place)

    def newest(self, fingerprint: str | None = None) -> KeptRun | None:
        """Return the newest run, or the newest of a fingerprint; None when there is none."""
        query = select(RUNS).order_by(RUNS.c.id.desc()).limit(1)
        if fingerprint is not None:
            query = query.where(RUNS.c.fingerprint == fingerprint)
        with self._usable(self.place), reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else _kept(row, self.place)

    def begin(self, run: KeptRun, owner: str) -> None:
        """Enter a new run, owned by ``owner``."""
        values = {
            "run": run.run,
            "fingerprint": run.fingerprint,
            "identity": json.dumps(run.identity),
            "secret": run.secret,
            "owner": owner,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with self._usable(self.place), writing(self._engine) as connection:
            connection.execute(insert(RUNS).values(values))

    def take_over(self, run: str, owner: str) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Own a run from now on; return its last state, its rounds' records and journals.

        Whoever owned it before cannot keep anything any more: two servers never continue one run.

        Raises
        ------
        StateError
            When its state, or the record of any of its rounds, was damaged.
        """
        with self._usable(self.place), writing(self._engine) as connection:
            connection.execute(update(RUNS).where(RUNS.c.run == run).values(owner=owner))
            row = connection.execute(select(RUNS).where(RUNS.c.run == run)).one()
            query = select(ROUNDS).where(ROUNDS.c.run == run).order_by(ROUNDS.c.round)
            rounds = connection.execute(query).all()
        state, found = row.state or b"", [(r.round, r.record, r.journal) for r in rounds]
        whole = isinstance(state, bytes) and all(map(_is_round, found))
        before, chain = b"", b""
        for one in found if whole else ():
            before, chain = chain, _link(chain, *one)
        last = found[-1][0] if found else None
        if row.round != last or (
            row.round is not None and not (whole and _digest(chain, row.round, state) == row.digest)
        ):
            raise StateError(f"{self.place}: the checkpoint of round {row.round} was damaged")
        self._chains[run] = (-1 if last is None else last, before, chain)
        return state, [(record, journal) for _, record, journal in found]

    def keep(self, run: str, owner: str, row: RoundRow, charges: Charges) -> None:
        """Write one round: its state, record, payments and costs, all of them or none.

        Raises
        ------
        RunFailed
            When it cannot be written, or another process continues this run; what was kept
            before is whole.
        """
        last, before, chain = self._chains.get(run, (-1, b"", b""))
        before = before if last == row.round else chain
        chain = _link(before, row.round, row.record, row.journal)
        digest = _digest(chain, row.round, row.state)
        values = {"round": row.round, "state": row.state, "digest": digest}
        try:
            with writing(self._engine) as connection:
                mine = (RUNS.c.run == run) & (RUNS.c.owner == owner)
                if connection.execute(update(RUNS).where(mine).values(values)).rowcount != 1:
                    raise RunFailed(
                        f"another process continues this run from {self.place}: this one ends"
                    )
                again = (ROUNDS.c.run == run) & (ROUNDS.c.round == row.round)
                connection.execute(delete(ROUNDS).where(again))
                kept = {"round": row.round, "record": row.record, "journal": row.journal}
                connection.execute(insert(ROUNDS).values(run=run, **kept))
                write_charges(connection, run, row.round, charges)
            self._chains[run] = (row.round, before, chain)
        except DATABASE_FAULTS as fault:
            raise RunFailed(
                f"round {row.round} could not be kept in {self.place} ({reason_of(fault)}); the "
                "rounds before it are whole: make room or free the database, then --resume"
            ) from fault

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Return a connection that reads; a fault of the database is a StateError."""
        with self._usable(self.place), reading(self._engine) as connection:
            yield connection

    @staticmethod
    @contextmanager
    def _usable(place: str | Path) -> Iterator[None]:
        try:
            yield
        except (*DATABASE_FAULTS, ValueError) as fault:
            if isinstance(fault, StateError):
                raise
            name = place if isinstance(place, Path) or "://" not in place else "the database"
            raise StateError(
                f"{name} cannot be used for checkpoints ({reason_of(fault)}): name another place"
            ) from fault


def _prepare(connection: Connection, place: str) -> None:
    METADATA.create_all(connection)
    found = connection.execute(select(VERSION.c.version)).scalar()
    if found is None:
        connection.execute(insert(VERSION).values(version=SCHEMA))
    elif found > SCHEMA:
        raise StateError(
            f"{place}: made by a newer version of this program (state {found}, known up to "
            f"{SCHEMA}); update, or name another place"
        )


def _kept(row: Row[Any], place: str) -> KeptRun:
    try:
        identity = json.loads(row.identity)
        whole = isinstance(identity["settings"], dict) and isinstance(row.secret, bytes)
    except (ValueError, TypeError, KeyError, RecursionError):
        whole, identity = False, {}
    if not whole or fingerprint_of(identity) != row.fingerprint:
        raise StateError(f"{place}: what it says of its newest run was damaged")
    return KeptRun(row.run, row.fingerprint, identity, row.secret, row.round)


def _is_round(row: tuple[object, object, object]) -> bool:
    number, record, journal = row
    return isinstance(number, int) and isinstance(record, str) and isinstance(journal, bytes)


def _link(chain: bytes, number: int, record: str, journal: bytes) -> bytes:
    """Return a hash of a run's rounds up to this one: none is altered, left out or put in."""
    parts = (str(number).encode(), record.encode(), journal)
    return sha256(chain + b"".join(sha256(part).digest() for part in parts)).digest()


def _digest(chain: bytes, number: int, state: bytes) -> str:
    return sha256(chain + str(number).encode() + b"|" + state).hexdigest()
