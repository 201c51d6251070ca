"""One run put together: the strategy the settings compose, the bound, the held-out judge."""

from math import inf
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import FedAvg

from server.federation import build_strategy, held_out, norm_bound, run_federation, server_noise
from server.registry import Participant, Registry
from server.replies import noised_norm_bound
from strategies.learning.metrics import diagnose
from strategies.learning.task import feature_map, federation_of
from strategies.randomness import Purpose, SeededNoise
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.global_differential_privacy import GlobalDifferentialPrivacy
from strategies.wrappers.vectors import to_array
from tests.peers import Peers, grid_of, settings_of
from tests.server.hostile import upload

REGISTRY = Registry(
    [Participant(f"partition:{n}", n, 1000 + n, "clinic", 60 + n) for n in range(7)]
)
SETTINGS = settings_of()


def test_the_paper_s_protocol_is_wrapped_with_the_smallest_enrolled_shard() -> None:
    strategy = build_strategy(SETTINGS, REGISTRY)
    assert isinstance(strategy, GlobalDifferentialPrivacy)
    assert strategy.smallest_shard == 60
    assert strategy.calibration == SETTINGS.calibration()
    assert type(strategy.inner) is FedAvg
    assert type(build_strategy(settings_of("fedavg"), REGISTRY)) is FedAvg


def test_the_norm_bound_is_found_through_any_layers() -> None:
    strategy = build_strategy(SETTINGS, REGISTRY)
    bound = noised_norm_bound(0.5, SETTINGS.calibration().upload_noise_std(60), 10)
    for wrapped in (strategy, StrategyWrapper(StrategyWrapper(strategy))):
        assert norm_bound(wrapped, SETTINGS, 60, 10) == bound
    assert norm_bound(StrategyWrapper(FedAvg()), settings_of("fedavg"), 60, 10) == inf


def test_an_upload_above_the_bound_is_rejected_through_layers_too() -> None:
    peers = Peers({3: upload(np.full(10, 0.5))})
    run = run_federation(grid_of(SETTINGS, peers), SETTINGS, wrap=StrategyWrapper)
    assert [v["identity"] for v in run.rounds[1].verdicts] == ["partition:3"]


def test_the_servers_noise_is_of_the_settings_kind_and_its_own_stream() -> None:
    seeded, system = server_noise(SETTINGS), server_noise(settings_of(noise="system"))
    assert (seeded.private, system.private) == (False, True)
    clinic = SeededNoise(SETTINGS.seed, Purpose.CLINIC_NOISE, 0).standard_normal(4, 1)
    assert not np.array_equal(seeded.standard_normal(4, 1), clinic)


@pytest.mark.parametrize("changes", [{}, {"features": "log", "bias": 0.6}, {"test_fraction": 0.4}])
def test_accuracy_comes_from_the_held_out_set_at_the_server(changes: dict[str, Any]) -> None:
    settings = settings_of(**changes)
    evaluate, dimension = held_out(settings)
    weights = np.linspace(-1, 1, dimension)
    parts = federation_of(settings)
    test = parts.table.take(parts.test)
    features = feature_map(test, settings)(test.features)
    expected = diagnose(weights, features, test.labels, settings.l2).as_dict()
    assert evaluate(ArrayRecord({"model": to_array(weights)})) == expected


def test_sizes_and_settings_of_a_run_are_as_enrolled() -> None:
    settings = settings_of(partition="dirichlet", rounds=1)
    run = run_federation(grid_of(settings), settings)
    assert run.sizes == federation_of(settings).sizes
    assert run.seconds > 0
    assert list(run.rounds[1].sizes.values()) == list(run.sizes)
