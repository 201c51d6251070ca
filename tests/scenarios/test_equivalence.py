"""The numbers do not depend on the road: messages, the numeric core and rounds cut short."""

from typing import Any

import numpy as np
import pytest

from federation.runner import run_one
from federation.vectorised import cohort, federate
from strategies.presets import compose
from strategies.settings import Settings


def settings_of(
    strategy: str = "global-dp", /, preset: str = "paper-variance", **changes: Any
) -> Settings:
    return compose(strategy, {"clients": 7, "seed": 11, **changes}, preset)


def core(settings: Settings) -> Any:
    """Return the outcome of the vectorised core for the same seed."""
    epsilons = [settings.epsilon] if settings.private else None
    return federate(cohort(settings, settings.seed), settings, epsilons, record=True)


@pytest.mark.parametrize("strategy", ["global-dp", "fedavg"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"preset": "paper-std", "rounds": 12},
        {"clients": 1},
        {"clients": 20},
        {"features": "log", "bias": 0.6},
        {"features": "raw"},
        {"partition": "dirichlet"},
        {"partition": "dirichlet", "preset": "paper-std", "rounds": 12},
        {"partition": "sizes", "sizes": "1,2,3,4,5,6,70"},
        {"unit": "patient"},
        {"batch_size": 8},
        {"batch_size": 50, "partition": "dirichlet"},
        {"missing": "median", "split": "patient", "l2": 0.0},
    ],
    ids=str,
)
def test_messages_and_the_numeric_core_give_the_same_weights_to_the_last_bit(
    strategy: str, changes: dict[str, Any]
) -> None:
    settings = settings_of(strategy, **changes)
    run, outcome = run_one(settings), core(settings)
    assert run.weights.tobytes() == outcome.weights[0].tobytes()
    assert [r.metrics["accuracy"] for r in run.rounds[1:]] == outcome.accuracy[:, 0].tolist()
    losses = [record.metrics["loss"] for record in run.rounds[1:]]
    np.testing.assert_allclose(losses, outcome.loss[:, 0], rtol=1e-12)


def test_the_cases_above_add_noise_at_the_server_and_hold_unequal_shards() -> None:
    """Else they could pass without sigma_2, or with weights of 1/V."""
    plain, unequal = settings_of(preset="paper-std", rounds=12), settings_of(partition="dirichlet")
    assert run_one(plain).rounds[1].metrics["broadcast-noise-std"] > 0
    assert len(set(run_one(unequal).sizes)) > 1


def test_a_run_repeats_itself_and_differs_by_seed() -> None:
    settings = settings_of()
    assert run_one(settings).weights.tobytes() == run_one(settings).weights.tobytes()
    assert (
        run_one(settings).weights.tobytes() != run_one(settings.changed(seed=12)).weights.tobytes()
    )


def test_the_systems_noise_does_not_repeat() -> None:
    settings = settings_of(noise="system")
    assert run_one(settings).weights.tobytes() != run_one(settings).weights.tobytes()


def test_the_first_rounds_do_not_depend_on_how_many_follow() -> None:
    """Without noise, whose calibration knows T: streams are addressed by round."""
    short, long = (run_one(settings_of("fedavg", rounds=n, batch_size=5)) for n in (3, 6))
    assert [r.metrics for r in short.rounds] == [r.metrics for r in long.rounds[:4]]


def test_centralised_is_the_federation_of_one_clinic() -> None:
    alone = run_one(settings_of("centralised"))
    same = run_one(settings_of("fedavg", clients=1))
    assert alone.sizes == (546,)
    assert alone.weights.tobytes() == same.weights.tobytes()
