"""The wrapper around every Flower strategy on offer, around a user's own, and on its own."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, FedMedian, Strategy
from numpy.typing import NDArray

from clients.clinic import make_clinic
from server.federation import run_federation
from strategies.learning.task import federation_of
from strategies.privacy.global_dp import GlobalDP, clip
from strategies.randomness import Purpose, SeededNoise
from strategies.settings import AGGREGATIONS, Settings
from strategies.wrappers.aggregation import build_aggregation
from strategies.wrappers.base import StrategyWrapper, averages_linearly, innermost
from strategies.wrappers.global_differential_privacy import (
    GlobalDifferentialPrivacy,
    from_config,
    to_config,
)
from strategies.wrappers.vectors import to_array, to_vector
from tests.peers import grid_of, settings_of, weights_of

CALIBRATION = GlobalDP(4.0, 1e-3, 0.5, 8, 2, "variance")


def wrapper(inner: Strategy, settings: Settings) -> GlobalDifferentialPrivacy:
    return GlobalDifferentialPrivacy(
        inner,
        settings.calibration(),
        min(federation_of(settings).sizes),
        SeededNoise(settings.seed, Purpose.SERVER_NOISE),
    )


def uploads_by_hand(settings: Settings, start: NDArray[np.float64], round_: int) -> list[Any]:
    """What every clinic uploads, without a message: train, clip, add sigma_1 noise."""
    parts = federation_of(settings)
    std = settings.calibration().upload_noise_std(min(parts.sizes))
    found = []
    for partition, shard in enumerate(parts.shards):
        clinic = make_clinic(partition, parts.table.take(shard), settings)
        trained = clip(clinic.train(start, settings, round_), settings.clip_norm)
        noise = SeededNoise(settings.seed, Purpose.CLINIC_NOISE, partition)
        found.append(trained + std * noise.standard_normal(len(trained), round_))
    return found


class Recorder(StrategyWrapper):
    """A layer that keeps what passes through it."""

    def __init__(self, inner: Strategy) -> None:
        super().__init__(inner)
        self.merged: list[NDArray[np.float64]] = []
        self.uploads: list[NDArray[np.float64]] = []

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        replies = list(replies)
        self.uploads += [weights_of(reply) for reply in replies]
        arrays, metrics = super().aggregate_train(server_round, replies)
        if arrays is not None:
            self.merged.append(np.array(to_vector(arrays["model"])))
        return arrays, metrics


class LargestNorm(Strategy):
    """A strategy a user wrote from nothing: sends to all, takes the upload of largest norm."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        config["server-round"] = server_round
        return FedAvg(min_available_nodes=0).configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        best = max(replies, key=lambda reply: float(np.linalg.norm(weights_of(reply))))
        return ArrayRecord({"model": to_array(weights_of(best))}), None

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        return []

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        return None

    def summary(self) -> None:
        pass


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_around_every_aggregation_the_broadcast_is_its_merge_plus_sigma_2_noise(
    aggregation: str,
) -> None:
    settings = settings_of(aggregation=aggregation, clients=8)
    inside: list[Recorder] = []

    def wrap(_: Strategy) -> Strategy:
        inside.append(Recorder(build_aggregation(settings)))
        return wrapper(inside[0], settings)

    run = run_federation(grid_of(settings), settings, wrap=wrap)
    sizes = federation_of(settings).sizes
    std = settings.calibration().broadcast_noise_std(min(sizes), sizes)
    assert std > 0
    expected = inside[0].merged[-1]
    if aggregation == "fedavg":
        server = SeededNoise(settings.seed, Purpose.SERVER_NOISE)
        expected = expected + std * server.standard_normal(len(expected), settings.rounds)
    assert run.weights.tobytes() == expected.tobytes()
    stds = {record.metrics["broadcast-noise-std"] for record in run.rounds[1:]}
    assert stds == {std if aggregation == "fedavg" else 0.0}


@pytest.mark.parametrize("reading", ["std", "variance"])
def test_uploads_are_trained_clipped_and_noised_as_the_paper_says(reading: str) -> None:
    settings = settings_of(reading=reading, partition="dirichlet", rounds=1)
    layers: list[Recorder] = []
    run_federation(
        grid_of(settings), settings, wrap=lambda s: layers.append(Recorder(s)) or layers[0]
    )
    expected = uploads_by_hand(settings, np.zeros(10), 1)
    assert len(set(federation_of(settings).sizes)) > 1
    for upload, hand in zip(layers[0].uploads, expected, strict=True):
        assert upload.tobytes() == hand.tobytes()


def test_around_a_strategy_the_user_wrote() -> None:
    settings = settings_of(rounds=2)
    run = run_federation(
        grid_of(settings), settings, wrap=lambda _: wrapper(LargestNorm(), settings)
    )
    first = max(uploads_by_hand(settings, np.zeros(10), 1), key=np.linalg.norm)
    second = max(uploads_by_hand(settings, first, 2), key=np.linalg.norm)
    assert run.weights.tobytes() == second.tobytes()
    assert run.rounds[1].metrics["broadcast-noise-std"] == 0.0


def test_alone_around_fedavg_driven_by_flowers_own_loop() -> None:
    """No CheckedGrid, no round loop of ours: Strategy.start on a plain grid, same bits."""
    settings = settings_of()
    strategy = wrapper(build_aggregation(settings), settings)
    start = ArrayRecord({"model": to_array(np.zeros(10))})
    result = strategy.start(grid_of(settings), start, num_rounds=settings.rounds)
    ours = run_federation(grid_of(settings), settings)
    # Flower samples in random order, so its sum may differ in the last bits; ours is sorted.
    np.testing.assert_allclose(to_vector(result.arrays["model"]), ours.weights, rtol=1e-9)
    assert result.train_metrics_clientapp[2]["broadcast-noise-std"] > 0


def test_the_calibration_of_this_layer_replaces_any_other_in_the_config() -> None:
    settings = settings_of()
    stale = ConfigRecord({"dp-epsilon": 1e9})
    strategy = wrapper(build_aggregation(settings), settings)
    start = ArrayRecord({"model": to_array(np.zeros(10))})
    for message in strategy.configure_train(1, start, stale, grid_of(settings)):
        assert from_config(message.content["config"])[0] == settings.calibration()


def test_the_calibration_survives_the_config_record() -> None:
    record = ConfigRecord(dict(to_config(CALIBRATION, 17)) | {"server-round": 3})
    assert from_config(record) == (CALIBRATION, 17)


@pytest.mark.parametrize("missing", list(to_config(CALIBRATION, 1)))
def test_a_config_without_one_entry_is_no_calibration(missing: str) -> None:
    record = ConfigRecord({k: v for k, v in to_config(CALIBRATION, 1).items() if k != missing})
    with pytest.raises(KeyError):
        from_config(record)


@pytest.mark.parametrize(
    "change", [{"dp-epsilon": float("nan")}, {"dp-delta": 2.0}, {"dp-rounds": 0}]
)
def test_a_config_that_makes_no_sense_is_no_calibration(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        from_config(ConfigRecord(dict(to_config(CALIBRATION, 1)) | change))


def test_nothing_merged_means_nothing_noised() -> None:
    strategy = wrapper(build_aggregation(settings_of()), settings_of())
    assert strategy.aggregate_train(1, []) == (None, None)


def test_models_of_several_arrays_are_noised_in_one_stream() -> None:
    settings = settings_of()
    strategy = wrapper(FedAvg(), settings)
    values = ArrayRecord({"a": Array(np.ones((2, 3))), "b": Array(np.zeros(4))})
    noised = strategy._noised(values, 2.0, 5)
    draws = SeededNoise(settings.seed, Purpose.SERVER_NOISE).standard_normal(10, 5)
    np.testing.assert_array_equal(noised["a"].numpy(), 1 + 2 * draws[:6].reshape(2, 3))
    np.testing.assert_array_equal(noised["b"].numpy(), 2 * draws[6:])


def test_layers_describe_themselves_and_the_core_is_found() -> None:
    settings = settings_of()
    core = FedMedian()
    nested = Recorder(wrapper(Recorder(core), settings))
    assert innermost(nested) is core
    assert not averages_linearly(nested)
    text = wrapper(core, settings).describe()
    assert "nominal eps 30" in text
    assert "sigma_2 0 (the merge is not linear)" in text
    assert "sigma_2" not in wrapper(FedAvg(), settings).describe()
    nested.summary()


def test_a_wrapper_alone_changes_nothing() -> None:
    settings = settings_of()
    plain = run_federation(grid_of(settings), settings)
    wrapped = run_federation(
        grid_of(settings), settings, wrap=lambda s: StrategyWrapper(StrategyWrapper(s))
    )
    assert wrapped.weights.tobytes() == plain.weights.tobytes()
