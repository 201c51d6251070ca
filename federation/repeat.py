"""The same run over more seeds, beside what it is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from federation.baselines import centralised_svm
from federation.runner import run_one
from federation.statistics import summarise
from federation.vectorised import Cohort, Outcome, cohort, federate
from server.federation import FederatedRun
from strategies.attack_settings import NOBODY, attackers_of
from strategies.learning.metrics import Diagnosis
from strategies.learning.one_versus_rest import BINARY
from strategies.learning.recognition import RATES, Recognition, confusion_names
from strategies.learning.task import Judgement
from strategies.secure_settings import in_the_open
from strategies.settings import Settings
from strategies.trust_settings import GROUP as TRUST
from strategies.trust_settings import SHARED

METRICS = ("accuracy", "loss", "sensitivity", "specificity", "auc")
"""Of a diagnosis."""


@dataclass(frozen=True)
class Repetition:
    """One seed: the run itself and the baselines on the same split.

    Parameters
    ----------
    seed : int
        Its seed.
    run, nonprivate, centralised : Diagnosis or Recognition
        Of the settings' strategy, of the same schedule without clip and noise, and of the
        centralised linear SVM.
    curve, nonprivate_curve : tuple of float
        Held-out accuracy after each round.
    """

    seed: int
    run: Judgement
    nonprivate: Judgement
    centralised: Judgement
    curve: tuple[float, ...]
    nonprivate_curve: tuple[float, ...]


def repeat(settings: Settings, seed: int) -> Repetition:
    """Run one seed; see :class:`Repetition`.

    The numeric core where it knows the settings (the same numbers, faster), messages elsewhere.
    """
    clinics = cohort(settings, seed)
    plain = federate(clinics, _plain(settings), None, record=True)
    run, curve = _own(settings.changed(seed=seed, ledger=""), clinics, plain)
    return Repetition(
        seed=seed,
        run=run,
        nonprivate=plain.diagnoses[0],
        centralised=centralised_svm(clinics, settings.l2),
        curve=curve,
        nonprivate_curve=tuple(float(value) for value in plain.accuracy[:, 0]),
    )


def of_run(run: FederatedRun) -> Repetition:
    """Return the repetition that a finished run is, with its baselines."""
    settings = _plain(run.settings)
    clinics = cohort(settings, run.settings.seed)
    plain = federate(clinics, settings, None, record=True)
    return Repetition(
        seed=run.settings.seed,
        run=judgement_of(run.final, clinics.classes),
        nonprivate=plain.diagnoses[0],
        centralised=centralised_svm(clinics, settings.l2),
        curve=tuple(float(record.metrics["accuracy"]) for record in run.rounds[1:]),
        nonprivate_curve=tuple(float(value) for value in plain.accuracy[:, 0]),
    )


def _plain(settings: Settings) -> Settings:
    """Return the same schedule without clip, noise, attack, selection, budget or price."""
    free: dict[str, Any] = {
        **_indifferent(),
        "attack": NOBODY,
        "max_epsilon": 0.0,
        "price_per_epsilon": 0,
        "aggregation": "fedavg",
        "unit": "record" if settings.unit == "clinic" else settings.unit,
        **in_the_open(),
    }
    return settings.changed(privacy="none", noise="seeded", byzantine=0, **free)


def _indifferent() -> dict[str, Any]:
    """Return the defaults of all settings that choose among clinics: everybody takes part."""
    chosen = [item for item in fields(Settings) if item.metadata["group"] == TRUST]
    return {item.name: item.default for item in chosen} | {
        item.name: item.default for item in fields(Settings) if item.name in SHARED
    }


def baseline_settings(settings: Settings) -> Settings:
    """Return the settings of a run's baselines: one form for all strategies that share them.

    What the non-private schedule does not read is put at its default.
    """
    plain = _plain(settings)
    unread = [item for item in fields(Settings) if _unread(item.name, item.metadata["group"])]
    defaults = {item.name: item.default for item in unread}
    return plain.changed(strategy="fedavg", exposures=1, backend="inprocess", **defaults)


_READ = ("privacy", "unit", "noise", "exposures")


def _unread(name: str, group: str) -> bool:
    return group in ("privacy", "attack") and name not in _READ


def _own(
    settings: Settings, clinics: Cohort, plain: Outcome
) -> tuple[Judgement, tuple[float, ...]]:
    everybody = settings.selection == settings.auction == "none" and not settings.secure
    plainly = everybody and settings.aggregation == "fedavg" and not attackers_of(settings)
    if plainly and settings.noise == "seeded":
        if not settings.private:
            return plain.diagnoses[0], tuple(float(value) for value in plain.accuracy[:, 0])
        if settings.privacy == "global-dp":
            outcome = federate(clinics, settings, [settings.epsilon], record=True)
            return outcome.diagnoses[0], tuple(float(value) for value in outcome.accuracy[:, 0])
    run = run_one(settings)
    found = judgement_of(run.final, clinics.classes)
    return found, tuple(float(r.metrics["accuracy"]) for r in run.rounds[1:])


def judgement_of(metrics: Mapping[str, Any], classes: tuple[str, ...]) -> Judgement:
    """Return the judgement that a round's metrics were taken from."""
    if len(classes) == BINARY:
        return Diagnosis(**{item.name: metrics[item.name] for item in fields(Diagnosis)})
    cells = [int(metrics[name]) for name in confusion_names(classes)]
    width = len(classes)
    confusion = tuple(tuple(cells[row * width : (row + 1) * width]) for row in range(width))
    return Recognition(classes, float(metrics["loss"]), confusion)


def metrics_in(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the metrics to summarise, of a diagnosis or of a recognition."""
    if RATES[-1] not in metrics:
        return METRICS
    return (*RATES, *(name for name in metrics if name.startswith("recall_")))


def summary_of(judgements: Sequence[Judgement]) -> dict[str, dict[str, Any]]:
    """Return ``{metric: {mean, std, ci95_low, ci95_high, n}}``."""
    rows = [judgement.as_dict() for judgement in judgements]
    names = metrics_in(rows[0])
    return {name: summarise([float(row[name]) for row in rows]).as_dict() for name in names}
