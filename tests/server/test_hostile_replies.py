"""Whatever one client answers, the round goes on with the others and names the right one."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from federation.backends.inprocess import FIRST_NODE
from server.errors import RunFailed
from server.federation import FederatedRun, run_federation
from strategies.learning.task import federation_of
from strategies.settings import AGGREGATIONS
from tests.peers import federate, grid_of, raises, settings_of
from tests.server.hostile import CASES, Hostile

HOSTILE = 3
SETTINGS = settings_of(rounds=4)
OTHERS = {f"partition:{n}" for n in range(7) if n != HOSTILE}


@pytest.fixture(scope="module")
def without_it() -> FederatedRun:
    """The same run in which the hostile clinic's code only raises: what all must equal."""
    return federate(SETTINGS, {HOSTILE: raises})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_round_goes_on_with_the_others(case: Hostile, without_it: FederatedRun) -> None:
    run = federate(SETTINGS, {HOSTILE: case.tamper})
    for record in run.rounds[1:]:
        (verdict,) = record.verdicts
        assert (verdict["identity"], verdict["message_type"]) == ("partition:3", "train")
        assert verdict["kind"] == case.kind
        assert re.search(case.reason, verdict["reason"]), verdict["reason"]
        assert verdict["reason"].isprintable()
        assert len(verdict["reason"]) <= 300
        assert set(record.sizes) == OTHERS
        assert record.as_dict()["replies"] == 6
    assert np.isfinite(run.weights).all()
    assert run.weights.tobytes() == without_it.weights.tobytes()


def test_without_the_hostile_clinic_the_weights_and_the_noise_are_those_of_six(
    without_it: FederatedRun,
) -> None:
    """pi_i is over the replies accepted in the round; m stays as enrolled."""
    sizes = federation_of(SETTINGS).sizes
    accepted = [n for i, n in enumerate(sizes) if i != HOSTILE]
    expected = SETTINGS.calibration().broadcast_noise_std(min(sizes), accepted)
    assert without_it.rounds[1].metrics["broadcast-noise-std"] == expected
    everyone = federate(SETTINGS)
    assert everyone.rounds[1].metrics["broadcast-noise-std"] != expected
    assert everyone.weights.tobytes() != without_it.weights.tobytes()


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_every_aggregation_survives_the_worst_of_them(aggregation: str) -> None:
    worst = {"NaN", "shape (1,)", "exact loss", "weight 0", "square overflows"}
    chosen = [case for case in CASES if case.name in worst]
    settings = settings_of(aggregation=aggregation, clients=12, rounds=1)
    run = federate(settings, {i: case.tamper for i, case in enumerate(chosen)})
    assert np.isfinite(run.weights).all()
    assert len(run.rounds[1].sizes) == 7
    assert {v["identity"] for v in run.rounds[1].verdicts} == {f"partition:{i}" for i in range(5)}


def test_without_clipping_there_is_no_norm_bound_but_overflow_is_rejected() -> None:
    plain = settings_of("fedavg", rounds=1)
    cases = {case.name: case for case in CASES}
    assert (
        len(federate(plain, {HOSTILE: cases["norm above the bound"].tamper}).rounds[1].sizes) == 7
    )
    run = federate(plain, {HOSTILE: cases["square overflows"].tamper})
    assert [v["reason"] for v in run.rounds[1].verdicts] == ["norm inf is above the bound inf"]


def test_an_honest_upload_is_never_above_the_norm_bound() -> None:
    """The bound fails with probability 1e-6 an upload; 2,800 of them at the heaviest noise."""
    run = federate(settings_of(epsilon=0.1, rounds=400, learning_rate=1.0))
    assert [record.verdicts for record in run.rounds] == [[]] * 401


@pytest.mark.parametrize("extra", [{"accuracy": 0.9}, {"num-examples": 7}, {"rates": [0.1, 0.2]}])
def test_an_evaluation_with_figures_of_private_records_is_rejected(extra: dict[str, Any]) -> None:
    def tamper(reply: Message) -> Message:
        reply.content["metrics"].update(extra)
        return reply

    run = federate(SETTINGS, {HOSTILE: tamper}, "evaluate")
    for record in run.rounds[1:]:
        (verdict,) = record.verdicts
        assert (verdict["identity"], verdict["message_type"]) == ("partition:3", "evaluate")
        assert len(record.sizes) == 7
        assert not any(name in record.metrics for name in ("clients-accuracy", "clients-rates"))
    assert run.weights.tobytes() == federate(SETTINGS).weights.tobytes()


def relayed(relay: Callable[[list[Message]], Iterable[Message]]) -> FederatedRun:
    return run_federation(grid_of(SETTINGS, relay=relay), SETTINGS)


def test_replies_in_any_order_give_the_same_bits() -> None:
    expected = federate(SETTINGS).weights.tobytes()
    assert relayed(lambda replies: replies[::-1]).weights.tobytes() == expected
    assert relayed(lambda replies: replies[3:] + replies[:3]).weights.tobytes() == expected


def test_a_repeated_reply_counts_once_and_is_named() -> None:
    run = relayed(lambda replies: [*replies, replies[0], replies[0]])
    repeated = {v["identity"] for v in run.rounds[1].verdicts}
    assert len(run.rounds[1].verdicts) == 2
    assert repeated <= {f"partition:{n}" for n in range(7)}
    assert {v["reason"] for v in run.rounds[1].verdicts} == {"answers the same request again"}
    assert run.weights.tobytes() == federate(SETTINGS).weights.tobytes()


def test_a_reply_to_nothing_is_nobodys() -> None:
    def relay(replies: list[Message]) -> list[Message]:
        stray = Message(replies[0].content, reply_to=replies[0])
        stray.metadata.__dict__["_reply_to_message_id"] = "f" * 64
        stray.metadata.__dict__["_message_type"] = "\x1b[2J\n"
        return [stray, *replies]

    run = relayed(relay)
    (verdict,) = run.rounds[1].verdicts
    assert (verdict["identity"], verdict["message_type"]) == ("unknown", "train")
    assert verdict["reason"] == "answers no request of this round"
    assert run.weights.tobytes() == federate(SETTINGS).weights.tobytes()


def test_a_reply_that_does_not_come_in_time_is_missing(without_it: FederatedRun) -> None:
    def relay(replies: list[Message]) -> list[Message]:
        return [reply for reply in replies if reply.metadata.src_node_id != FIRST_NODE + HOSTILE]

    run = relayed(relay)
    (verdict,) = run.rounds[1].verdicts
    assert verdict == {
        "identity": "partition:3",
        "message_type": "train",
        "kind": "missing",
        "reason": "no reply in time",
    }
    assert run.weights.tobytes() == without_it.weights.tobytes()


def test_all_bad_replies_are_a_failed_run_with_the_commonest_reason() -> None:
    cases = {case.name: case for case in CASES}
    tampering = {n: cases["NaN"].tamper for n in range(6)} | {6: cases["weight 0"].tamper}
    with pytest.raises(RunFailed, match=r"up to round 4, 6 times because: .* not finite"):
        federate(SETTINGS, tampering)
