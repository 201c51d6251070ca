"""The same run over more seeds, beside what it is compared with, by the numeric core."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from federation.baselines import centralised_svm
from federation.statistics import summarise
from federation.vectorised import cohort, federate
from strategies.learning.metrics import Diagnosis
from strategies.settings import Settings

METRICS = ("accuracy", "loss", "sensitivity", "specificity", "auc")


@dataclass(frozen=True)
class Repetition:
    """One seed: the run itself and the baselines on the same split.

    Parameters
    ----------
    seed : int
        Its seed.
    run, nonprivate, centralised : Diagnosis
        Of the settings' strategy, of the same schedule without clip and noise, and of the
        centralised linear SVM.
    curve, nonprivate_curve : tuple of float
        Held-out accuracy after each round.
    """

    seed: int
    run: Diagnosis
    nonprivate: Diagnosis
    centralised: Diagnosis
    curve: tuple[float, ...]
    nonprivate_curve: tuple[float, ...]


def repeatable(settings: Settings) -> bool:
    """Return whether the numeric core knows these settings."""
    return settings.aggregation == "fedavg" and settings.noise == "seeded"


def repeat(settings: Settings, seed: int) -> Repetition:
    """Run one seed; see :class:`Repetition`."""
    clinics = cohort(settings, seed)
    plain = federate(clinics, settings, None, record=True)
    private = plain
    if settings.private:
        private = federate(clinics, settings, [settings.epsilon], record=True)
    return Repetition(
        seed=seed,
        run=private.diagnoses[0],
        nonprivate=plain.diagnoses[0],
        centralised=centralised_svm(clinics, settings.l2),
        curve=tuple(float(value) for value in private.accuracy[:, 0]),
        nonprivate_curve=tuple(float(value) for value in plain.accuracy[:, 0]),
    )


def summary_of(diagnoses: Sequence[Diagnosis]) -> dict[str, dict[str, Any]]:
    """Return ``{metric: {mean, std, ci95_low, ci95_high, n}}``."""
    rows = [diagnosis.as_dict() for diagnosis in diagnoses]
    return {name: summarise([float(row[name]) for row in rows]).as_dict() for name in METRICS}
