"""``simulate --checkpoint`` and ``--resume``: where rounds are kept, and what goes on there."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from federation.flags import UsageError, given, settings_from
from server.state.keeper import NOTHING_KEPT, Keeper
from strategies.settings import Settings

if TYPE_CHECKING:
    from server.state.store import StateStore

CHECKPOINT_FILE = "checkpoint.db"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--checkpoint`` and ``--resume``."""
    group = parser.add_argument_group("durability")
    group.add_argument(
        "--checkpoint",
        nargs="?",
        const="",
        metavar="DB",
        help=f"keep every round in a file or SQLAlchemy URL (default {CHECKPOINT_FILE} in --out)",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that was kept there; other settings or code are refused",
    )


def settings_to_run(options: argparse.Namespace) -> Settings:
    """Return the settings that flags name; of a run that is resumed its own, with those flags.

    Whether they still are the run's own is seen when it is looked up (:func:`keeper_from`).

    Raises
    ------
    UsageError, StateError
        When there is nothing to resume.
    """
    if not options.resume:
        return settings_from(options)
    place = _place_to_resume(options)
    if any(getattr(options, name) is not None for name in ("strategy", "preset", "config")):
        return settings_from(options)
    from server.state.store import StateStore

    store = StateStore(place)
    try:
        found = store.newest()
    finally:
        store.close()
    if found is None:
        raise UsageError(f"--resume: {store.place} has no run; start one with --checkpoint")
    known = dict(found.identity["settings"])
    named = given(options)
    if known.get("ledger", "").endswith("://...") and "ledger" not in named:
        raise UsageError("--resume: name the run's --ledger URL again, it is kept nowhere")
    return Settings.from_mapping(known | named, "--resume")


def keeper_from(options: argparse.Namespace, settings: Settings, out: Path) -> Keeper:
    """Return who keeps the rounds of a run; opens the database, so call it last before the run.

    Raises
    ------
    UsageError, StateError
        When the database cannot be used, or has no such run to resume.
    """
    if options.checkpoint is None and not options.resume:
        return NOTHING_KEPT
    if settings.backend != "inprocess":
        raise UsageError(
            f"--checkpoint keeps runs of --backend inprocess, not {settings.backend}, whose "
            "clients' memory it cannot reach: leave one out"
        )
    from server.fingerprint import identity_of
    from server.state.run_keeper import continued_run, new_run

    if options.resume:
        return continued_run(_store(_place_to_resume(options)), identity_of(settings))
    if not options.checkpoint:
        out.mkdir(parents=True, exist_ok=True)
    place = options.checkpoint or str(out / CHECKPOINT_FILE)
    return new_run(_store(place), identity_of(settings))


def _store(place: str) -> "StateStore":
    from server.state.store import StateStore

    return StateStore(place)


def _place_to_resume(options: argparse.Namespace) -> str:
    if options.checkpoint:
        place = str(options.checkpoint)
    elif options.out:
        place = str(Path(options.out) / CHECKPOINT_FILE)
    else:
        raise UsageError("--resume needs the --out or the --checkpoint of the run to go on with")
    if "://" not in place and not Path(place).expanduser().is_file():
        raise UsageError(f"--resume: {place} is not there; start a run with --checkpoint")
    return place
