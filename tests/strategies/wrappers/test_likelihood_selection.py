"""LikelihoodSelection alone: what it passes inward, whom it asks again, around any strategy."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg, FedMedian, Krum, Strategy

from strategies.trust import KnownNoiseDetector
from strategies.trust.lens import UpdateLens
from strategies.trust.reasons import MAY_CLEAR
from strategies.trust.reliability import Reliability
from strategies.wrappers.aggregation import _EVERYBODY
from strategies.wrappers.likelihood_selection import LikelihoodSelection
from strategies.wrappers.protocol import MODEL, UPLOAD_NUMBER
from strategies.wrappers.vectors import to_array, to_vector
from tests.peers import grid_of, settings_of

CLINICS, DIMENSION, RECORDS, NOISE = 12, 10, 27, 0.6
COURSE = np.linspace(0.5, 1.5, DIMENSION)
LENS = UpdateLens(3.0, lambda sizes, _: np.full(sizes.shape, NOISE))
Array = np.ndarray


class Watched(FedAvg):
    """FedAvg that keeps the replies it was given."""

    given: list[Message]

    def aggregate_train(self, server_round: int, replies: Any) -> Any:
        self.given = list(replies)
        return super().aggregate_train(server_round, self.given)


def layer(inner: Strategy | None = None, lens: UpdateLens = LENS, **rest: Any) -> Any:
    return LikelihoodSelection(
        inner or Watched(**_EVERYBODY), KnownNoiseDetector(DIMENSION), lens, str, **rest
    )


def play_round(
    chosen: LikelihoodSelection,
    number: int,
    behave: Callable[[int, Array], Array] = lambda _, u: u,
    silent: tuple[int, ...] = (),
) -> tuple[list[Message], Any]:
    """Ask, answer with noised directions (changed by ``behave``), merge; return the requests."""
    grid = grid_of(settings_of(clients=CLINICS), get_node_ids=lambda: range(CLINICS))
    start = ArrayRecord({MODEL: to_array(np.full(DIMENSION, 0.25))})
    requests = list(chosen.configure_train(number, start, ConfigRecord(), grid))
    requests.sort(key=lambda request: request.metadata.dst_node_id)  # as the CheckedGrid does
    replies = []
    for request in requests:
        node = request.metadata.dst_node_id
        rng = np.random.default_rng((number, node))
        u = behave(node, COURSE + NOISE * rng.standard_normal(DIMENSION))
        reply = Message(RecordDict(), reply_to=request)
        if node in silent:
            continue
        reply.content = RecordDict(
            {
                "arrays": ArrayRecord({MODEL: to_array(0.25 + u * 3.0 / RECORDS)}),
                "metrics": MetricRecord({"num-examples": RECORDS}),
            }
        )
        replies.append(reply)
    return requests, chosen.aggregate_train(number, replies)


def asked(requests: list[Message]) -> set[int]:
    return {request.metadata.dst_node_id for request in requests}


def flip(*nodes: int) -> Callable[[int, Array], Array]:
    return lambda node, u: u - 2 * COURSE if node in nodes else u


def test_honest_uploads_reach_the_inner_strategy_as_they_came() -> None:
    chosen = layer()
    _, (arrays, metrics) = play_round(chosen, 1)
    given = chosen.inner.given
    assert [reply.metadata.src_node_id for reply in given] == list(range(CLINICS))
    weights = np.array([reply.content["metrics"]["num-examples"] for reply in given])
    assert (weights > 0.9 * RECORDS).all()
    assert (weights <= RECORDS).all()
    models = np.array([to_vector(reply.content["arrays"][MODEL]) for reply in given])
    np.testing.assert_allclose(
        to_vector(arrays[MODEL]), np.average(models, axis=0, weights=weights), rtol=1e-12
    )
    assert (metrics["trusted"], metrics["dropped"], metrics["breaches"]) == (CLINICS, 0, 0)


def test_flipped_uploads_are_dropped_and_their_senders_not_asked_again() -> None:
    chosen = layer()
    play_round(chosen, 1, flip(2, 5, 7))
    assert {reply.metadata.src_node_id for reply in chosen.inner.given} == {*range(CLINICS)} - {
        2,
        5,
        7,
    }
    assert chosen.merged_nodes() == frozenset(range(CLINICS)) - {2, 5, 7}
    assert set(chosen.last.reasons) == {"2", "5", "7"}
    requests, _ = play_round(chosen, 2)
    assert asked(requests) == set(range(CLINICS)) - {2, 5, 7}
    assert "2" not in chosen.last.trusted
    assert chosen.last.reputations["2"] < 0.5 < chosen.last.reputations["0"]


def test_a_long_upload_is_shortened_to_what_an_honest_one_can_be() -> None:
    chosen = layer()
    play_round(chosen, 1, lambda node, u: 50 * u if node == 3 else u)
    longest = 0.95 * 0.3 * RECORDS + NOISE * np.sqrt(35.56)  # chi2_10(.9999) = 35.56
    for reply in chosen.inner.given:
        model = to_vector(reply.content["arrays"][MODEL])
        assert np.linalg.norm((model - 0.25) * RECORDS / 3.0) <= longest * (1 + 1e-6)


@pytest.mark.parametrize(
    "inner",
    [
        FedAvg(**_EVERYBODY),
        FedMedian(**_EVERYBODY),
        FedAdam(**_EVERYBODY, eta=0.1),
        Krum(**_EVERYBODY, num_malicious_nodes=2),
    ],
)
def test_any_flower_strategy_works_inside(inner: Strategy) -> None:
    """Three of twelve go the other way: whatever merges goes the way of the nine."""
    chosen = layer(inner)
    _, (arrays, _) = play_round(chosen, 1, flip(0, 1, 4))
    moved = to_vector(arrays[MODEL]) - 0.25
    assert moved @ COURSE > 0.8 * np.linalg.norm(moved) * np.linalg.norm(COURSE)


def test_nobody_honest_leaves_nothing_to_merge() -> None:
    chosen = layer()
    play_round(chosen, 1)
    chosen.detector.update = lambda *_: nobody(_)  # type: ignore[method-assign]

    def nobody(given: Any) -> Any:
        judged = chosen.detector.standing(given[1])
        return type(judged)(
            judged.identities,
            0.0 * judged.honest,
            judged.belief,
            judged.disbelief,
            judged.uncertainty,
            judged.reasons,
        )

    assert play_round(chosen, 2)[1][0] is None
    assert chosen.merged_nodes() == frozenset()


def test_who_was_asked_and_sends_nothing_breaks_the_deal() -> None:
    chosen = layer()
    play_round(chosen, 1, silent=(6,))
    assert chosen.last.breaches == ("6",)
    requests, _ = play_round(chosen, 2)
    assert asked(requests) == set(range(CLINICS)) - {6}
    later = [asked(play_round(chosen, number)[0]) for number in range(3, 20)]
    assert 6 in later[-1]  # a breach is forgotten some day


def test_reliability_by_hand() -> None:
    """One breach of a newcomer: 1 - 1/2; after three kept deals (1 + .8 + .64), 1 - 1/(1.952 + 2)."""
    found = Reliability()
    found.note([], ["a"])
    for _ in range(3):
        found.note(["b"], [])
    found.note([], ["b"])
    expected = 1 - 1 / (0.8 * (1 + 0.8 + 0.64) + 1 + 1)
    assert found.of(["b"])[0] == pytest.approx(expected)
    assert found.of(["a", "new"]) == pytest.approx([1 - 0.8**4 / (0.8**4 + 1), 1.0])
    for _ in range(20):
        found.note([], [])
    assert found.of(["a", "b"]).tolist() == [1.0, 1.0]


def test_a_rejected_reply_weighs_as_ten_silences() -> None:
    """10 * .8^n < .05 from n = 24 on; a silence is forgotten after 14 rounds."""
    found = Reliability()
    found.note([], ["rejected", "silent"], {"rejected"})
    assert found.of(["rejected", "silent"]) == pytest.approx([1 / 11, 1 / 2])
    back = {}
    for passed in range(1, 30):
        found.note([], [])
        for name in ("rejected", "silent"):
            if found.of([name])[0] == 1.0:
                back.setdefault(name, passed)
    assert back == {"silent": 14, "rejected": 24}


def test_who_left_the_grid_broke_nothing() -> None:
    """A clinic whose budget is spent is no longer shown, and its refusal is no breach."""
    chosen = layer()
    grid = grid_of(settings_of(clients=CLINICS), get_node_ids=lambda: range(CLINICS))
    start = ArrayRecord({MODEL: to_array(np.zeros(DIMENSION))})
    requests = list(chosen.configure_train(1, start, ConfigRecord(), grid))
    grid.get_node_ids = lambda: range(CLINICS - 1)  # type: ignore[method-assign]
    chosen._present = grid.get_node_ids
    errors = [Message(Error(0), reply_to=request) for request in requests]
    chosen.aggregate_train(1, errors)
    assert set(chosen.last.breaches) == {str(node) for node in range(CLINICS - 1)}


def test_a_spent_budget_is_not_asked_again() -> None:
    chosen = layer(limit=2)
    for number in (1, 2):
        assert len(play_round(chosen, number)[0]) == CLINICS
    requests, (arrays, metrics) = play_round(chosen, 3)
    assert (requests, arrays) == ([], None)
    assert metrics["trusted"] == CLINICS  # they are, and have nothing left to give


def test_every_request_says_which_upload_it_is_where_noise_depends_on_it() -> None:
    unequal = UpdateLens(3.0, LENS.noise_of, unequal=True)
    chosen = layer(lens=unequal)
    play_round(chosen, 1, flip(2))
    requests, _ = play_round(chosen, 2)
    numbers = [request.content["config"][UPLOAD_NUMBER] for request in requests]
    assert numbers == [2] * (CLINICS - 1)
    plain, _ = play_round(layer(), 1)
    assert UPLOAD_NUMBER not in plain[0].content["config"]


def test_the_noise_of_each_upload_is_that_of_its_own_number() -> None:
    seen: list[list[int]] = []

    def noise_of(sizes: Array, numbers: Array) -> Array:
        seen.append(numbers.tolist())
        return np.full(sizes.shape, NOISE)

    chosen = layer(lens=UpdateLens(3.0, noise_of, unequal=True))
    play_round(chosen, 1, silent=(11,))  # 11 was asked: it may have uploaded in vain
    for number in range(2, 18):
        play_round(chosen, number)
    assert seen[0] == [1] * 11
    assert seen[1] == [2] * 11
    assert seen[-1][:11] == [17] * 11
    assert 2 <= seen[-1][11] < 17


def test_a_clinic_in_doubt_is_asked_on_at_its_posterior_unless_it_sells() -> None:
    """Clinic 4 stands between honest and absent in round 1; nobody knows yet."""

    def unlucky(node: int, u: Array) -> Array:
        return u - 0.45 * COURSE if node == 4 else u

    for chance in (True, False):
        chosen = layer(second_chance=chance)
        chosen.detector = KnownNoiseDetector(DIMENSION)
        play_round(chosen, 1, unlucky)
        verdict = chosen.detector._verdict
        doubted = np.where(np.arange(verdict.honest.size) == 4, 0.2, verdict.honest)
        chosen.detector._verdict = replace(verdict, honest=doubted)
        requests, _ = play_round(chosen, 2)
        assert (4 in asked(requests)) == chance
        assert "4" not in chosen.last.trusted


def test_a_clinic_that_is_surely_hostile_has_no_second_chance() -> None:
    chosen = layer(second_chance=True)
    play_round(chosen, 1, flip(2, 5, 7))
    assert not {2, 5, 7} & asked(play_round(chosen, 2)[0])


def test_whom_bad_luck_may_have_shut_is_asked_on_without_weight_and_may_return() -> None:
    """Clinic 3 strays in rounds 4 and 5 and is taken out; its later uploads let it in again."""
    strayed = -4.0 * NOISE * COURSE / np.linalg.norm(COURSE)
    chosen = layer(second_chance=True)
    told, weighed = {}, {}
    for number in range(1, 21):
        stray = strayed if number in {4, 5} else np.zeros(DIMENSION)
        play_round(chosen, number, lambda node, u, away=stray: u + away * (node == 3))  # type: ignore[misc]
        told[number], weighed[number] = chosen.last.reasons.get("3", ""), chosen.last.honest["3"]
    assert told[5] in MAY_CLEAR
    assert weighed[5] == 0.0
    assert weighed[20] > 0.5


def test_copies_are_out_for_good() -> None:
    chosen = layer(second_chance=True)
    play_round(chosen, 1, lambda node, u: COURSE if node in {2, 5} else u)
    assert not {2, 5} & asked(play_round(chosen, 2)[0])
