"""Run one federation on the backend its settings name."""

import gc
import logging

from flwr.app import Context, RecordDict

from clients.app import app as client_app
from federation.backends.inprocess import RUN_ID, InProcessGrid, run_config, simulated_nodes
from server.app import make_app
from server.federation import FederatedRun
from server.loop import OnRound
from strategies.settings import Settings


def run_one(settings: Settings, on_round: OnRound = lambda _: None) -> FederatedRun:
    """Run one federation and return what it left behind.

    Parameters
    ----------
    settings : Settings
        What to run and where.
    on_round : callable
        Told of every round as it ends, round 0 first.

    Raises
    ------
    RunFailed
        When the run could not be carried through.
    """
    logging.getLogger("flwr").setLevel(logging.ERROR)
    if settings.backend == "ray":
        from federation.backends.ray import run_on_ray

        return run_on_ray(settings, on_round)
    gc.freeze()  # Flower's Bulyan and median collect garbage every round: spare them our imports
    finished: list[FederatedRun] = []
    grid = InProcessGrid(client_app, simulated_nodes(settings), run_config(settings))
    context = Context(RUN_ID, 1, {}, RecordDict(), run_config(settings))
    make_app(on_round, finished.append)(grid, context)
    return finished[0]
