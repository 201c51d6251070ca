"""Accuracy of CARRADA's learning task under every mechanism, on the arrays of the numeric core.

``python -m benchmarks.learning_carrada [--seeds N]`` prints the table of docs/learning-carrada.md:
generated scenes, 20 devices, one configuration of each mechanism over all eps (the presets'). The
arithmetic and the seeded streams are those of a run by messages.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from federation.baselines import centralised_svm
from federation.statistics import summarise
from federation.vectorised import cohort, federate
from strategies.learning.linear_svm import FloatArray
from strategies.learning.one_versus_rest import signed_rows
from strategies.learning.task import Judgement, feature_map, federation_of, judge
from strategies.presets import compose
from strategies.privacy.contenders import Cohort
from strategies.privacy.dp_sgd import DPSGD, poisson_mask
from strategies.privacy.gradients import merge
from strategies.privacy.mechanisms import mechanism_of
from strategies.privacy.units import group_units, stack_units
from strategies.randomness import Purpose, generator
from strategies.settings import Settings

EPSILONS = (1.0, 2.0, 5.0, 10.0)
LEARN = {"dataset": "carrada", "task": "learn"}
METRICS = ("accuracy", "balanced_accuracy", "macro_f1")


def released(settings: Settings) -> Iterator[Judgement]:
    """Run certified, dp-gd or dp-sgd for each eps on the same draws."""
    parts = federation_of(settings)
    table = parts.table
    features = feature_map(table, settings)(table.features)
    rows = signed_rows(features, table.labels, len(table.classes))
    units = group_units(rows, hinges=settings.hinges)
    clinics = Cohort(*stack_units([units[shard] for shard in parts.shards]), settings.seed)
    mechanisms = [mechanism_of(settings.changed(epsilon=epsilon)) for epsilon in EPSILONS]
    models = np.zeros((len(EPSILONS), rows.shape[-1]))
    for round_ in range(1, settings.rounds + 1):
        normals, taken = clinics.normals(round_), _taken(clinics, mechanisms[0], round_)
        for index, mechanism in enumerate(mechanisms):
            start = models[index]
            if isinstance(mechanism, DPSGD):
                data = (clinics.signed, clinics.count, normals[None], taken)
                uploads = mechanism.upload(start, *data)
            else:
                uploads = mechanism.upload(start, clinics.signed, clinics.count, normals)
            models[index] = merge(uploads, clinics.shares)
    test = features[parts.test], table.labels[parts.test]
    for model in models:
        yield judge(model, *test, settings.l2, table.classes)


def _taken(clinics: Cohort, mechanism: object, round_: int) -> FloatArray:
    taken = np.zeros((1, *clinics.signed.shape[:2]))
    if isinstance(mechanism, DPSGD):
        for clinic, size in enumerate(clinics.count.tolist()):
            rng = generator(clinics.seed, Purpose.BATCHES, clinic, round_)
            taken[:, clinic, :size] = poisson_mask(mechanism, size, int(rng.integers(2**63)))
    return taken


def _arrays(epsilons: Sequence[float] | None) -> Callable[[Settings], Iterator[Judgement]]:
    return lambda settings: iter(
        federate(cohort(settings, settings.seed), settings, epsilons).diagnoses
    )


def _centralised(settings: Settings) -> Iterator[Judgement]:
    yield centralised_svm(cohort(settings, settings.seed), settings.l2)


MEASURED: dict[str, tuple[str, Callable[[Settings], Iterator[Judgement]]]] = {
    "centralised SVM": ("fedavg", _centralised),
    "fedavg": ("fedavg", _arrays(None)),
    "global-dp (nominal)": ("global-dp", _arrays(EPSILONS)),
    "certified": ("certified", released),
    "dp-gd": ("dp-gd", released),
    "dp-sgd": ("dp-sgd", released),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each mechanism and metric: mean and 95 % interval by eps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--descriptors", default="all")
    asked = parser.parse_args(arguments)
    for name, (strategy, measure) in MEASURED.items():
        found = [
            list(measure(compose(strategy, {**LEARN, "descriptors": asked.descriptors, "seed": s})))
            for s in range(1, asked.seeds + 1)
        ]
        for metric in METRICS:
            cells = []
            for column in zip(*found, strict=True):
                point = summarise([float(getattr(model, metric)) for model in column])
                cells.append(f"{100 * point.mean:5.1f} ±{100 * (point.ci95_high - point.mean):.1f}")
            sys.stdout.write(f"{name:20} {metric:18} {'  '.join(cells)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
