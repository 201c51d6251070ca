"""Hostile clinics: what they upload, by hand, under every mechanism; deployed ones ask leave."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from numpy.typing import NDArray

from clients.app import app
from clients.clinic import simulated_clinic
from clients.coalition import Round, course_of, sight_of
from clients.private_training import private_upload
from datasets.shards import write_shards
from federation.backends.inprocess import run_config
from strategies.attack_settings import COLLUDING, attackers_of
from strategies.learning.task import federation_of
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.gradients import pull_sum
from strategies.privacy.mechanisms import mechanism_of
from strategies.randomness import Purpose, SeededNoise
from strategies.settings import Settings
from strategies.wrappers.global_differential_privacy import to_config
from strategies.wrappers.vectors import to_array
from tests.peers import settings_of, weights_of

WEIGHTS = np.linspace(-0.3, 0.4, 10)


def dp_gd(attack: str, **changes: Any) -> Settings:
    values = {"learning_rate": 3.0, "epsilon": 5.0, "attackers": 2.0, **changes}
    return settings_of("dp-gd", attack=attack, **values)


def config_of(settings: Settings, number: int) -> ConfigRecord:
    m = min(federation_of(settings).sizes)
    return ConfigRecord({"server-round": number} | to_config(settings.calibration(), m))


def request(settings: Settings, number: int = 2, kind: str = "train") -> Message:
    arrays = ArrayRecord({"model": to_array(WEIGHTS)})
    content = RecordDict({"arrays": arrays, "config": config_of(settings, number)})
    return Message(content, 1001, kind)


def context(settings: Settings, partition: int, **node: Any) -> Context:
    config = {"partition-id": partition, "num-partitions": settings.clients, **node}
    return Context(1, 1001, config, RecordDict(), run_config(settings))


def uploads(settings: Settings, number: int = 2) -> NDArray[np.float64]:
    """Return what the attackers upload, by row."""
    found = [app(request(settings, number), context(settings, p)) for p in attackers_of(settings)]
    return np.array([weights_of(reply) for reply in found])


def parts_of(settings: Settings, number: int = 2) -> tuple[NDArray[Any], NDArray[Any], float, int]:
    """Return honest sums and noise of the attackers under dp-gd, eta and m."""
    mechanism = mechanism_of(settings)
    assert isinstance(mechanism, DPGradientDescent)
    clinics = [simulated_clinic(number_, settings) for number_ in attackers_of(settings)]
    honest = np.array([pull_sum(WEIGHTS, c.units, settings.clip_norm) for c in clinics])
    draws = [
        SeededNoise(settings.seed, Purpose.CLINIC_NOISE, c.partition).standard_normal(10, number)
        for c in clinics
    ]
    noise = mechanism.noise_std * np.array(draws)
    return honest, noise, settings.learning_rate, clinics[0].weight


def test_a_direction_is_the_sum_of_clipped_gradients_and_its_noise() -> None:
    settings = dp_gd("alie")
    honest, noise, _, _ = parts_of(settings)
    clinics = [simulated_clinic(number, settings) for number in attackers_of(settings)]
    now = Round.asked(settings, 2, config_of(settings, 2))
    course = course_of(clinics, now.at_start(), 10)
    sight = sight_of(clinics, now, WEIGHTS, course)
    np.testing.assert_allclose(sight.honest, honest, atol=1e-9)
    np.testing.assert_allclose(sight.noise, noise, atol=1e-9)
    std = mechanism_of(settings).noise_std  # type: ignore[union-attr]
    np.testing.assert_allclose(sight.noise_std, std, rtol=1e-9)
    at_zero = [pull_sum(np.zeros(10), clinic.units, settings.clip_norm) for clinic in clinics]
    np.testing.assert_allclose(course, np.mean(at_zero, axis=0), atol=1e-9)
    assert sight.clinics == 7


@pytest.mark.parametrize(
    ("attack", "direction"),
    [
        ("sign-flip", lambda honest, noise: noise - honest),
        ("scaled", lambda honest, noise: noise - 10 * honest),
        ("free-rider", lambda _, noise: noise),
        ("ipm", lambda honest, noise: np.tile(-(honest + noise).mean(axis=0) / 2, (2, 1))),
        ("ipm-noised", lambda honest, noise: noise - (honest + noise).mean(axis=0)),
        ("copies", lambda honest, noise: np.tile(noise[0] - honest[0], (2, 1))),
        (
            "alie",
            lambda h, n: np.tile((h + n).mean(axis=0) - 1.5 * (h + n).std(axis=0), (2, 1)),
        ),
    ],
)
def test_an_upload_is_the_broadcast_and_one_step_along_the_direction(
    attack: str, direction: Any
) -> None:
    settings = dp_gd(attack)
    honest, noise, rate, records = parts_of(settings)
    expected = WEIGHTS + rate * direction(honest, noise) / records
    np.testing.assert_allclose(uploads(settings), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("strategy", ["dp-gd", "certified"])
def test_a_label_flip_runs_the_mechanism_honestly_on_poisoned_records(strategy: str) -> None:
    settings = settings_of(strategy, attack="label-flip", attackers=2.0)
    for partition, upload in zip(attackers_of(settings), uploads(settings), strict=True):
        poisoned = simulated_clinic(partition, settings).flipped
        noise = SeededNoise(settings.seed, Purpose.CLINIC_NOISE, partition)
        expected = private_upload(poisoned, settings, WEIGHTS, 2, noise)
        np.testing.assert_allclose(upload, expected, rtol=1e-9, atol=1e-12)


def test_flipping_twice_is_honest() -> None:
    clinic = simulated_clinic(1, settings_of())
    twice = clinic.flipped.flipped
    assert (twice.labels == clinic.labels).all()
    assert (twice.signed == clinic.signed).all()
    assert (clinic.flipped.features == clinic.features).all()


def test_without_noise_a_direction_is_the_difference_of_models() -> None:
    settings = settings_of("fedavg", attack="sign-flip", attackers=2.0)
    for partition, upload in zip(attackers_of(settings), uploads(settings), strict=True):
        trained = simulated_clinic(partition, settings).train(WEIGHTS, settings, 2)
        np.testing.assert_allclose(upload, 2 * WEIGHTS - trained, rtol=1e-12, atol=1e-12)


def test_a_replay_repeats_the_first_direction_at_every_broadcast() -> None:
    settings = dp_gd("replay")
    partition = attackers_of(settings)[0]
    own = context(settings, partition)
    first = weights_of(app(request(settings, 2), own)) - WEIGHTS
    later = request(settings, 3)
    later.content["arrays"]["model"] = to_array(WEIGHTS + 1.0)
    again = weights_of(app(later, own)) - (WEIGHTS + 1.0)
    np.testing.assert_allclose(again, first, rtol=1e-9, atol=1e-12)
    honest, noise, rate, records = parts_of(settings)
    np.testing.assert_allclose(first, rate * (noise - honest)[0] / records, rtol=1e-9, atol=1e-9)


def test_an_honest_clinic_of_an_attacked_run_answers_as_ever() -> None:
    settings = dp_gd("scaled")
    honest = next(n for n in range(7) if n not in attackers_of(settings))
    calm = settings.changed(attack="none")
    assert (
        weights_of(app(request(settings), context(settings, honest))).tobytes()
        == weights_of(app(request(calm), context(calm, honest))).tobytes()
    )


def test_an_attacker_enrols_and_evaluates_like_anybody() -> None:
    settings = dp_gd("sign-flip")
    partition = attackers_of(settings)[0]
    own = context(settings, partition)
    hello = Message(RecordDict({"config": ConfigRecord()}), 1001, "query.hello")
    assert app(hello, own).content["config"]["role"] == "clinic"
    reply = app(request(settings, kind="evaluate"), own)
    assert dict(reply.content["metrics"].items()) == {"num-examples": 78}


def deployed(settings: Settings, folder: Path, **node: Any) -> Message:
    partition = attackers_of(settings)[0]
    parts = federation_of(settings)
    paths = write_shards(parts.table, parts.shards, folder / "shards")
    own = context(settings, partition, **{"data-path": str(paths[partition]), **node})
    own.node_config["allow-seeded-noise"] = True
    return app(request(settings), own)


def test_a_deployed_clinic_attacks_only_where_its_machine_allows_it(tmp_path: Path) -> None:
    settings = dp_gd("sign-flip")
    reply = deployed(settings, tmp_path)
    assert "which this machine does not allow" in str(dict(reply.content["refusal"].items()))


def test_a_deployed_attacker_is_alone_and_uploads_the_same(tmp_path: Path) -> None:
    settings = dp_gd("sign-flip")
    reply = deployed(settings, tmp_path, **{"allow-attack": True})
    np.testing.assert_allclose(weights_of(reply), uploads(settings)[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("attack", COLLUDING)
def test_a_deployed_attacker_cannot_collude(attack: str, tmp_path: Path) -> None:
    reply = deployed(dp_gd(attack), tmp_path, **{"allow-attack": True})
    assert "simulated clinics only" in str(dict(reply.content["refusal"].items()))


def test_system_noise_does_not_keep_attackers_from_agreeing() -> None:
    """Copies are copies though every honest clinic draws from the operating system."""
    settings = dp_gd("copies", noise="system")
    first, second = uploads(settings)
    assert first.tobytes() == second.tobytes()
    assert isinstance(to_array(first), Array)
