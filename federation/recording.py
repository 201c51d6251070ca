"""A finished run of ``simulate`` or ``submit`` into the results database."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from federation.details import Detail
from federation.outputs import database_of
from server.errors import RunFailed
from strategies.settings import Settings


def check_database(options: argparse.Namespace, out: Path) -> None:
    """Open the database of a run once, so that one with a bad database ends before it begins.

    A file that is not there yet needs no look: the libraries behind it stay unread until the
    run is done.

    Raises
    ------
    DatabaseError
        When it is of a newer schema, damaged, of somebody else or out of reach.
    """
    place = database_of(options, out)
    if isinstance(place, Path) and not place.exists():
        return
    from federation.database.opening import open_database

    open_database(place).dispose()


def record_run(
    options: argparse.Namespace,
    out: Path,
    settings: Settings,
    entry: dict[str, Any],
    details: Sequence[Detail],
    started: str,
    command: str = "simulate",
) -> str:
    """Record one run; return what may be printed of the database's place.

    Raises
    ------
    RunFailed
        When it cannot be written: the files of the run are there nevertheless.
    """
    from federation.database.opening import DatabaseError
    from federation.database.rows import DONE, Finished
    from federation.database.store import ResultsStore
    from federation.fingerprint import all_versions, key_of

    run = Finished(
        key=key_of(settings),
        command=command,
        status=DONE,
        settings=settings.shown(),
        versions=all_versions(),
        started=started,
        seconds=float(entry["final"]["seconds"]),
        entry=entry,
        details=details,
    )
    try:
        with ResultsStore(database_of(options, out)) as store:
            store.record(run)
            return store.shown
    except DatabaseError as fault:
        raise RunFailed(f"the run is done and in {out}, but not recorded: {fault}") from fault
