"""A finished run again, from the files that it left in its directory.

``result.json`` has the rounds; ``ledger.jsonl``, where there is one, who was trusted, won, was
paid and delivered what. Without a ledger every clinic whose reply was not refused took part.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flwr.app import MessageType

from datasets.errors import DataError
from datasets.files import read_text
from federation.flags import UsageError
from federation.live.cells import Cells
from federation.live.epsilon import meter_of
from federation.live.feed import FINISHED, Feed
from federation.live.heads import PLAYBACK, head_of_comparison, head_of_run
from federation.live.rows import Tally
from federation.live.stream import Source
from strategies.settings import Settings

MOST_BYTES = 1 << 30
MOST_ROUNDS = 20_000
"""Rounds that are played back in full; of a longer run older ones are thinned."""
MOST_VALUES = 20_000_000
_UNREADABLE = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
_OWN = ("round", "replies", "verdicts", "seconds")


def playback(directory: Path) -> Source:
    """Return what a page shows of the run or the comparison in a directory.

    Raises
    ------
    UsageError
        When there is no result, or not a whole one.
    """
    result = _read(directory / "result.json", directory)
    try:
        runs = result["runs"]
        settings = Settings.from_mapping(
            {k: v for k, v in result["settings"].items() if k in Settings.__dataclass_fields__}
        )
        if len(runs) == 1 and runs[0].get("rounds"):
            return _run(runs[0], settings, result["floors"], _ledger(directory / "ledger.jsonl"))
        if runs:
            return _comparison(result, settings, directory)
    except DataError:
        raise
    except _UNREADABLE as fault:
        raise UsageError(
            f"{directory}/result.json is no result of this program ({type(fault).__name__}: "
            f"{fault}); name the --out of simulate or compare"
        ) from fault
    raise UsageError(f"{directory}/result.json has no runs; name the --out of simulate or compare")


def _run(
    entry: Mapping[str, Any],
    settings: Settings,
    floors: Mapping[str, float],
    ledger: Mapping[int, Mapping[str, Any]],
) -> Source:
    settings = settings.changed(
        seed=entry["seed"], clients=entry["clients"], strategy=entry["strategy"]
    )
    feed = Feed(head_of_run(settings, PLAYBACK, floors), MOST_ROUNDS, MOST_VALUES)
    tally = Tally()
    for record in entry["rounds"]:
        details = ledger.get(record["round"], {})
        metrics = {name: value for name, value in record.items() if name not in _OWN}
        merged, uploaded = _took_part(record, details, settings)
        feed.add(
            tally.row(
                record["round"],
                metrics,
                merged,
                uploaded,
                record["verdicts"],
                record["seconds"],
                details,
            )
        )
    feed.end(FINISHED)
    return Source(feed, meter_of(settings, (entry.get("records") or {}).get("smallest_shard")))


def _comparison(result: Mapping[str, Any], settings: Settings, directory: Path) -> Source:
    runs: Sequence[Mapping[str, Any]] = result["runs"]
    lost = result.get("failed", [])
    planned = [(run["strategy"], run.get("swept", run["cell"])) for run in runs]
    cells = Cells([*planned, *((run["strategy"], run["cell"]) for run in lost)])
    for run in runs:
        cells.finished(run)
    for run in lost:
        cells.failed(run["strategy"], run["cell"])
    feed = Feed(head_of_comparison(settings, len(runs) + len(lost), PLAYBACK))
    feed.end(FINISHED, f"from {directory}")
    return Source(feed, None, cells)


def _took_part(
    record: Mapping[str, Any], details: Mapping[str, Any], settings: Settings
) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    """Return whose upload was used and whose held up, None where that cannot be known.

    Without a ledger everybody was asked, and whoever is in no verdict held up.
    """
    if settings.is_market:
        delivered = details.get("delivered")
        return delivered, delivered
    if details:
        return details.get("merged"), details.get("uploaded")
    if record["round"] == 0:
        return [], []
    unused = {
        verdict["identity"]
        for verdict in record["verdicts"]
        if verdict["message_type"] == MessageType.TRAIN and verdict["kind"] != "unmerged"
    }
    names = [f"partition:{place}" for place in range(settings.clients)]
    if not unused <= set(names):
        return None, None
    uploaded = [name for name in names if name not in unused]
    merged = uploaded if len(uploaded) == record["replies"] else None
    return ([] if not record["replies"] else merged), uploaded


def _ledger(path: Path) -> dict[int, Mapping[str, Any]]:
    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in _text(path).splitlines() if line.strip()]
    return {row["round"]: row for row in rows}


def _read(path: Path, directory: Path) -> dict[str, Any]:
    if not directory.is_dir():
        raise UsageError(f"live {directory}: no such directory; name the --out of a run")
    if not path.is_file():
        raise UsageError(f"live {directory}: no result.json in it; name the --out of a run")
    try:
        found = json.loads(_text(path))
    except DataError:
        raise
    except (ValueError, RecursionError) as fault:
        raise UsageError(f"{path}: half-written or no JSON ({fault}); run it again") from fault
    if not isinstance(found, dict):
        raise UsageError(f"{path}: no result of this program; name the --out of a run")
    return found


def _text(path: Path) -> str:
    return read_text(path, MOST_BYTES)
