"""result.json, rounds.csv and the model: built in memory, then written whole or not at all."""

import csv
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from federation.fingerprint import all_versions
from federation.repeat import Repetition, metrics_in, summary_of
from federation.statistics import summarise
from server.federation import FederatedRun
from server.loop import RoundRecord
from server.model import save_model
from server.report import card_of, cell_of, finite, run_entry
from server.report import floors_of as floors_of
from strategies.settings import Settings

UNFINISHED_ROUNDS = "unfinished-rounds.csv"


class OutputError(ValueError):
    """An ``--out`` that cannot be written to; the message is one line for the user."""


def check_out(path: Path) -> Path:
    """Return ``path`` if a result could be written there; nothing is created yet.

    Raises
    ------
    OutputError
        When it is a file, or cannot be made or written to.
    """
    if path.is_symlink() and not path.exists():
        raise OutputError(f"--out {path}: a symbolic link to nowhere; name a directory")
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not existing.is_dir():
        raise OutputError(f"--out {path}: {existing} is a file, not a directory; name a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"--out {path}: no permission to write in {existing}; name another")
    return path


def baselines_of(repetitions: Sequence[Repetition]) -> dict[str, Any]:
    """Return the baselines: this seed's figures, and their summary over all seeds."""
    first = repetitions[0]
    named = {
        "centralised_svm": (first.centralised, [r.centralised for r in repetitions]),
        "federated_nonprivate": (first.nonprivate, [r.nonprivate for r in repetitions]),
    }
    return {
        name: {key: finite(value) for key, value in own.as_dict().items()}
        | {"summary": summary_of(all_seeds)}
        for name, (own, all_seeds) in named.items()
    }


def result_of(
    settings: Settings,
    runs: Sequence[Mapping[str, Any]],
    summary: Sequence[Mapping[str, Any]],
    baselines: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the dict of result.json."""
    return {
        "settings": settings.shown(),
        "versions": all_versions(),
        "floors": {} if settings.is_market else floors_of(settings),
        "baselines": dict(baselines),
        "runs": list(runs),
        "summary": list(summary),
    }


def summary_of_runs(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Summarise run entries of the same strategy and cell over their seeds."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run["strategy"], run["cell"]]), []).append(run)
    rows = []
    for group in groups.values():
        for metric in (*metrics_in(group[0]["final"]), "seconds"):
            values = [run["final"].get(metric) for run in group]
            known = [float("nan") if value is None else float(value) for value in values]
            rows.append(
                {"strategy": group[0]["strategy"], "cell": group[0]["cell"], "metric": metric}
                | summarise(known).as_dict()
            )
    return rows


def write_result(out: Path, result: Mapping[str, Any], run: FederatedRun | None = None) -> None:
    """Write result.json, rounds.csv and, for a single run, the model with its card."""
    out.mkdir(parents=True, exist_ok=True)
    write_rounds(out, result["runs"])
    if run is not None:
        save_model(out, run.weights, card_of(run))
    write_text(out / "result.json", to_json(result))


def to_json(result: Mapping[str, Any]) -> str:
    """Return result.json's text."""
    return json.dumps(result, indent=1, allow_nan=False) + "\n"


def write_rounds(out: Path, runs: Sequence[Mapping[str, Any]], name: str = "rounds.csv") -> Path:
    """Write one row for each round of each run."""
    rows = [
        {"strategy": run["strategy"], "seed": run["seed"], **run["cell"], **_flat(record)}
        for run in runs
        for record in run["rounds"]
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with tempfile.TemporaryFile("w+", newline="", encoding="utf-8") as buffer:
        writer = csv.DictWriter(buffer, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
        buffer.seek(0)
        write_text(out / name, buffer.read())
    return out / name


def write_interrupted(out: Path, settings: Settings, records: Sequence[RoundRecord]) -> Path:
    """Keep the finished rounds of a run that did not end; it never looks done.

    Under a name of their own: an earlier result in the same directory stays what it was.
    """
    out.mkdir(parents=True, exist_ok=True)
    rounds = [record.as_dict() for record in records]
    named = {"strategy": settings.strategy, "seed": settings.seed, "cell": cell_of(settings)}
    run = {**named, "rounds": rounds}
    return write_rounds(out, [run], UNFINISHED_ROUNDS)


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old text or the new one, never half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(
            handle, "w", encoding="utf-8", errors="backslashreplace", newline=""
        ) as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def single_run_entries(
    run: FederatedRun, repetitions: Sequence[Repetition]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return ``runs`` and ``summary`` of one federated run repeated over seeds."""
    entry = run_entry(run)
    rows = [
        {"strategy": entry["strategy"], "cell": entry["cell"], "metric": metric} | values
        for metric, values in summary_of([r.run for r in repetitions]).items()
    ]
    return [entry], rows


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    verdicts = record.get("verdicts", [])
    return {key: value for key, value in record.items() if key not in ("verdicts", "trust")} | {
        "unused_replies": len(verdicts)
    }
