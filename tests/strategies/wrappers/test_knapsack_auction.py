"""The auction alone around FedAvg, and every way to be paid for less than was promised."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg, Strategy

from federation.backends.inprocess import InProcessGrid
from strategies.reputation import ReputationSettings
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.knapsack_auction import Appraisal, AuctionSettings, KnapsackAuction
from strategies.wrappers.narrowed_grid import NarrowedGrid
from strategies.wrappers.reputation_selection import ReputationSelection, SelectionSettings

EVERYBODY: dict[str, Any] = {
    "fraction_evaluate": 0.0,
    "min_train_nodes": 0,
    "min_evaluate_nodes": 0,
    "min_available_nodes": 0,
}
Offer = tuple[int, int, int]
FIRST = 1000


def clients_that(offers: dict[int, Offer | None]) -> InProcessGrid:
    """Return a grid whose clients answer offers (price, value, channels) and train a constant."""
    app = ClientApp()

    @app.query("offer")
    def offer(message: Message, context: Context) -> Message:
        made = offers[int(context.node_config["partition-id"])]
        if made is None:
            raise RuntimeError("not today")
        record = MetricRecord(dict(zip(("price", "value", "channels"), made, strict=True)))
        return Message(RecordDict({"metrics": record}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        number = int(context.node_config["partition-id"])
        arrays = ArrayRecord({"model": Array(np.full(2, float(number)))})
        metrics = MetricRecord({"num-examples": 1})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return InProcessGrid(app, [{"partition-id": n} for n in offers], {})


def as_claimed(offers: dict[int, Offer | None]) -> Callable[[Message, int], Appraisal]:
    def appraise(reply: Message, _: int) -> Appraisal:
        made = offers[reply.metadata.src_node_id - FIRST]
        assert made is not None
        return Appraisal(made[1], made[2])

    return appraise


def play(
    offers: dict[int, Offer | None],
    channels: int = 1,
    appraise: Callable[[Message, int], Appraisal] | None = None,
    lost: int | None = None,
    inner: Strategy | None = None,
    standing: dict[int, float] | None = None,
    **changes: Any,
) -> tuple[KnapsackAuction, ArrayRecord | None, MetricRecord | None]:
    """Play one round; the reply of ``lost`` never arrives."""
    settings = AuctionSettings(channels=channels, **changes)
    layer = KnapsackAuction(inner or FedAvg(**EVERYBODY), settings, appraise or as_claimed(offers))
    grid = clients_that(offers)
    seen = NarrowedGrid(grid, grid.get_node_ids(), standing)
    model = ArrayRecord({"model": Array(np.zeros(2))})
    requests = list(layer.configure_train(1, model, ConfigRecord(), seen))
    replies = grid.send_and_receive(requests)
    kept = [reply for reply in replies if reply.metadata.src_node_id != lost]
    arrays, metrics = layer.aggregate_train(1, kept)
    return layer, arrays, metrics


TWO: dict[int, Offer | None] = {0: (2, 10, 1), 1: (3, 8, 1)}


def test_the_best_of_two_wins_and_is_paid_what_the_other_lost() -> None:
    """One channel: W = 8, W without it = 5, so it is paid 10 - 5."""
    layer, arrays, metrics = play(TWO)
    assert layer.last.promised == {"1000": 5}
    assert layer.last.paid == {"1000": 5}
    assert layer.last.welfare == 8
    assert arrays is not None
    assert arrays["model"].numpy().tolist() == [0.0, 0.0]
    assert metrics is not None
    assert (metrics["winners"], metrics["paid"], metrics["escrow-returned"]) == (1, 5, 0)


def test_with_room_for_both_both_train_and_are_paid_their_value() -> None:
    layer, arrays, _ = play(TWO, channels=2)
    assert layer.last.paid == {"1000": 10, "1001": 8}
    assert arrays is not None
    assert arrays["model"].numpy().tolist() == [0.5, 0.5]


def test_a_false_value_is_not_paid() -> None:
    """It claims 30 and delivers 9: charged 5 for winning, it gets 4; at 5 it gets nothing."""
    lie: dict[int, Offer | None] = {0: (2, 30, 1), 1: (3, 8, 1)}
    layer, arrays, _ = play(lie, appraise=lambda *_: Appraisal(9, 1))
    assert (layer.last.promised, layer.last.paid) == ({"1000": 25}, {"1000": 4})
    assert arrays is not None
    layer, _, metrics = play(lie, appraise=lambda *_: Appraisal(5, 1))
    assert layer.last.paid == {"1000": 0}
    assert metrics is not None
    assert metrics["escrow-returned"] == 25


def test_a_puffed_up_delivery_earns_no_more_than_is_in_escrow() -> None:
    layer, _, _ = play(TWO, appraise=lambda *_: Appraisal(1_000, 1))
    assert layer.last.paid == {"1000": 5}


def test_who_takes_more_channels_than_it_booked_is_neither_used_nor_paid() -> None:
    layer, arrays, _ = play(TWO, appraise=lambda *_: Appraisal(10, 2))
    assert layer.last.overbooked == ("1000",)
    assert layer.last.paid == {"1000": 0}
    assert arrays is None


def test_nothing_is_released_for_what_does_not_arrive() -> None:
    layer, arrays, _ = play(TWO, channels=2, lost=1001)
    assert layer.last.paid == {"1000": 10, "1001": 0}
    assert arrays is not None
    assert arrays["model"].numpy().tolist() == [0.0, 0.0]


class Watcher(StrategyWrapper):
    """Remembers whether it was asked to configure."""

    asked = False

    def configure_train(self, *args: Any) -> Any:
        self.asked = True
        return self.inner.configure_train(*args)


@pytest.mark.parametrize(
    "offers", [{0: (9, 5, 1)}, {0: (1, 5, 2)}, {0: None, 1: None}, {}], ids=str
)
def test_without_winners_nobody_is_asked_and_the_model_stays(
    offers: dict[int, Offer | None],
) -> None:
    """Flower's default of two nodes would otherwise wait forever."""
    watcher = Watcher(FedAvg())
    layer, arrays, metrics = play(offers, inner=watcher)
    assert not watcher.asked
    assert arrays is None
    assert metrics is not None
    assert (metrics["winners"], metrics["paid"]) == (0, 0)
    assert layer.last.promised == {}


def test_who_makes_no_offer_does_not_take_part() -> None:
    layer, _, metrics = play({0: None, 1: (3, 8, 1)})
    assert layer.last.paid == {"1001": 8}
    assert metrics is not None
    assert metrics["offers"] == 1


def test_reserve_and_budget() -> None:
    layer, _, _ = play(TWO, channels=2, reserve=2)
    assert layer.last.paid == {"1000": 2}
    layer, _, _ = play(TWO, channels=2, budget=9)
    assert layer.last.promised == {"1001": 8}
    assert "not truthful" in layer.describe()


def test_greedy_is_another_rule() -> None:
    """Greedy takes the better per channel and stops short of the best set."""
    offers: dict[int, Offer | None] = {0: (0, 5, 1), 1: (0, 8, 2)}
    assert set(play(offers, channels=2)[0].last.promised) == {"1001"}
    assert set(play(offers, channels=2, rule="greedy")[0].last.promised) == {"1000"}


def test_values_are_weighed_by_reputation_where_that_is_asked_for() -> None:
    """10 x .5 - 2 = 3 against 8 x .9 - 3 = 4: the reputed one wins, paid on the same scale."""
    standing = {1000: 0.5, 1001: 0.9}
    layer, _, _ = play(TWO, standing=standing, discount=True)
    assert layer.last.paid == {"1001": 4}  # 7 - 3
    assert play(TWO, standing=standing)[0].last.paid == {"1000": 5}


def test_ties_fall_by_the_round_not_by_position() -> None:
    winners = set()
    for seed in range(20):
        layer, _, _ = play({n: (1, 5, 1) for n in range(3)}, seed=seed)
        winners |= set(layer.last.promised)
    assert winners == {"1000", "1001", "1002"}


def test_inside_reputation_only_the_trusted_are_asked_for_offers() -> None:
    """Who won and did not deliver is not trusted in the next round, so the other one sells."""
    auction = KnapsackAuction(FedAvg(**EVERYBODY), AuctionSettings(1), as_claimed(TWO))
    layer = ReputationSelection(auction, SelectionSettings(ReputationSettings(), 1))
    grid = clients_that(TWO)
    model = ArrayRecord({"model": Array(np.zeros(2))})
    for number in (1, 2):
        requests = list(layer.configure_train(number, model, ConfigRecord(), grid))
        replies = grid.send_and_receive(requests)
        layer.aggregate_train(number, [] if number == 1 else replies)
        layer.aggregate_evaluate(number, [])
    assert list(auction.last.offers) == ["1001"]
    assert auction.last.paid == {"1001": 8}
