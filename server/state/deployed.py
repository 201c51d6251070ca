"""Who keeps the rounds of a deployed run: the database that the server's environment names."""

import os

from server.errors import RunFailed, StateError
from server.state.keeper import NOTHING_KEPT, Keeper
from strategies.settings import Settings

DATABASE = "FEDERATION_DATABASE"
"""Set in the server's environment, never by a run: a path, or a SQLAlchemy URL."""


def keeper_of_server(settings: Settings, *, resume: bool) -> Keeper:
    """Return the keeper of a run at this server.

    Raises
    ------
    RunFailed
        When its database cannot be used, or has no such run to go on with.
    """
    place = os.environ.get(DATABASE, "").strip()
    if not place:
        if resume:
            raise RunFailed(f"nothing to resume: the server's environment names no {DATABASE}")
        return NOTHING_KEPT
    from server.fingerprint import identity_of
    from server.state.run_keeper import continued_run, new_run
    from server.state.store import StateStore

    try:
        store, identity = StateStore(place), identity_of(settings)
        return continued_run(store, identity) if resume else new_run(store, identity)
    except StateError as fault:
        raise RunFailed(str(fault)) from fault
