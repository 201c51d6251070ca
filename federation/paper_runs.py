"""What one seed contributes to the figures of the privacy paper (its section IV).

Each function here is the work of one process on one seed: it cuts the data, runs every cell
that the figure needs and returns plain numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.baselines import centralised_svm
from federation.repeat import METRICS
from federation.vectorised import Cohort, Outcome, cohort, federate
from strategies.learning.task import Judgement
from strategies.settings import Settings

FIG3_EPSILONS = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
FIG3_CLIENTS = (5, 10, 20, 50)
FIXED_RECORDS = 10
CONVERGED_RATE = 0.1


@dataclass(frozen=True)
class Task:
    """One seed of a figure; what a worker process is handed."""

    settings: Settings
    seed: int


@dataclass(frozen=True)
class Run:
    """One run of one cell: what it was, what it ended with and, where asked, every round.

    ``curve`` has one ``{metric: value}`` for each round, from round 1.
    """

    strategy: str
    cell: dict[str, Any]
    seed: int
    final: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)


def fig3_runs(task: Task) -> list[Run]:
    """Return the runs of figure 3 for one seed: both designs, every V, every epsilon and none.

    ``fixed-total``: the training records are split among V clinics, as many as there are.
    ``fixed-records``: every clinic holds ``FIXED_RECORDS`` records; V clinics are the first V
    of the largest cohort, so a larger V brings more data.
    """
    largest = task.settings.changed(clients=max(FIG3_CLIENTS), min_records=FIXED_RECORDS)
    everyone = cohort(largest, task.seed)
    runs = []
    for clients in FIG3_CLIENTS:
        settings = task.settings.changed(clients=clients)
        designs = {
            "fixed-total": cohort(settings, task.seed),
            "fixed-records": everyone.first(clients, FIXED_RECORDS),
        }
        for design, clinics in designs.items():
            cell = {"design": design, "clients": clients}
            runs += private_runs(clinics, settings, FIG3_EPSILONS, cell)
            outcome = federate(clinics, settings, None)
            runs.append(_run("fedavg", {**cell, "epsilon": None}, clinics, outcome.diagnoses[0]))
    return [*runs, svm_run(everyone, task.settings)]


def fig4_runs(task: Task) -> list[Run]:
    """Return the runs of figure 4 for one seed.

    Accuracy over the rounds of one run, private, non-private, centralised by the same steps,
    and non-private at a step size that converges; and the private accuracy after runs that
    were planned for fewer rounds, their noise calibrated to those.
    """
    settings = task.settings
    clinics = cohort(settings, task.seed)
    pooled = cohort(settings.changed(clients=1, partition="iid", sizes=""), task.seed)
    fast = settings.changed(learning_rate=CONVERGED_RATE)
    outcome = federate(clinics, settings, [settings.epsilon], record=True)
    runs = [_curve("global-dp", settings, clinics, outcome)]
    for strategy, data, schedule in (
        ("fedavg", clinics, settings),
        ("centralised", pooled, settings),
        ("fedavg", clinics, fast),
    ):
        outcome = federate(data, schedule, None, record=True)
        runs.append(_curve(strategy, schedule, data, outcome))
    for rounds in planned_rounds(settings.rounds):
        planned = replanned(settings, rounds)
        runs += private_runs(clinics, planned, [settings.epsilon], {"planned_rounds": rounds})
    return [*runs, svm_run(clinics, settings)]


def private_runs(
    clinics: Cohort, settings: Settings, epsilons: Sequence[float], cell: dict[str, Any]
) -> list[Run]:
    """Return one global-dp run for each epsilon."""
    outcome = federate(clinics, settings, epsilons)
    return [
        _run("global-dp", {**cell, "epsilon": epsilon}, clinics, diagnosis)
        for epsilon, diagnosis in zip(epsilons, outcome.diagnoses, strict=True)
    ]


def svm_run(clinics: Cohort, settings: Settings) -> Run:
    """Return the centralised LinearSVC on the same held-out set."""
    return _run("centralised-svm", {}, clinics, centralised_svm(clinics, settings.l2))


def planned_rounds(rounds: int) -> list[int]:
    """Return up to ten T between 1 and ``rounds``, evenly spread, ``rounds`` included."""
    return sorted({max(1, round(rounds * tenth / 10)) for tenth in range(1, 11)})


def replanned(settings: Settings, rounds: int) -> Settings:
    """Return the settings of a run of ``rounds``; where E was T it stays so."""
    everything = settings.exposures == settings.rounds
    exposures = rounds if everything else min(settings.exposures, rounds)
    return settings.changed(rounds=rounds, exposures=exposures)


def _run(strategy: str, cell: dict[str, Any], clinics: Cohort, diagnosis: Judgement) -> Run:
    values = diagnosis.as_dict()
    return Run(strategy, cell, clinics.seed, {name: float(values[name]) for name in METRICS})


def _curve(strategy: str, settings: Settings, clinics: Cohort, outcome: Outcome) -> Run:
    cell = {"learning_rate": settings.learning_rate}
    if strategy == "global-dp":
        cell["epsilon"] = settings.epsilon
    last = _run(strategy, cell, clinics, outcome.diagnoses[0])
    pairs = zip(outcome.accuracy[:, 0], outcome.loss[:, 0], strict=True)
    curve = [{"accuracy": float(a), "loss": float(b)} for a, b in pairs]
    return Run(strategy, cell, clinics.seed, last.final, curve)
