"""The ServerApp: what ``flwr run`` and every backend of ours start.

``flwr run .`` has no command line of ours around it, so the app itself says what came out,
and, with ``--run-config "out='/some/directory'"``, leaves model and rounds there.
"""

import json
import os
from collections.abc import Callable
from logging import INFO
from pathlib import Path
from typing import Any

from flwr.app import ConfigRecord, Context
from flwr.common.logger import log
from flwr.serverapp import Grid, ServerApp

from server.federation import FederatedRun, run_federation
from server.frames import emit_result, emit_round
from server.loop import OnRound, RoundRecord
from server.market import MarketOutcome, run_market
from server.market_report import market_entry
from server.model import save_model
from server.orphan import end_with_parent
from server.prompt_grid import PromptGrid
from server.report import card_of, run_entry
from server.state.deployed import keeper_of_server
from server.state.keeper import NOTHING_KEPT, Keeper
from strategies.presets import from_run_config
from strategies.settings import Settings

DEPLOYED = "FEDERATION_DEPLOYED"
"""Set in the environment of a server app that ``./run_federation.sh server`` runs."""

Sink = Callable[[FederatedRun | MarketOutcome], None]


def make_app(
    on_round: OnRound | None = None,
    sink: Sink | None = None,
    settings: Settings | None = None,
    keeper: Keeper = NOTHING_KEPT,
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
    keeper : Keeper
        Keeps every round of the run.
    """
    application = ServerApp()

    @application.main()
    def main(grid: Grid, context: Context) -> None:
        """Run one federation with the settings of the run config."""
        nonlocal keeper
        chosen = settings or from_run_config(context.run_config)
        deployed = sink is None and os.environ.get(DEPLOYED) == "1"
        if deployed:
            end_with_parent()
            keeper = keeper_of_server(chosen, resume=bool(context.run_config.get("resume")))
        told = emit_round if deployed else on_round
        if sink is None:
            grid = PromptGrid(grid)
        run: FederatedRun | MarketOutcome
        if chosen.is_market:
            told = told or _log_market_round
            run = run_market(grid, chosen, told, deployed=deployed, keeper=keeper)
        else:
            told = told or _log_round
            run = run_federation(grid, chosen, told, deployed=deployed, keeper=keeper)
        if deployed:
            emit_result(run)
        elif sink is None:
            _report(run, str(context.run_config.get("out", "")))
        else:
            sink(run)
        context.state["result"] = ConfigRecord({"json": json.dumps(_entry(run)["final"])})

    return application


def _log_round(record: RoundRecord) -> None:
    accuracy, loss = record.metrics["accuracy"], record.metrics["loss"]
    log(INFO, "round %d: accuracy %.3f, loss %.4f", record.round, accuracy, loss)


def _log_market_round(record: RoundRecord) -> None:
    if record.round:
        winners, paid = record.metrics.get("winners", 0), record.metrics.get("paid", 0)
        log(INFO, "round %d: %d winners, %d micro-credits paid", record.round, winners, paid)


def _entry(run: FederatedRun | MarketOutcome) -> dict[str, Any]:
    return market_entry(run) if isinstance(run, MarketOutcome) else run_entry(run)


def _report(run: FederatedRun | MarketOutcome, out: str) -> None:
    final = _entry(run)["final"]
    figures: tuple[str, ...]
    if isinstance(run, MarketOutcome):
        figures = ("share_type1", "share_type2", "share_type3", "attack_rate", "honest_excluded")
    else:
        figures = ("accuracy", "balanced_accuracy", "macro_f1")
        if not run.settings.is_learning:
            figures = ("accuracy", "sensitivity", "specificity")
    text = ", ".join(f"{name} {final[name]:.3f}" for name in figures)
    log(INFO, "%s after %d rounds", text, run.settings.rounds)
    if not out:
        log(INFO, "nothing saved: name a directory with --run-config \"out='/path'\"")
        return
    directory = Path(out).expanduser().resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if isinstance(run, MarketOutcome):
        (directory / "ledger.jsonl").write_text(run.ledger.text())
    else:
        save_model(directory, run.weights, card_of(run))
    (directory / "run.json").write_text(json.dumps(_entry(run), indent=2) + "\n")
    log(INFO, "results saved in %s", directory)


app = make_app()
