"""What the paper's section IV claims in words, each as a difference measured over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federation.baselines import centralised_svm
from federation.paper_runs import CONVERGED_RATE, FIG3_CLIENTS, FIXED_RECORDS, replanned
from federation.statistics import Summary, paired_difference
from federation.vectorised import Cohort, cohort, federate
from strategies.presets import compose
from strategies.settings import Settings

EPSILON = 25.0
FEWEST, MOST = min(FIG3_CLIENTS), max(FIG3_CLIENTS)
FEW_ROUNDS = 10


@dataclass(frozen=True)
class Claim:
    """A difference in accuracy, ``first - second``, that a sentence of the paper is about."""

    text: str
    first: str
    second: str

    def measured(self, by_seed: Sequence[Mapping[str, float]]) -> Summary:
        """Return the paired difference over seeds, in percentage points."""
        return paired_difference(
            [row[self.first] for row in by_seed], [row[self.second] for row in by_seed]
        )


CLAIMS = (
    Claim("\u03b5 = 50 over \u03b5 = 30", "eps 50", "eps 30"),
    Claim("non-private over private, \u03b5 = 25, both learning rate 0.001", "plain", "private"),
    Claim("50 clinics over 5, the same records split further", "split 50", "split 5"),
    Claim("50 clinics over 5, 10 records in each", "fixed 50", "fixed 5"),
    Claim("50 clinics over 20, 10 records in each", "fixed 50", "fixed 20"),
    Claim("100 planned rounds over 10, private", "private", "10 rounds"),
    Claim("100 rounds over 10, non-private", "plain", "plain 10 rounds"),
    Claim("centralised SVM over non-private federation, learning rate 0.001", "svm", "plain"),
    Claim("centralised SVM over non-private federation, learning rate 0.1", "svm", "converged"),
    Claim("centralised over federated, both learning rate 0.001", "centralised", "plain"),
    Claim("private, \u03b5 = 25, learning rate 0.1 over 0.001", "private converged", "private"),
    Claim("private, \u03b5 = 25, log features over scaled", "private log", "private"),
)


def claim_accuracies(seed: int) -> dict[str, float]:
    """Return what the claims compare for one seed, paper-std, accuracy in percent."""
    settings = compose("global-dp", {}, "paper-std")
    clinics = cohort(settings, seed)
    crowd = cohort(settings.changed(clients=MOST, min_records=FIXED_RECORDS), seed)
    few = replanned(settings, FEW_ROUNDS)
    fast = settings.changed(learning_rate=CONVERGED_RATE)
    log = settings.changed(features="log")
    found = {
        "eps 50": _private(clinics, settings, 50.0),
        "eps 30": _private(clinics, settings, 30.0),
        "private": _private(clinics, settings),
        "plain": _plain(clinics, settings),
        "10 rounds": _private(clinics, few),
        "plain 10 rounds": _plain(clinics, few),
        "svm": 100 * centralised_svm(clinics, settings.l2).accuracy,
        "converged": _plain(clinics, fast),
        "centralised": _plain(cohort(settings.changed(clients=1), seed), settings),
        "private converged": _private(clinics, fast),
        "private log": _private(cohort(log, seed), log),
        "split 50": _private(crowd, settings),
        "split 5": _private(cohort(settings.changed(clients=FEWEST), seed), settings),
    }
    for clients in FIG3_CLIENTS:
        found[f"fixed {clients}"] = _private(crowd.first(clients, FIXED_RECORDS), settings)
    return found


def _private(clinics: Cohort, settings: Settings, epsilon: float = EPSILON) -> float:
    return 100 * federate(clinics, settings, [epsilon]).diagnoses[0].accuracy


def _plain(clinics: Cohort, settings: Settings) -> float:
    return 100 * federate(clinics, settings, None).diagnoses[0].accuracy
