"""The vectorised core against a plain loop over clinics that does what messages do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from federation.vectorised import Cohort, cohort, federate
from strategies.learning.linear_svm import descend, draw_batches
from strategies.learning.metrics import diagnose
from strategies.presets import compose
from strategies.privacy.global_dp import GlobalDP, clip
from strategies.randomness import Purpose, SeededNoise, generator
from strategies.settings import Settings, SettingsError

Vector = NDArray[np.float64]
EPSILONS = (5.0, 30.0, 50.0)


def settings_of(preset: str = "paper-variance", **changes: Any) -> Settings:
    return compose("global-dp", {"clients": 7, **changes}, preset)


def one_clinic_at_a_time(
    clinics: Cohort, settings: Settings, epsilon: float | None
) -> list[Vector]:
    """Return the broadcast of every round; the oracle: no axis but the model's."""
    sizes = clinics.sizes
    mechanism = GlobalDP(
        epsilon or 1.0,
        settings.delta,
        settings.clip_norm,
        settings.rounds,
        settings.exposures,
        settings.reading,
    )
    dimension = clinics.signed.shape[-1]
    broadcasts = [np.zeros(dimension)]
    for round_ in range(1, settings.rounds + 1):
        merged = None
        for i, size in enumerate(sizes):
            batches = None
            if settings.batch_size:
                rng = generator(clinics.seed, Purpose.BATCHES, i, round_)
                batches = draw_batches(rng, size, settings.steps, settings.batch_size)
            model = descend(
                broadcasts[-1],
                clinics.signed[i, :size],
                size,
                learning_rate=settings.learning_rate,
                steps=settings.steps,
                l2=settings.l2,
                batches=batches,
            )
            if epsilon is not None:
                noise = SeededNoise(clinics.seed, Purpose.CLINIC_NOISE, i)
                model = clip(model, settings.clip_norm) + mechanism.upload_noise_std(
                    min(sizes)
                ) * noise.standard_normal(dimension, round_)
            share = size / sum(sizes)
            if merged is None:
                merged = model * share
            else:
                merged += model * share
        assert merged is not None
        server_std = mechanism.broadcast_noise_std(min(sizes), sizes)
        if epsilon is not None and server_std > 0:
            noise = SeededNoise(clinics.seed, Purpose.SERVER_NOISE, 0)
            merged = merged + server_std * noise.standard_normal(dimension, round_)
        broadcasts.append(merged)
    return broadcasts[1:]


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "paper-std", "rounds": 12},
        {},
        {"features": "log"},
        {"features": "raw", "learning_rate": 0.1},
        {"clients": 1},
        {"clients": 20},
        {"exposures": 1, "l2": 0.0},
        {"partition": "dirichlet", "skew": 0.3},
        {"preset": "paper-std", "rounds": 12, "partition": "dirichlet"},
        {"partition": "sizes", "sizes": "1,2,3,4,5,6,70"},
        {"unit": "patient"},
        {"batch_size": 8},
        {"batch_size": 50, "partition": "dirichlet"},
    ],
    ids=str,
)
def test_weights_equal_the_plain_loop_to_the_last_bit(changes: dict[str, Any]) -> None:
    settings = settings_of(**changes)
    clinics = cohort(settings, seed=11)
    private = federate(clinics, settings, EPSILONS)
    for cell, epsilon in enumerate(EPSILONS):
        expected = one_clinic_at_a_time(clinics, settings, epsilon)[-1]
        assert private.weights[cell].tobytes() == expected.tobytes()
    plain = federate(clinics, settings, None)
    expected = one_clinic_at_a_time(clinics, settings, None)[-1]
    assert plain.weights[0].tobytes() == expected.tobytes()


def test_unequal_shards_are_padded_and_padding_is_never_a_record() -> None:
    settings = settings_of(partition="sizes", sizes="1,2,3,4,5,6,70")
    clinics = cohort(settings, seed=3)
    features, labels = clinics.records()
    assert min(clinics.sizes) < max(clinics.sizes)
    assert len(features) == len(labels) == sum(clinics.sizes) == 546
    assert (features[:, -1] == settings.bias).all()
    longer = np.pad(clinics.signed, ((0, 0), (0, 9), (0, 0)))
    padded = replace(
        clinics,
        signed=longer,
        features=np.pad(clinics.features, ((0, 0), (0, 9), (0, 0))),
        labels=np.pad(clinics.labels, ((0, 0), (0, 9))),
    )
    same = federate(clinics, settings, EPSILONS).weights
    assert federate(padded, settings, EPSILONS).weights.tobytes() == same.tobytes()


def test_recorded_rounds_are_the_broadcasts_judged_one_by_one() -> None:
    settings = settings_of()
    clinics = cohort(settings, seed=5)
    outcome = federate(clinics, settings, EPSILONS, record=True)
    judged = [
        diagnose(model, clinics.test_features, clinics.test_labels, settings.l2)
        for model in one_clinic_at_a_time(clinics, settings, EPSILONS[1])
    ]
    assert outcome.accuracy.shape == (settings.rounds, len(EPSILONS))
    assert outcome.accuracy[:, 1].tolist() == [each.accuracy for each in judged]
    np.testing.assert_allclose(outcome.loss[:, 1], [each.loss for each in judged], rtol=1e-12)
    assert outcome.diagnoses[1] == judged[-1]


def test_first_clinics_keep_their_first_records_and_their_noise() -> None:
    settings = settings_of(clients=20)
    everyone = cohort(settings, seed=2)
    five = everyone.first(5, 10)
    assert five.sizes == (10,) * 5
    np.testing.assert_array_equal(five.signed, everyone.signed[:5, :10])
    expected = one_clinic_at_a_time(five, settings, 30.0)[-1]
    assert federate(five, settings, [30.0]).weights[0].tobytes() == expected.tobytes()
    with pytest.raises(ValueError, match="21 clinics with 10 records each do not fit"):
        everyone.first(21, 10)
    with pytest.raises(ValueError, match="do not fit a cohort of 20 with at least 27"):
        everyone.first(20, 28)


def test_less_noise_for_a_larger_epsilon_and_other_noise_for_another_seed() -> None:
    settings = settings_of()
    plain = federate(cohort(settings, 1), settings, None).weights[0]
    noised = federate(cohort(settings, 1), settings, [1e3, 1e6, 1e12]).weights
    distance = np.linalg.norm(noised - plain, axis=1)
    assert distance[0] > distance[1] > distance[2]
    other = federate(cohort(settings, 2), settings, [1e3]).weights
    assert not np.array_equal(other[0], noised[0])


@pytest.mark.parametrize("changes", [{"aggregation": "fedmedian"}, {"noise": "system"}], ids=str)
def test_refuses_what_only_messages_can_run(changes: dict[str, Any]) -> None:
    settings = settings_of()
    with pytest.raises(SettingsError, match="vectorised sweep"):
        federate(cohort(settings, 1), settings.changed(**changes), None)
