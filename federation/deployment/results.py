"""A run's result as it came from a server, written as ``simulate`` writes it.

What depends on the server's table (entry, card, floors) was made there; baselines are made here,
where the run was about the shipped public data cut as the settings say.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federation.commands import draw_clinics, draw_run
from federation.console import print_run
from federation.details import Detail, details_of, ledger_text, trace_of
from federation.fingerprint import all_versions
from federation.market_runs import summary_of_markets
from federation.outputs import fresh
from federation.repeat import Repetition, of_run
from federation.report.page import write_report
from federation.results import baselines_of, summary_of_runs, to_json, write_rounds, write_text
from server.federation import FederatedRun
from server.frames import run_from_value
from server.model import save_model, weights_sha256
from strategies.learning.task import federation_of
from strategies.settings import Settings


@dataclass(frozen=True)
class Written:
    """What was written, what the results database takes, and how to print it.

    Parameters
    ----------
    result : dict
        result.json.
    paths : dict
        The files by what they are called in the terminal.
    settings : Settings
        Of the run.
    details : sequence of mapping
        What layers did, round by round.
    show : callable
        Prints result and paths.
    """

    result: dict[str, Any]
    paths: dict[str, Any]
    settings: Settings
    details: Sequence[Detail]
    show: Callable[[Mapping[str, Any], Mapping[str, Any]], None]


def write_model(out: Path, value: Mapping[str, Any], command: str) -> Written:
    """Write result.json, rounds.csv, the page, the model and its pictures."""
    run = run_from_value(value)
    entry = dict(value["entry"])
    entry["final"] = {**entry["final"], "weights_sha256": weights_sha256(run.weights)}
    details = details_of(run.rounds)
    if details:
        entry["trace"] = trace_of(details, entry)
    repetitions = _with_baselines(run)
    result: dict[str, Any] = {
        "settings": run.settings.shown(),
        "versions": _versions(value),
        "floors": dict(value["floors"]),
        "baselines": baselines_of(repetitions) if repetitions else {},
        "runs": [entry],
        "summary": summary_of_runs([entry]),
        "command": command,
    }
    fresh(out)
    paths = {"result": out / "result.json", "rounds": write_rounds(out, [entry])}
    paths["picture"] = draw_run(out, result, run.settings, run.rounds, repetitions)
    paths |= draw_clinics(out, result)
    paths["report"] = write_report(out, result)
    paths["model"] = out / "model.npz"
    if ledger := ledger_text(run.rounds):
        write_text(out / "ledger.jsonl", ledger)
    save_model(out, run.weights, value["card"])
    write_text(paths["result"], to_json(result))
    return Written(result, paths, run.settings, details, print_run)


def write_market(out: Path, value: Mapping[str, Any], command: str) -> Written:
    """Write a market's result, page, ledger and picture."""
    from federation.market_console import print_market
    from federation.market_figures import draw_market

    text = str(value["ledger"])
    details = [json.loads(line) for line in text.splitlines()]
    entry = dict(value["entry"])
    entry["trace"] = trace_of(details, entry)
    settings = Settings.from_mapping(value["settings"], "result")
    result: dict[str, Any] = {
        "settings": settings.as_dict(),
        "versions": {**all_versions(), "server": value["versions"]},
        "floors": {},
        "baselines": {},
        "runs": [entry],
        "summary": summary_of_markets([entry]),
        "command": command,
    }
    fresh(out)
    paths = {"result": out / "result.json", "ledger": out / "ledger.jsonl"}
    paths["rounds"] = write_rounds(out, [entry])
    write_text(paths["ledger"], text)
    paths["picture"] = draw_market(entry | {"settings": result["settings"]}, details, out)
    paths["report"] = write_report(out, result)
    write_text(paths["result"], to_json(result))
    return Written(result, paths, settings, details, print_market)


def _versions(value: Mapping[str, Any]) -> dict[str, str]:
    """Return this machine's versions, and the server's where they differ."""
    ours = all_versions()
    theirs = {str(name): str(version) for name, version in value["versions"].items()}
    return ours | {f"server {n}": v for n, v in theirs.items() if ours.get(n) != v}


def _with_baselines(run: FederatedRun) -> list[Repetition]:
    """Return the run beside its baselines, nothing where the clinics' records are not known."""
    if run.settings.data or federation_of(run.settings).sizes != run.sizes:
        return []
    return [of_run(run)]
