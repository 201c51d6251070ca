"""``runs show --ledger``: what each clinic has spent in all, over every run on its data."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from federation.flags import UsageError
from strategies.privacy.ledger import Ledger

DELTA = 1e-5


def show(options: argparse.Namespace) -> int:
    """Print uploads, runs and certified eps of every data set in a ledger."""
    from clients.ledger_mod import ledger_url
    from strategies.privacy.ledger_store import LedgerStore

    if "://" not in options.ledger and not Path(options.ledger).expanduser().is_file():
        raise UsageError(f"--ledger {options.ledger}: no such file; name the ledger of a run")
    if not 0 < options.delta < 1:
        raise UsageError(f"--delta must lie strictly between 0 and 1, got {options.delta}")
    with usable(options.ledger):
        store = LedgerStore(ledger_url(options.ledger))
        rows = [_row(name, store.load(name), options.delta) for name in store.names()]
        store.close()
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    sys.stdout.write(f"epsilon against a curious server at delta {options.delta:g}, in all\n")
    for row in rows:
        sys.stdout.write(
            f"{row['data']}: epsilon {row['epsilon']:.4g} by {row['uploads']} uploads "
            + (f"and {row['ratings']} ratings " if row["ratings"] else "")
            + f"in {row['runs']} runs\n"
        )
    if not rows:
        sys.stdout.write("nothing was charged\n")
    return 0


@contextmanager
def usable(ledger: str) -> Iterator[None]:
    """Turn whatever is wrong with a ledger into one line, without what its URL may hide."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, ImportError, KeyError, TypeError, ValueError) as fault:
        name = ledger.partition("://")[0] + "://..." if "://" in ledger else ledger
        raise UsageError(
            f"--ledger {name}: not a ledger that can be used ({type(fault).__name__}); name a "
            "file of an earlier run, a new file, or a database whose driver is installed"
        ) from fault


def check_ledger(ledger: str) -> None:
    """Open a ledger once, so that a run with a bad one ends before it begins.

    Raises
    ------
    UsageError
        When it cannot be opened or written.
    """
    from clients.ledger_mod import ledger_url
    from strategies.privacy.ledger_store import LedgerStore

    with usable(ledger):
        LedgerStore(ledger_url(ledger)).close()


def _row(name: str, ledger: Ledger, delta: float) -> dict[str, Any]:
    return {
        "data": name,
        "epsilon": ledger.epsilon("server", delta),
        "uploads": ledger.uploads(),
        "ratings": ledger.ratings(),
        "runs": len({charge.run for charge in ledger.charges}),
    }
