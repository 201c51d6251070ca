"""A finished run as rows of the tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.details import Detail, kinds_of

DONE, INTERRUPTED, FAILED = "done", "interrupted", "failed"
Row = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """One run as it is recorded.

    Parameters
    ----------
    key : str
        Fingerprint (:func:`federation.fingerprint.key_of`).
    command, status : str
        What ran it, and how it ended.
    settings, versions : mapping
        As shown: without passwords.
    started : str
        UTC, ISO 8601.
    seconds : float
        Wall time.
    entry : mapping
        Its element of ``runs`` in result.json.
    details : sequence of mapping
        What layers did, round by round (:mod:`federation.details`).
    """

    key: str
    command: str
    status: str
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]
    started: str
    seconds: float
    entry: Mapping[str, Any]
    details: Sequence[Detail] = field(default=())


def run_row(run: Finished) -> Row:
    """Return the row of ``runs``; the rounds leave their place in the entry behind."""
    cell, settings = run.entry["cell"], run.settings
    final = run.entry.get("final") or {}
    return {
        "key": run.key,
        "command": run.command,
        "status": run.status,
        "dataset": settings["dataset"],
        "strategy": run.entry["strategy"],
        "attack": cell.get("attack"),
        "epsilon": cell.get("epsilon"),
        "seed": run.entry["seed"],
        "started": run.started,
        "seconds": run.seconds,
        "accuracy": final.get("accuracy"),
        "cell": dict(cell),
        "settings": dict(settings),
        "versions": dict(run.versions),
        "entry": {key: None if key == "rounds" else value for key, value in run.entry.items()},
    }


def detail_rows(run: Finished) -> dict[str, list[Row]]:
    """Return ``{table: rows}`` of all other tables, without the number of the run."""
    found: dict[str, list[Row]] = {
        "rounds": [_round_row(record) for record in run.entry.get("rounds") or []],
        "participants": [
            {"participant": name, "kind": kind, "attacker": attacks}
            for name, (kind, attacks) in kinds_of(run.entry).items()
        ],
        "privacy_spent": list(_privacy_rows(run.entry.get("privacy") or {})),
    }
    for detail in run.details:
        for table, rows in _of_round(detail).items():
            found.setdefault(table, []).extend({"round": detail["round"], **row} for row in rows)
    return found


def _round_row(record: Mapping[str, Any]) -> Row:
    columns = ("accuracy", "loss", "sensitivity", "specificity", "auc", "replies", "seconds")
    unused = record.get("verdicts")
    return {
        "round": record["round"],
        **{name: record.get(name) for name in columns},
        "unused": None if unused is None else len(unused),
        "record": dict(record),
    }


def _of_round(detail: Detail) -> dict[str, list[Row]]:
    promised, delivered = detail.get("promised", {}), detail.get("delivered", [])
    trusted = detail.get("trusted")
    winners = dict.fromkeys([*promised, *delivered]) if "promised" in detail else {}
    return {
        "offers": [
            {"participant": name, "price": price, "value": value, "channels": channels}
            for name, (price, value, channels) in detail.get("offers", {}).items()
        ],
        "awards": [
            {
                "participant": name,
                "promised": promised.get(name),
                "delivered": name in delivered,
            }
            for name in winners
        ],
        "payments": [
            {"participant": name, "amount": amount}
            for name, amount in detail.get("paid", {}).items()
        ],
        "ratings": [
            {"participant": name, "visited": visited, "complained": complained}
            for name, (visited, complained) in detail.get("ratings", {}).items()
        ],
        "reputations": [
            {
                "participant": name,
                "reputation": reputation,
                "trusted": None if trusted is None else name in trusted,
            }
            for name, reputation in detail.get("reputations", {}).items()
        ],
    }


def _privacy_rows(privacy: Mapping[str, Any]) -> Iterable[Row]:
    seen: set[tuple[str, str, float]] = set()
    for block, delta_name in (
        ("certified_epsilon", "delta"),
        ("certified_epsilon_at_strict_delta", "strict_delta"),
    ):
        for adversary, row in (privacy.get(block) or {}).items():
            for sensitivity, epsilon in row.items():
                address = (adversary, sensitivity, float(privacy[delta_name]))
                if address in seen:
                    continue  # the asked-for delta is the strict one
                seen.add(address)
                yield {
                    "adversary": adversary,
                    "sensitivity": sensitivity,
                    "delta": address[2],
                    "unit": privacy["unit"],
                    "epsilon": epsilon,
                }
