"""Rates over the rounds of ``reproduce trust-under-attack``: who is in, who was found, who is out.

Kept beside ``runs.csv`` in a file of their own, so that tables from before it can go on; a run of
such a table has no rounds, and the pictures say of how many runs they are.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from math import nan
from pathlib import Path

from federation.statistics import Summary, summarise
from server.federation import FederatedRun
from server.loop import RoundRecord

METRICS = ("malicious", "found", "honest_out")
Cell = tuple[str, str, str]
Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class RoundRow:
    """What one round of one run gave.

    Attributes
    ----------
    rule, level, attack, seed, round
        The cell, its seed, and the round from 1.
    malicious : float
        Share of attackers in the merge, by weight, of an auction among the winners; NaN in a round
        that merged nothing.
    found, honest_out : float
        Shares of attackers and of honest clinics that are not trusted before the round; NaN where
        everybody takes part, or nobody attacks.
    """

    rule: str
    level: str
    attack: str
    seed: int
    round: int
    malicious: float
    found: float
    honest_out: float


def rounds_of(key: Key, run: FederatedRun) -> list[RoundRow]:
    """Return the rates of every round of a run."""
    hostile, theta = set(run.attackers), run.settings.theta
    return [
        RoundRow(
            *key, record.round, malicious_share(record, hostile), *shut_out(record, hostile, theta)
        )
        for record in run.rounds[1:]
    ]


def malicious_share(record: RoundRecord, hostile: set[str]) -> float:
    """Return the attackers' share of a merge, by weight, of an auction among the winners."""
    weight = _weights(record)
    total = sum(weight.values())
    bad = sum(size for name, size in weight.items() if name in hostile)
    return bad / total if total else nan


def shut_out(record: RoundRecord, hostile: set[str], theta: float) -> tuple[float, float]:
    """Return the shares of attackers and of honest clinics with a reputation below theta."""
    if not record.trust:
        return nan, nan
    reputations = record.trust["reputations"]
    shut = {name for name, value in reputations.items() if value < theta - 1e-9}
    honest = set(reputations) - hostile
    found = len(shut & hostile) / len(hostile) if hostile else nan
    return found, len(shut & honest) / max(len(honest), 1)


def _weights(record: RoundRecord) -> dict[str, float]:
    """Return what each clinic weighed in a round: in an auction every winner alike."""
    if "promised" in record.details:
        return dict.fromkeys(record.details["promised"], 1.0)
    honest = record.details.get("honest", {})
    return {name: size * honest.get(name, 1.0) for name, size in record.sizes.items()}


def append_rounds(rows: Iterable[RoundRow], path: Path) -> None:
    """Add the rounds of a run to the file, which is made if it is not there."""
    new = not path.exists() or not path.stat().st_size
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [item.name for item in fields(RoundRow)])
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_rounds(path: Path, wanted: Iterable[Key]) -> list[RoundRow]:
    """Return the rounds of some runs; of one written twice, after an interrupt, the last."""
    if not path.exists():
        return []
    kept, found = set(wanted), {}
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            key = (line["rule"], line["level"], line["attack"], int(line["seed"]))
            if key in kept:
                number, rates = int(line["round"]), (float(line[name]) for name in METRICS)
                found[*key, number] = RoundRow(*key, number, *rates)
    return list(found.values())


def over_rounds(rows: Iterable[RoundRow]) -> dict[Cell, dict[str, list[Summary]]]:
    """Return mean and interval over seeds of each rate, round by round, by cell and metric."""
    groups: dict[Cell, dict[int, list[RoundRow]]] = {}
    for row in rows:
        by_round = groups.setdefault((row.rule, row.level, row.attack), {})
        by_round.setdefault(row.round, []).append(row)
    return {
        cell: {
            metric: [summarise([getattr(row, metric) for row in each]) for each in _in_order(found)]
            for metric in METRICS
        }
        for cell, found in groups.items()
    }


def _in_order(found: Mapping[int, list[RoundRow]]) -> list[list[RoundRow]]:
    return [found[number] for number in sorted(found)]
