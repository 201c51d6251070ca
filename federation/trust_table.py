"""``reproduce trust-under-attack``: every rule under every attack, by how private updates are.

Each number is a run of the real federation: messages, checked replies, wrappers and ledgers, as
``simulate`` runs it. Finished runs are written as they come, so that an interrupt loses none.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isnan, nan
from pathlib import Path
from typing import Any

from federation.parallel import map_parallel
from federation.runner import run_one
from federation.statistics import summarise
from federation.trust_rounds import (
    Key,
    RoundRow,
    append_rounds,
    malicious_share,
    rounds_of,
    shut_out,
)
from server.errors import RunFailed
from server.federation import FederatedRun
from strategies.attack_settings import count_attackers
from strategies.presets import MECHANISMS, compose
from strategies.rating_settings import RatingFields
from strategies.settings import Settings, SettingsError, byzantine_limit, nearest
from strategies.trust.attacks import ATTACKS
from strategies.trust_presets import FIRST_SHARE

NOBODY = "none"
LEVELS = ("none", "10", "5", "2", "1", "global-20")
"""Privacy of the columns: none, dp-gd at an epsilon, or the paper's global-dp at one."""
_OWN: Mapping[str, Mapping[str, Any]] = {
    "fedavg": {},
    "krum": {"aggregation": "krum"},
    "multikrum": {"aggregation": "multikrum"},
    "fedmedian": {"aggregation": "fedmedian"},
    "reputation+algorithm1": {"selection": "reputation", "detector": "algorithm1"},
    "reputation+likelihood": {"selection": "reputation"},
    "trusted": {"selection": "reputation", "auction": "knapsack"},
}
RULES = tuple(_OWN)
TABLE_RULES = RULES[:-1]
ROUNDS = "rounds.csv"
LAST = 5
"""Rounds at the end over which the share of malicious winners is taken."""


@dataclass(frozen=True)
class Row:
    """What one run gave.

    Attributes
    ----------
    rule, level, attack, seed
        The cell and its seed.
    accuracy : float
        Of the last broadcast on the held-out records; NaN when nothing was ever merged.
    honest_out, found : float
        Shares of honest clinics and of attackers that are not trusted in the last round; NaN where
        everybody takes part.
    malicious : float
        Share of attackers in the merge, by weight, of an auction among the winners, over those of
        the last five rounds that merged anything.
    """

    rule: str
    level: str
    attack: str
    seed: int
    accuracy: float
    honest_out: float
    found: float
    malicious: float

    @property
    def key(self) -> Key:
        """Return rule, level, attack and seed."""
        return self.rule, self.level, self.attack, self.seed


@dataclass(frozen=True)
class Task:
    """One run to be made."""

    rule: str
    level: str
    attack: str
    settings: Settings

    @property
    def key(self) -> Key:
        """Return rule, level, attack and seed."""
        return self.rule, self.level, self.attack, self.settings.seed


def grid(
    rules: Sequence[str],
    levels: Sequence[str],
    attacks: Sequence[str],
    seeds: Sequence[int],
    overrides: Mapping[str, Any],
) -> list[Task]:
    """Return the runs of a table, seed by seed so that an interrupted one covers all cells.

    Parameters
    ----------
    rules, levels, attacks : sequence of str
        Of ``RULES``, ``LEVELS`` (or any dp-gd epsilon), attacks on learning and ``none``.
    seeds : sequence of int
    overrides : mapping
        Settings of all runs: attackers, clients, partition, data set.

    Raises
    ------
    SettingsError
        When a name is unknown or settings do not go together.
    """
    for rule in rules:
        if rule not in RULES:
            raise SettingsError(f"--rules: unknown rule {rule!r}{nearest(rule, RULES)}")
    return [
        Task(rule, level, attack, settings_of(rule, level, attack, seed, overrides))
        for seed in seeds
        for level in levels
        for attack in attacks
        for rule in rules
    ]


def settings_of(
    rule: str, level: str, attack: str, seed: int, overrides: Mapping[str, Any]
) -> Settings:
    """Return the settings of one run."""
    values: dict[str, Any] = {"seed": seed, **_OWN[rule], **overrides, "attack": attack}
    idle: tuple[str, ...] = ()
    if attack == NOBODY:
        idle = ("attackers", "attack_schedule", "rating_attack")
    if rule != "reputation+algorithm1":
        idle += tuple(item.name for item in fields(RatingFields))
    values = {name: value for name, value in values.items() if name not in idle}
    trusted = rule == "trusted"
    if level == "none":
        values = {**_shape(overrides), **values, "privacy": "none"}
        return _compose("trusted" if trusted else "fedavg", values)
    if level.startswith("global-"):
        epsilon = _epsilon(level.removeprefix("global-"))
        values |= {"privacy": "global-dp", "epsilon": epsilon}
        return _compose("trusted" if trusted else "global-dp", values)
    if rule == "reputation+likelihood":
        values = {"first_share": FIRST_SHARE} | values
    return _compose("trusted" if trusted else "dp-gd", values | {"epsilon": _epsilon(level)})


def _compose(strategy: str, values: Mapping[str, Any]) -> Settings:
    made = compose(strategy, values)
    if made.aggregation not in ("krum", "multikrum") or made.byzantine:
        return made
    limit = byzantine_limit(made.aggregation, made.clients) or 0
    return made.changed(byzantine=max(0, min(count_attackers(made), limit)))


def _shape(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return how clinics train without noise: as under dp-gd, on CARRADA as its task does."""
    if overrides.get("dataset") == "carrada":
        return {}
    return {k: v for k, v in MECHANISMS["dp-gd"].items() if k not in ("epsilon", "delta")}


def _epsilon(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingsError(
            f"--levels: {text!r} is no level; use none, an epsilon of dp-gd, or global-EPSILON"
        ) from None


def run_task(task: Task) -> tuple[Row, list[RoundRow]]:
    """Make one run."""
    try:
        run = run_one(task.settings)
    except RunFailed:
        return Row(*task.key, nan, nan, nan, nan), []
    return Row(*task.key, float(run.final["accuracy"]), *rates(run)), rounds_of(task.key, run)


def rates(run: FederatedRun) -> tuple[float, float, float]:
    """Return honest out, attackers found, and the malicious share at the end; see :class:`Row`."""
    hostile = set(run.attackers)
    found, out = shut_out(run.rounds[-1], hostile, run.settings.theta)
    shares = [malicious_share(record, hostile) for record in run.rounds[1:]][-LAST:]
    merged = [share for share in shares if not isnan(share)]
    return out, found, sum(merged) / len(merged) if merged else nan


def run_grid(
    tasks: Sequence[Task],
    path: Path,
    workers: int | None,
    progress: Callable[[float], None],
) -> list[Row]:
    """Make all runs that are not in the CSV file yet, append each as it comes, return all.

    The rounds of each go before it into ``ROUNDS`` beside that file.
    """
    kept = read_rows(path)
    wanted = {task.key for task in tasks}
    left = [task for task in tasks if task.key not in kept]
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [item.name for item in fields(Row)])
        if not kept and not path.stat().st_size:
            writer.writeheader()

        def keep(made: tuple[Row, list[RoundRow]]) -> None:
            row, rounds = made
            append_rounds(rounds, path.with_name(ROUNDS))
            kept[row.key] = row
            writer.writerow(asdict(row))
            file.flush()

        map_parallel(run_task, left, workers, progress, keep=keep)
    return [row for key, row in kept.items() if key in wanted]


def read_rows(path: Path) -> dict[Key, Row]:
    """Return the runs of a CSV file by cell and seed; none where there is no file."""
    if not path.exists():
        return {}
    found = {}
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            row = Row(
                line["rule"],
                line["level"],
                line["attack"],
                int(line["seed"]),
                float(line["accuracy"]),
                float(line["honest_out"]),
                float(line["found"]),
                float(line["malicious"]),
            )
            found[row.key] = row
    return found


def summary_of(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return mean and interval of each metric of each cell, as in result.json."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.rule, row.level, row.attack), []).append(row)
    return [
        {"strategy": rule, "cell": {"privacy": level, "attack": attack}, "metric": metric}
        | summarise([getattr(row, metric) for row in group]).as_dict()
        for (rule, level, attack), group in groups.items()
        for metric in ("accuracy", "honest_out", "found", "malicious")
    ]


def attacks_of(names: str) -> list[str]:
    """Return the attacks of a comma-separated list, the twelve of the tables when it is empty."""
    return [name.strip() for name in names.split(",") if name.strip()] or [NOBODY, *ATTACKS]
