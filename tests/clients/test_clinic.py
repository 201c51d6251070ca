"""A clinic trains as the learner does, on its own stream of batches, and judges locally."""

import numpy as np
import pytest

from clients.clinic import Clinic, make_clinic
from strategies.learning.linear_svm import descend, draw_batches
from strategies.learning.metrics import diagnose
from strategies.learning.task import federation_of
from strategies.randomness import Purpose, generator
from strategies.settings import Settings
from tests.peers import settings_of

WEIGHTS = np.linspace(-0.3, 0.4, 10)


def clinic_at(partition: int, settings: Settings) -> Clinic:
    parts = federation_of(settings)
    return make_clinic(partition, parts.table.take(parts.shards[partition]), settings)


def test_records_are_features_with_a_bias_and_their_signed_copies() -> None:
    settings = settings_of(bias=0.6)
    clinic = clinic_at(2, settings)
    assert clinic.records == federation_of(settings).sizes[2]
    assert (clinic.features[:, -1] == 0.6).all()
    np.testing.assert_array_equal(clinic.signed, clinic.features * clinic.labels[:, None])


@pytest.mark.parametrize("batch_size", [0, 8, 1000])
def test_training_is_descent_on_the_clinics_records(batch_size: int) -> None:
    settings = settings_of(batch_size=batch_size, steps=4, l2=0.05)
    clinic = clinic_at(3, settings)
    batches = None
    if batch_size:
        rng = generator(settings.seed, Purpose.BATCHES, 3, 6)
        batches = draw_batches(rng, clinic.records, 4, batch_size)
    expected = descend(
        WEIGHTS,
        clinic.signed,
        clinic.records,
        learning_rate=0.01,
        steps=4,
        l2=0.05,
        batches=batches,
    )
    assert clinic.train(WEIGHTS, settings, 6).tobytes() == expected.tobytes()


def test_batches_differ_by_round_clinic_and_seed() -> None:
    def trained(seed: int, partition: int, round_: int) -> bytes:
        parts = federation_of(settings_of())
        settings = settings_of(seed=seed, batch_size=3, steps=1)
        clinic = make_clinic(partition, parts.table.take(parts.shards[0]), settings)
        return clinic.train(np.zeros(10), settings, round_).tobytes()

    assert len({trained(s, p, t) for s in (1, 2) for p in (0, 1) for t in (1, 2)}) == 8
    assert trained(1, 0, 1) == trained(1, 0, 1)


def test_local_evaluation_is_a_diagnosis_of_the_clinics_own_records() -> None:
    settings = settings_of(l2=0.3)
    clinic = clinic_at(0, settings)
    assert clinic.evaluate(WEIGHTS, settings) == diagnose(
        WEIGHTS, clinic.features, clinic.labels, 0.3
    )
