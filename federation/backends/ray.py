"""The Ray backend: Flower's own simulation runtime, for many cores and Ray clusters.

``run_simulation`` hands clients no run config, so the client app carries it along. Flower
marks the function as deprecated in favour of ``flwr run``, which starts a SuperLink of its
own and reports a failed run as a success; the pin ``flwr<1.42`` keeps what is used here.
"""

import logging
import os
from collections.abc import Mapping

from flwr.app import Context, Message

from federation.backends.inprocess import ConfigValue, run_config
from server.app import make_app
from server.errors import RunFailed
from server.federation import FederatedRun
from server.loop import OnRound
from server.market import MarketOutcome
from strategies.settings import Settings


class ConfiguredClientApp:
    """The project's ClientApp with the run config that Flower would have read from a bundle.

    Parameters
    ----------
    config : mapping
        The run config of every node.
    """

    def __init__(self, config: Mapping[str, ConfigValue]) -> None:
        self.config = dict(config)

    def __call__(self, message: Message, context: Context) -> Message:
        """Run the ClientApp in a context that has the run config and the node's own state."""
        from clients.app import app

        configured = Context(
            run_id=context.run_id,
            node_id=context.node_id,
            node_config=context.node_config,
            state=context.state,
            run_config=self.config,
        )
        return app(message, configured)


def run_on_ray(settings: Settings, on_round: OnRound) -> FederatedRun | MarketOutcome:
    """Run one federation on Flower's simulation runtime, one CPU for each client call.

    Raises
    ------
    RunFailed
        When Ray or the run fails.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    from flwr.simulation import run_simulation

    finished: list[FederatedRun | MarketOutcome] = []
    config = run_config(settings)
    try:
        run_simulation(
            server_app=make_app(on_round, finished.append, settings),
            client_app=ConfiguredClientApp(config),  # type: ignore[arg-type]  # any callable will do
            num_supernodes=settings.nodes,
            backend_config={
                "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
                "init_args": {"logging_level": logging.ERROR, "log_to_driver": False},
            },
        )
    except RuntimeError as fault:
        raise RunFailed(f"Flower's simulation failed: {fault}") from fault
    if not finished:
        raise RunFailed("Flower's simulation ended without a result")
    return finished[0]
