"""Runs that lose their process after a round: all that is left of them is a database."""

from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord

from federation.runner import launch
from server.errors import RunFailed
from server.fingerprint import identity_of
from server.loop import RoundRecord
from server.market import MarketOutcome
from server.state.keeper import NOTHING_KEPT, Keeper
from server.state.run_keeper import RunKeeper, continued_run, new_run
from server.state.store import StateStore
from strategies.settings import Settings


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program catches it."""


class Killing:
    """A keeper whose process dies at a round, before or after that round was kept."""

    def __init__(self, keeper: RunKeeper, round_: int, *, before: bool = False) -> None:
        self.keeper, self.round, self.before = keeper, round_, before
        self.prepare, self.resume, self.close = keeper.prepare, keeper.resume, keeper.close
        self.run_name, self.secret = keeper.run_name, keeper.secret

    def keep(self, arrays: ArrayRecord, record: RoundRecord, seconds: float) -> None:
        if not self.before or record.round != self.round:
            self.keeper.keep(arrays, record, seconds)
        if record.round == self.round:
            raise Killed


def killed(settings: Settings, place: Path, round_: int, *, before: bool = False) -> None:
    """Run until the process dies at a round."""
    keeper = Killing(new_run(StateStore(place), identity_of(settings)), round_, before=before)
    try:
        launch(settings, lambda _: None, keeper)
    except Killed:
        return
    raise AssertionError(f"round {round_} never came")


def finish(settings: Settings, keeper: Keeper = NOTHING_KEPT) -> dict[str, Any]:
    """Run to the end and return all that is left but the clock, every float to the last bit."""
    told: list[RoundRecord] = []
    try:
        run = launch(settings, told.append, keeper)
    except RunFailed as fault:
        return {"rounds": _rounds(told), "failed": str(fault)}
    found = {"rounds": _rounds(run.rounds), "told": _rounds(told)}
    if isinstance(run, MarketOutcome):
        return found | {"ledger": run.ledger.text(), "devices": run.devices}
    return found | {"weights": run.weights.tobytes(), "sizes": run.sizes}


def resumed(settings: Settings, place: Path) -> dict[str, Any]:
    """Finish what a database has left of a run."""
    return finish(settings, continued_run(StateStore(place), identity_of(settings)))


def _rounds(records: list[RoundRecord]) -> str:
    rows = [{**record.as_dict(), "seconds": 0, "sizes": record.sizes} for record in records]
    return repr(rows)
