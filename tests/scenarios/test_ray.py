"""The contract with Flower: the same apps on its own runtime, the same weights to the last bit."""

from typing import Any

import pytest

from federation.runner import run_one
from server.errors import RunFailed
from server.loop import RoundRecord
from strategies.presets import compose
from tests.peers import settings_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.mark.parametrize(
    "changes",
    [
        {"partition": "dirichlet", "batch_size": 8, "features": "log"},
        {"aggregation": "krum", "byzantine": 1, "reading": "variance"},
    ],
    ids=str,
)
def test_ray_gives_the_weights_of_the_in_process_run(changes: dict[str, Any]) -> None:
    settings = settings_of(clients=5, **changes)
    told: list[RoundRecord] = []
    on_ray = run_one(settings.changed(backend="ray"), told.append)
    here = run_one(settings)
    assert on_ray.weights.tobytes() == here.weights.tobytes()
    assert on_ray.sizes == here.sizes
    assert [record.metrics for record in told] == [record.metrics for record in here.rounds]
    assert all(record.verdicts == [] for record in told)


@pytest.mark.parametrize("changes", [{}, {"unit": "clinic", "neighbours": 4}], ids=str)
def test_secure_sums_are_the_same_on_ray(changes: dict[str, Any]) -> None:
    """Keys and masks differ from run to run; the sums that come out of them do not."""
    settings = compose("shared-noise", {"clients": 6, "rounds": 2, **changes})
    on_ray = run_one(settings.changed(backend="ray"))
    assert on_ray.weights.tobytes() == run_one(settings).weights.tobytes()
    assert all(record.verdicts == [] for record in on_ray.rounds)


def test_a_run_that_every_clinic_refuses_fails_on_ray_too() -> None:
    settings = settings_of(clients=3, backend="ray", max_nominal_epsilon=1.0)
    with pytest.raises(RunFailed, match="epsilon 30 is above this clinic's limit 1"):
        run_one(settings)


@pytest.mark.parametrize("attack", ["nan", "stale-round", "duplicate-reply"])
def test_broken_clinics_are_named_on_ray_too(attack: str) -> None:
    settings = settings_of(clients=5, attack=attack, attackers=2.0)
    told: list[RoundRecord] = []
    on_ray = run_one(settings.changed(backend="ray"), told.append)
    here = run_one(settings)
    assert on_ray.weights.tobytes() == here.weights.tobytes()
    assert on_ray.attackers == here.attackers
    assert [record.verdicts for record in told] == [record.verdicts for record in here.rounds]
    assert {v["identity"] for record in told for v in record.verdicts} == set(here.attackers)


@pytest.mark.parametrize(("strategy", "attack"), [("dp-gd", "alie"), ("global-dp", "replay")])
def test_malicious_clinics_upload_the_same_bits_on_ray(strategy: str, attack: str) -> None:
    settings = settings_of(
        strategy, clients=5, attack=attack, attackers=2.0, attack_schedule="probability:0.7"
    )
    on_ray, here = run_one(settings.changed(backend="ray")), run_one(settings)
    assert on_ray.weights.tobytes() == here.weights.tobytes()
    assert on_ray.weights.tobytes() != run_one(settings.changed(attack="none")).weights.tobytes()


@pytest.mark.parametrize("strategy", ["dp-gd", "global-dp"])
def test_object_classes_are_learnt_to_the_same_bits_on_ray(strategy: str) -> None:
    values = {"dataset": "carrada", "task": "learn", "clients": 4, "rounds": 2}
    here = run_one(compose(strategy, values))
    on_ray = run_one(compose(strategy, {**values, "backend": "ray"}))
    assert on_ray.weights.tobytes() == here.weights.tobytes()
