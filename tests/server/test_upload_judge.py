"""An upload beside its broadcast: how far, whether at all, and of which round."""

from collections.abc import Iterable
from math import log, sqrt
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from federation.runner import run_one
from server.registry import Participant
from server.replies import ReplyRejected, TrainJudge
from server.upload_judge import UploadJudge, reach_of
from strategies.presets import compose
from strategies.privacy.mechanisms import mechanism_of
from strategies.wrappers.vectors import to_array

D = 3
ALONE = TrainJudge("model", D, 10.0)
CLINICS = [Participant(f"partition:{n}", n, 1000 + n, "clinic", 50) for n in range(2)]


@pytest.fixture(autouse=True)
def _task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower writes into each message whose it is: some task's, also where no grid was made."""
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def asked(broadcast: Iterable[float], number: int) -> list[Message]:
    arrays = ArrayRecord({"model": to_array(np.array(list(broadcast), float))})
    config = ConfigRecord({"server-round": number})
    return [
        Message(RecordDict({"arrays": arrays, "config": config}), c.node_id, "train")
        for c in CLINICS
    ]


def reply(values: Iterable[float], number: Any) -> RecordDict:
    metrics: dict[str, Any] = {"num-examples": 50, "server-round": number}
    arrays = ArrayRecord({"model": to_array(np.array(list(values), float))})
    return RecordDict({"arrays": arrays, "metrics": MetricRecord(metrics)})


def judge(reach: float = 1.0, *, moves: bool = True) -> UploadJudge:
    return UploadJudge(ALONE, lambda _: reach, moves=moves)


def test_a_good_upload_passes_and_its_round_is_taken_out_of_it() -> None:
    found, content = judge(), reply([0.5, 0.0, 0.0], 1)
    found.brief(asked([0, 0, 0], 1))
    sent = content["metrics"]
    found(content, CLINICS[0])
    assert dict(content["metrics"].items()) == {"num-examples": 50}
    assert sent["server-round"] == 1  # the client's own record is left alone


@pytest.mark.parametrize(
    ("values", "number", "why"),
    [
        ([1.0, 1.0, 0.0], 1, r"moves the model by 1\.414 where .* at most 1"),
        ([0.5, 0.0, 0.0], 2, "answers round 2 where round 1 was asked"),
        ([0.5, 0.0, 0.0], 0.5, r"answers round 0\.5 where"),
        ([0.5, 0.0, 0.0], float("nan"), "answers round nan where"),
        ([0.5, 0.0, 0.0], [1], r"answers round \[1\] where"),
        ([0.0, 0.0, 0.0], 1, "came back as it was sent"),
        ([np.nan, 0.0, 0.0], 1, "not finite"),
        ([11.0, 0.0, 0.0], 1, "norm 11 is above the bound 10"),
    ],
)
def test_what_is_rejected(values: list[float], number: Any, why: str) -> None:
    found = judge()
    found.brief(asked([0, 0, 0], 1))
    with pytest.raises(ReplyRejected, match=why):
        found(reply(values, number), CLINICS[0])


def test_an_upload_made_of_another_broadcast_is_a_repeat() -> None:
    found = judge()
    found.brief(asked([0, 0, 0], 1))
    found(reply([0.5, 0, 0], 1), CLINICS[0])
    found(reply([0.5, 0, 0], 1), CLINICS[1])  # whose copy, no one can say within a round
    found.brief(asked([0, 0, 0], 2))
    found(reply([0.5, 0, 0], 2), CLINICS[0])  # nothing was merged: the same from the same is honest
    found.brief(asked([0.1, 0, 0], 3))
    with pytest.raises(ReplyRejected, match="repeats its own upload of an earlier round"):
        found(reply([0.5, 0, 0], 3), CLINICS[0])
    with pytest.raises(ReplyRejected, match="repeats partition:0's upload"):
        found(reply([0.5, 0, 0], 3), CLINICS[1])


def test_only_so_many_uploads_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.upload_judge.MAX_REMEMBERED", 1)
    found = judge()
    for number in range(1, 4):
        found.brief(asked([number / 100, 0, 0], number))
        found(reply([number / 10, 0, 0], number), CLINICS[0])
    found.brief(asked([0.5, 0, 0], 4))
    found(reply([0.1, 0, 0], 4), CLINICS[0])  # forgotten
    with pytest.raises(ReplyRejected, match="repeats its own"):
        found(reply([0.3, 0.0, 0], 4), CLINICS[0])


def test_a_converged_clinic_without_noise_and_regulariser_may_stay() -> None:
    """One clinic alone: its upload becomes the broadcast, and then it is satisfied."""
    found = judge(moves=False)
    found.brief(asked([0, 0, 0], 1))
    found(reply([0.5, 0, 0], 1), CLINICS[0])
    found.brief(asked([0.5, 0, 0], 2))
    found(reply([0.5, 0, 0], 2), CLINICS[0])


def test_a_client_that_alters_its_copy_of_the_request_changes_nothing() -> None:
    found, requests = judge(), asked([0, 0, 0], 1)
    found.brief(requests)
    requests[0].content["arrays"]["model"] = to_array(np.full(D, 5.0))
    requests[0].content["config"]["server-round"] = 7
    with pytest.raises(ReplyRejected, match="moves the model"):
        found(reply([5.0, 5.0, 4.5], 1), CLINICS[0])


def test_the_reach_of_dp_gd_is_a_step_of_clipped_gradients_and_the_noise_part() -> None:
    """eta C + eta sigma (sqrt d + sqrt(2 ln 1e6)) / m with eta 3, C .3, d 10, m 27."""
    settings = compose("dp-gd", {"epsilon": 2.0})
    std = mechanism_of(settings).noise_std  # type: ignore[union-attr]
    expected = 3 * 0.3 + 3 * std * (sqrt(10) + sqrt(2 * log(1e6))) / 27
    assert reach_of(settings, 10)(27) == pytest.approx(expected)


def test_the_reach_of_dp_sgd_grows_with_steps_and_batches() -> None:
    settings = compose("dp-sgd", {"epsilon": 2.0, "steps": 4, "batches": 5})
    std = mechanism_of(settings).noise_std  # type: ignore[union-attr]
    noise = 3 * std * 5 * sqrt(4) * (sqrt(10) + sqrt(2 * log(1e6))) / 27
    assert reach_of(settings, 10)(27) == pytest.approx(3 * 0.3 * 5 * 4 + noise)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 100.0])
def test_an_honest_upload_of_dp_gd_is_within_reach(epsilon: float) -> None:
    """It fails with probability 1e-6 an upload; 1,200 of them."""
    run = run_one(compose("dp-gd", {"epsilon": epsilon, "rounds": 60}))
    assert all(record.verdicts == [] for record in run.rounds)


def test_records_that_all_pull_one_way_reach_the_bound_and_not_more() -> None:
    """Without noise m gradients of norm C in one direction move the model by eta C exactly."""
    settings = compose("dp-gd", {"epsilon": 900.0})
    units: NDArray[np.float64] = np.zeros((27, 1, 10))
    units[:, 0, 0] = 5.0
    mechanism: Any = mechanism_of(settings)
    upload = mechanism.upload(np.zeros(10), units, 27, np.zeros(10))
    assert np.linalg.norm(upload) == pytest.approx(0.9)
    assert np.linalg.norm(upload) < reach_of(settings, 10)(27)


@pytest.mark.slow
def test_an_honest_upload_of_dp_sgd_is_within_reach() -> None:
    run = run_one(compose("dp-sgd", {"epsilon": 0.5, "rounds": 4, "clients": 7, "steps": 3}))
    assert all(record.verdicts == [] for record in run.rounds)
