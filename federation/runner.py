"""Run one federation on the backend its settings name."""

import gc
import logging

from flwr.app import Context, RecordDict

from clients.app import app as client_app
from federation.backends.inprocess import RUN_ID, InProcessGrid, run_config, simulated_nodes
from server.app import make_app
from server.federation import FederatedRun
from server.loop import OnRound
from server.market import MarketOutcome
from server.state.keeper import NOTHING_KEPT, Keeper
from strategies.settings import Settings, SettingsError


def run_one(
    settings: Settings, on_round: OnRound = lambda _: None, keeper: Keeper = NOTHING_KEPT
) -> FederatedRun:
    """Run one federation of clinics and return what it left behind.

    Parameters
    ----------
    settings : Settings
        What to run and where.
    on_round : callable
        Told of every round as it ends, round 0 first.
    keeper : Keeper
        Keeps every round; Ray's clients are out of its reach.

    Raises
    ------
    RunFailed
        When the run could not be carried through.
    """
    run = launch(settings, on_round, keeper)
    if not isinstance(run, FederatedRun):
        raise SettingsError(
            "a market trains no model: this command needs bcwd, or carrada with --task learn"
        )
    return run


def run_market_one(
    settings: Settings, on_round: OnRound = lambda _: None, keeper: Keeper = NOTHING_KEPT
) -> MarketOutcome:
    """Run one market of devices and users; parameters and errors as for :func:`run_one`."""
    run = launch(settings, on_round, keeper)
    if not isinstance(run, MarketOutcome):
        raise SettingsError("--dataset bcwd is no market: this command needs carrada")
    return run


def launch(
    settings: Settings, on_round: OnRound, keeper: Keeper = NOTHING_KEPT
) -> FederatedRun | MarketOutcome:
    """Run whatever the settings name, on the backend they name."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    if settings.backend == "ray":
        from federation.backends.ray import run_on_ray

        return run_on_ray(settings, on_round)
    gc.freeze()  # Flower's Bulyan and median collect garbage every round: spare them our imports
    finished: list[FederatedRun | MarketOutcome] = []
    grid = InProcessGrid(client_app, simulated_nodes(settings), run_config(settings))
    context = Context(RUN_ID, 1, {}, RecordDict(), run_config(settings))
    make_app(on_round, finished.append, keeper=keeper)(grid, context)
    return finished[0]
