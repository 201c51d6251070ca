"""``simulate --checkpoint`` and ``--resume``: rounds kept in the run's database."""

import argparse
from pathlib import Path

from federation.flags import UsageError, given, settings_from
from federation.outputs import database_of
from server.state.keeper import NOTHING_KEPT, Keeper
from strategies.settings import Settings


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--checkpoint`` and ``--resume``."""
    group = parser.add_argument_group("durability")
    group.add_argument(
        "--checkpoint",
        action="store_true",
        help="keep every round in the database, so that the run survives being killed",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with the newest run kept there; other settings, data or code are refused",
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
    known, named = dict(found.identity["settings"]), given(options)
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
    if not options.checkpoint and not options.resume:
        return NOTHING_KEPT
    if settings.backend != "inprocess":
        raise UsageError(
            f"--checkpoint keeps runs of --backend inprocess, not {settings.backend}, whose "
            "clients' memory it cannot reach: leave one out"
        )
    from server.fingerprint import identity_of
    from server.state.run_keeper import continued_run, new_run
    from server.state.store import StateStore

    if options.resume:
        return continued_run(StateStore(_place_to_resume(options)), identity_of(settings))
    place = database_of(options, out)
    if isinstance(place, Path):
        place.parent.mkdir(parents=True, exist_ok=True)
    return new_run(StateStore(place), identity_of(settings))


def _place_to_resume(options: argparse.Namespace) -> str | Path:
    nowhere = Path("nowhere")
    place = database_of(options, Path(options.out) if options.out else nowhere)
    if isinstance(place, Path) and place.parent == nowhere:
        raise UsageError("--resume needs the --out or the --database of the run to go on with")
    if "://" not in str(place) and not Path(place).expanduser().is_file():
        raise UsageError(f"--resume: {place} is not there; start a run with --checkpoint")
    return place
