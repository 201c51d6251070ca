"""The client mod: what it refuses, and that nothing leaves a clinic before clip and noise."""

from math import log, sqrt
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from clients.noise_mod import clip_then_noise
from federation.backends.inprocess import run_config
from strategies.privacy.global_dp import GlobalDP
from strategies.randomness import Purpose, SeededNoise
from strategies.settings import Settings
from strategies.wrappers.global_differential_privacy import to_config
from strategies.wrappers.protocol import REFUSAL
from strategies.wrappers.vectors import to_array
from tests.peers import settings_of, weights_of

RECORDS = 27
CALIBRATION = GlobalDP(30.0, 0.01, 0.5, 100, 1)


def context(settings: Settings, **node: Any) -> Context:
    config = {"partition-id": 2, "num-partitions": settings.clients, **node}
    return Context(1, 1002, config, RecordDict(), run_config(settings))


def request(calibration: GlobalDP = CALIBRATION, m: int = RECORDS, **changes: Any) -> Message:
    config = ConfigRecord(dict(to_config(calibration, m)) | {"server-round": 4} | changes)
    content = RecordDict(
        {"arrays": ArrayRecord({"model": to_array(np.zeros(3))}), "config": config}
    )
    return Message(content, dst_node_id=1002, message_type="train")


class Trainer:
    """What the mod calls: uploads one fixed model and counts how often it was asked."""

    def __init__(self, model: Any, records: int = RECORDS) -> None:
        self.model, self.records, self.calls = np.asarray(model, dtype=np.float64), records, 0

    def __call__(self, message: Message, _: Context) -> Message:
        self.calls += 1
        content = RecordDict(
            {
                "arrays": ArrayRecord({"model": Array(self.model)}),
                "metrics": MetricRecord({"num-examples": self.records}),
            }
        )
        return Message(content, reply_to=message)


def refusal(reply: Message) -> str:
    """Return the reason; a refusal carries nothing else."""
    assert list(reply.content) == [REFUSAL]
    assert list(reply.content[REFUSAL]) == [REFUSAL]
    return str(reply.content[REFUSAL][REFUSAL])


def test_a_smallest_shard_above_the_clinics_own_is_refused() -> None:
    settings, trainer = settings_of(), Trainer([3.0, 4.0, 0.0])
    reason = refusal(clip_then_noise(request(m=RECORDS + 1), context(settings), trainer))
    assert reason == "noise is calibrated for shards of at least 28 records, this clinic has 27"
    accepted = clip_then_noise(request(m=RECORDS), context(settings), trainer)
    assert set(accepted.content) == {"arrays", "metrics"}


@pytest.mark.parametrize("place", ["node config", "settings"])
def test_an_epsilon_above_the_clinics_limit_is_refused_before_any_training(place: str) -> None:
    trainer = Trainer(np.ones(3))
    if place == "settings":
        own = context(settings_of(max_nominal_epsilon=29.5))
    else:
        own = context(settings_of(), **{"max-nominal-epsilon": 29.5})
    reason = refusal(clip_then_noise(request(), own, trainer))
    assert reason == "epsilon 30 is above this clinic's limit 29.5"
    assert trainer.calls == 0


def test_the_limit_itself_is_accepted_and_the_clinics_own_wins_over_the_runs() -> None:
    trainer = Trainer(np.ones(3))
    at_limit = context(settings_of(), **{"max-nominal-epsilon": 30})
    assert "arrays" in clip_then_noise(request(), at_limit, trainer).content
    stricter = context(settings_of(max_nominal_epsilon=100.0), **{"max-nominal-epsilon": 1.0})
    assert "limit 1" in refusal(clip_then_noise(request(), stricter, trainer))


@pytest.mark.parametrize("limit", [float("nan"), -1.0, "ten"])
def test_a_limit_that_cannot_be_read_does_not_mean_no_limit(limit: Any) -> None:
    trainer = Trainer(np.ones(3))
    with pytest.raises(ValueError, match=r"max-nominal-epsilon|could not convert"):
        clip_then_noise(
            request(), context(settings_of(), **{"max-nominal-epsilon": limit}), trainer
        )
    assert trainer.calls == 0


def test_a_run_without_noise_is_above_every_limit() -> None:
    trainer = Trainer(np.ones(3))
    plain = settings_of("fedavg")
    limited = context(plain, **{"max-nominal-epsilon": 1000.0})
    assert "without noise" in refusal(clip_then_noise(request(), limited, trainer))
    assert trainer.calls == 0
    unlimited = clip_then_noise(request(), context(plain), trainer)
    np.testing.assert_array_equal(weights_of(unlimited), np.ones(3))


@pytest.mark.parametrize("entry", [*to_config(CALIBRATION, 1)])
def test_a_missing_calibration_entry_is_refused_before_any_training(entry: str) -> None:
    message, trainer = request(), Trainer(np.ones(3))
    del message.content["config"][entry]
    reason = refusal(clip_then_noise(message, context(settings_of()), trainer))
    assert "without a usable privacy calibration" in reason
    assert trainer.calls == 0


@pytest.mark.parametrize(
    "change",
    [
        {"dp-epsilon": 0.0},
        {"dp-epsilon": float("inf")},
        {"dp-epsilon": float("nan")},
        {"dp-epsilon": "many"},
        {"dp-epsilon": [1.0]},
        {"dp-delta": 1.0},
        {"dp-clip-norm": -1.0},
        {"dp-exposures": 0},
        {"dp-exposures": 101},
        {"dp-reading": "sigma"},
    ],
    ids=str,
)
def test_a_calibration_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    trainer = Trainer(np.ones(3))
    reason = refusal(clip_then_noise(request(**change), context(settings_of()), trainer))
    assert "without a usable privacy calibration" in reason
    assert trainer.calls == 0


@pytest.mark.parametrize("smallest", [0, -5])
def test_a_smallest_shard_of_nothing_uploads_nothing(smallest: int) -> None:
    with pytest.raises(ValueError, match="smallest shard must be at least 1"):
        clip_then_noise(request(m=smallest), context(settings_of()), Trainer(np.ones(3)))


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6),
    st.floats(0.01, 10),
    st.integers(1, RECORDS),
)
def test_whatever_was_trained_leaves_clipped_and_noised(
    model: list[float], bound: float, m: int
) -> None:
    """The upload minus its own noise lies in the ball: the same draws, sigma_1 by the formula."""
    calibration = GlobalDP(2.0, 0.01, bound, 5, 3)
    settings = settings_of(seed=9)
    reply = clip_then_noise(request(calibration, m), context(settings), Trainer(model))
    std = sqrt(2 * log(125)) * 3 * (2 * bound / m) / 2.0
    draws = SeededNoise(9, Purpose.CLINIC_NOISE, 2).standard_normal(len(model), 4)
    clipped = weights_of(reply) - std * draws
    assert np.linalg.norm(clipped) <= bound * (1 + 1e-9)
    inside = np.linalg.norm(model) <= bound
    expected = np.array(model) if inside else bound * np.array(model) / np.linalg.norm(model)
    np.testing.assert_allclose(clipped, expected, atol=1e-9 * bound + 1e-12 * std)


def test_the_noise_has_the_stated_standard_deviation() -> None:
    """20,000 coordinates of a zero model: five standard errors of a variance, sqrt(2/n)."""
    size = 20_000
    for noise in ("seeded", "system"):
        reply = clip_then_noise(
            request(), context(settings_of(noise=noise)), Trainer(np.zeros(size))
        )
        ratio = weights_of(reply) / CALIBRATION.upload_noise_std(RECORDS)
        assert abs(ratio.var() - 1) < 5 * sqrt(2 / size)
        assert abs(ratio.mean()) < 5 / sqrt(size)


def test_the_systems_noise_differs_every_time_and_seeded_noise_by_round_and_clinic() -> None:
    def upload(settings: Settings, partition: int = 2, round_: int = 4) -> bytes:
        own = context(settings, **{"partition-id": partition})
        reply = clip_then_noise(request(**{"server-round": round_}), own, Trainer(np.zeros(3)))
        return weights_of(reply).tobytes()

    system, seeded = settings_of(noise="system"), settings_of()
    assert upload(system) != upload(system)
    assert upload(seeded) == upload(seeded)
    assert len({upload(seeded, p, t) for p in range(3) for t in range(1, 4)}) == 9
    assert upload(seeded) != upload(settings_of(seed=2))


def test_all_arrays_are_clipped_as_one_vector() -> None:
    """Two arrays of norm 3 and 4 together have norm 5: both shrink by the same factor."""

    def trainer(message: Message, _: Context) -> Message:
        arrays = {
            "a": Array(np.full((1, 1), 3.0)),
            "b": Array(np.array([0.0, 4.0], dtype=np.float32)),
        }
        metrics = MetricRecord({"num-examples": RECORDS})
        content = RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics})
        return Message(content, reply_to=message)

    quiet = GlobalDP(1e12, 0.01, 1.0, 1, 1)
    arrays = clip_then_noise(request(quiet), context(settings_of()), trainer).content["arrays"]
    np.testing.assert_allclose(arrays["a"].numpy(), [[0.6]], atol=1e-9)
    np.testing.assert_allclose(arrays["b"].numpy(), [0.0, 0.8], atol=1e-9)


def test_a_trainer_that_returns_the_broadcast_does_not_noise_it_for_others() -> None:
    """In one process the request's records belong to the server: they must stay as they were."""

    def lazy(message: Message, _: Context) -> Message:
        metrics = MetricRecord({"num-examples": RECORDS})
        content = RecordDict({"arrays": message.content["arrays"], "metrics": metrics})
        return Message(content, reply_to=message)

    message = request()
    reply = clip_then_noise(message, context(settings_of()), lazy)
    assert message.content["arrays"]["model"].numpy().tolist() == [0.0, 0.0, 0.0]
    assert np.abs(weights_of(reply)).min() > 0


def test_two_array_records_are_not_uploaded() -> None:
    def trainer(message: Message, _: Context) -> Message:
        exact = ArrayRecord({"model": to_array(np.ones(3))})
        metrics = MetricRecord({"num-examples": RECORDS})
        content = RecordDict({"arrays": exact, "more": exact.copy(), "metrics": metrics})
        return Message(content, reply_to=message)

    with pytest.raises(ValueError, match="expected one ArrayRecord in the message, got 2"):
        clip_then_noise(request(), context(settings_of()), trainer)
