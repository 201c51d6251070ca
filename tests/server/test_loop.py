"""The round loop: empty rounds change nothing and say so; a run of nothing has failed."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, MetricRecord

from server.errors import RunFailed
from server.federation import run_federation
from server.loop import RoundRecord
from strategies.wrappers.base import StrategyWrapper
from tests.peers import Peers, federate, grid_of, raises, settings_of
from tests.server.hostile import failing, refusing, upload

SETTINGS = settings_of(rounds=5)
EVERYBODY = range(7)


class Sometimes:
    """Tampering in some rounds only; a client's own count of its train replies is the round."""

    def __init__(self, rounds: set[int], tamper: Callable[[Message], Any]) -> None:
        self.rounds, self.tamper, self.round = rounds, tamper, 0

    def __call__(self, reply: Message) -> Any:
        self.round += 1
        return self.tamper(reply) if self.round in self.rounds else reply


def test_records_are_one_a_round_and_told_as_they_end() -> None:
    told: list[RoundRecord] = []
    run = run_federation(grid_of(SETTINGS), SETTINGS, told.append)
    assert [record.round for record in told] == list(range(6))
    assert told == run.rounds
    untrained, first = told[0], told[1]
    assert untrained.sizes == {}
    assert untrained.metrics["accuracy"] == untrained.metrics["specificity"] * 92 / 137
    assert first.sizes == {f"partition:{n}": 78 for n in EVERYBODY}
    assert all(record.seconds > 0 for record in told[1:])
    assert run.final == told[-1].metrics


def test_a_row_of_rounds_csv_has_only_plain_values() -> None:
    row = federate(SETTINGS, {0: raises}).rounds[1].as_dict()
    assert (row["round"], row["replies"]) == (1, 6)
    for key, value in row.items():
        if key != "verdicts":
            assert isinstance(value, int | float)
    assert [set(verdict) for verdict in row["verdicts"]] == [
        {"identity", "message_type", "kind", "reason"}
    ]


@pytest.mark.parametrize("empty", [{1}, {3}, {2, 3}, {5}, {1, 2, 4, 5}], ids=str)
def test_an_empty_round_leaves_the_model_as_it_was_without_noise_and_says_so(
    empty: set[int],
) -> None:
    models: list[Any] = []

    class Spy(StrategyWrapper):
        def configure_train(self, server_round: int, arrays: ArrayRecord, *rest: Any) -> Any:
            models.append(arrays["model"].numpy())
            return super().configure_train(server_round, arrays, *rest)

    tampering = {n: Sometimes(empty, failing("down for the night")) for n in EVERYBODY}
    run = run_federation(grid_of(SETTINGS, Peers(tampering)), SETTINGS, wrap=Spy)
    models.append(run.weights)
    for number, record in enumerate(run.rounds[1:], start=1):
        same = models[number].tobytes() == models[number - 1].tobytes()
        assert same == (number in empty)
        assert ("broadcast-noise-std" in record.metrics) == (number not in empty)
        assert record.as_dict()["replies"] == (0 if number in empty else 7)
        failed = [v for v in record.verdicts if v["reason"] == "down for the night"]
        assert len(failed) == (7 if number in empty else 0)


def test_an_aggregation_that_makes_nothing_of_its_replies_is_said() -> None:
    """Bulyan needs 4 f + 3 = 7 of 7; one fails in round 2."""
    settings = SETTINGS.changed(aggregation="bulyan", byzantine=1)
    run = run_federation(grid_of(settings, Peers({3: Sometimes({2}, failing("gone"))})), settings)
    record = run.rounds[2]
    assert record.sizes == {}
    assert {(v["identity"], v["kind"], v["reason"]) for v in record.verdicts} == {
        ("partition:3", "failed", "gone"),
        ("server", "unmerged", "bulyan with f 1 needs 7 replies and has 6"),
    }
    assert run.rounds[3].as_dict()["replies"] == 7


def test_a_run_in_which_every_round_is_empty_has_failed() -> None:
    told: list[RoundRecord] = []
    peers = Peers(dict.fromkeys(EVERYBODY, failing("no disk")))
    with pytest.raises(
        RunFailed, match=r"^no usable reply up to round 5, 7 times because: no disk$"
    ):
        run_federation(grid_of(SETTINGS, peers), SETTINGS, told.append)
    assert len(told) == 6


def test_when_every_clinic_refuses_the_run_fails_in_the_first_round() -> None:
    told: list[RoundRecord] = []
    settings = SETTINGS.changed(max_nominal_epsilon=1.0)
    with pytest.raises(
        RunFailed, match=r"up to round 1, .*epsilon 30 is above this clinic's limit 1"
    ):
        run_federation(grid_of(settings), settings, told.append)
    assert max(record.round for record in told) <= 1


def test_one_refusal_less_and_the_run_goes_on() -> None:
    tampering = dict.fromkeys(range(6), refusing("closed")) | {6: Sometimes({1}, raises)}
    run = federate(SETTINGS, tampering)
    assert [record.as_dict()["replies"] for record in run.rounds] == [0, 0, 1, 1, 1, 1]


def test_metrics_of_a_users_strategy_are_recorded() -> None:
    class Counting(StrategyWrapper):
        def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
            arrays, _ = super().aggregate_train(server_round, replies)
            return arrays, MetricRecord({"seen": server_round})

        def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> Any:
            return MetricRecord({"asked": len(list(replies))})

    run = run_federation(grid_of(SETTINGS), SETTINGS, wrap=Counting)
    assert [(r.metrics["seen"], r.metrics["clients-asked"]) for r in run.rounds[1:]] == [
        (n, 7) for n in range(1, 6)
    ]


def test_an_upload_that_wrecks_the_model_within_the_rules_is_still_a_finite_model() -> None:
    """Without clipping 1e150 passes; the honest answers to it must not become NaN models."""
    plain = settings_of("fedavg", rounds=3)
    with np.errstate(all="ignore"):
        run = federate(plain, {2: upload(np.full(10, 1e150))})
    assert np.isfinite(run.weights).all()
