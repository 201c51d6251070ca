"""The ServerApp: what ``flwr run`` and every backend of ours start.

``flwr run .`` has no command line of ours around it, so the app itself says what came out,
and, with ``--run-config "out='/some/directory'"``, leaves model and rounds there.
"""

import json
from collections.abc import Callable
from logging import INFO
from pathlib import Path

from flwr.app import ConfigRecord, Context
from flwr.common.logger import log
from flwr.serverapp import Grid, ServerApp

from server.federation import FederatedRun, run_federation
from server.loop import OnRound, RoundRecord
from server.model import save_model
from server.report import card_of, run_entry
from strategies.presets import from_run_config
from strategies.settings import Settings

Sink = Callable[[FederatedRun], None]


def make_app(
    on_round: OnRound | None = None, sink: Sink | None = None, settings: Settings | None = None
) -> ServerApp:
    """Return a ServerApp that reports rounds and its result to the caller's functions.

    Parameters
    ----------
    on_round : callable, optional
        Told of every round; the default logs it.
    sink : callable, optional
        Receives the finished run; the default logs and saves it.
    settings : Settings, optional
        Used instead of the run config where the backend passes none on.
    """
    application = ServerApp()

    @application.main()
    def main(grid: Grid, context: Context) -> None:
        """Run one federation with the settings of the run config."""
        chosen = settings or from_run_config(context.run_config)
        run = run_federation(grid, chosen, on_round or _log_round)
        if sink is None:
            _report(run, str(context.run_config.get("out", "")))
        else:
            sink(run)
        context.state["result"] = ConfigRecord({"json": json.dumps(run_entry(run)["final"])})

    return application


def _log_round(record: RoundRecord) -> None:
    accuracy, loss = record.metrics["accuracy"], record.metrics["loss"]
    log(INFO, "round %d: accuracy %.3f, loss %.4f", record.round, accuracy, loss)


def _report(run: FederatedRun, out: str) -> None:
    final = run.final
    log(
        INFO,
        "held-out accuracy %.3f, sensitivity %.3f, specificity %.3f after %d rounds",
        final["accuracy"],
        final["sensitivity"],
        final["specificity"],
        run.settings.rounds,
    )
    if not out:
        log(INFO, "nothing saved: name a directory with --run-config \"out='/path'\"")
        return
    directory = Path(out).expanduser().resolve()
    directory.mkdir(parents=True, exist_ok=True)
    save_model(directory, run.weights, card_of(run))
    (directory / "run.json").write_text(json.dumps(run_entry(run), indent=2) + "\n")
    log(INFO, "model and rounds saved in %s", directory)


app = make_app()
