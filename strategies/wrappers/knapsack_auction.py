"""KnapsackAuction: buy from the best set of devices that the channels can carry.

Ismail et al., section III-C, eqs. (5)-(8). Every round the devices that are left are asked what
they would sell (``query.offer``); the winners are shown to the inner strategy; their payments
are held in escrow until what they delivered was examined: the value is the server's own
appraisal, and a delivery that takes more channels than were booked is neither used nor paid.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from strategies.auction import Outcome, cap_budget_not_truthful, settle, solve, tie_keys
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.market_messages import CHANNELS, OFFER, PRICE, ROUND, VALUE, Name
from strategies.wrappers.narrowed_grid import NarrowedGrid, standing_of

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class AuctionSettings:
    """How a round's auction is held.

    Attributes
    ----------
    channels : int
        B, channels on offer.
    seed : int
        Of the hashes that break ties.
    rule : {"vcg", "greedy"}
        The exact optimum at VCG payments, or greedily at critical payments.
    reserve, budget : int
        Most that is paid for one delivery, and in one round, micro-credits; 0: no limit. A
        budget is not truthful.
    discount : bool
        Multiply values by the reputations that an outer layer hands inward.
    open_rounds : int
        Rounds at the start in which there are channels for everybody: nobody has a reputation yet,
        and nobody can earn one who is never heard.
    """

    channels: int
    seed: int = 0
    rule: str = "vcg"
    reserve: int = 0
    budget: int = 0
    discount: bool = False
    open_rounds: int = 0


@dataclass(frozen=True)
class Offer:
    """What a device would sell: price and value in micro-credits, channels it needs."""

    price: int
    value: int
    channels: int


@dataclass(frozen=True)
class Appraisal:
    """What a delivery turned out to be: value in micro-credits, channels it took."""

    value: int
    channels: int


Appraise = Callable[[Message, int], Appraisal]
"""Examines a winner's reply of a round; the server's own judgement, never the device's word."""


@dataclass
class AuctionRound:
    """What one auction decided, by the names of devices.

    Attributes
    ----------
    offers : dict
        Offers that held up.
    promised : dict
        Payment held in escrow for each winner, micro-credits.
    paid : dict
        What was released after the deliveries were examined.
    overbooked : tuple of str
        Winners whose delivery took more channels than they booked.
    welfare : int
        Sum over winners of value less price, as auctioned.
    """

    offers: dict[str, Offer] = field(default_factory=dict)
    promised: dict[str, int] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)
    overbooked: tuple[str, ...] = ()
    welfare: int = 0


@dataclass(frozen=True, eq=False)
class _Sale:
    """An auction that waits for its deliveries."""

    nodes: tuple[int, ...]
    outcome: Outcome
    weights: NDArray[np.float64]


class KnapsackAuction(StrategyWrapper):
    """Wrap any strategy so that only the winners of an auction take part.

    Parameters
    ----------
    inner : Strategy
        Any Flower strategy, wrapped or not.
    settings : AuctionSettings
        Channels, rule and limits.
    appraise : callable
        Examines deliveries.
    name : callable
        Lasting name of a node; ties and records go by it.
    """

    def __init__(
        self, inner: Strategy, settings: AuctionSettings, appraise: Appraise, name: Name = str
    ) -> None:
        super().__init__(inner)
        self.settings = settings
        self.appraise = appraise
        self.name = name
        self.last = AuctionRound()
        self._sale: _Sale | None = None
        self._kept: frozenset[int] = frozenset()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask for offers, choose the winners, and show the inner strategy only them."""
        offers = self._ask(server_round, grid)
        self.last = AuctionRound({self.name(node): offer for node, offer in offers.items()})
        self._sale = self._hold(server_round, offers, standing_of(grid))
        won = self._sale.outcome.winners
        winners = [n for n, is_winner in zip(self._sale.nodes, won, strict=True) if is_winner]
        if not winners:
            return []  # an inner strategy might wait forever for nodes that nobody chose
        return self.inner.configure_train(server_round, arrays, config, NarrowedGrid(grid, winners))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Examine and pay, then let the inner strategy merge what held up."""
        kept = self._settle(server_round, list(replies))
        self._kept = frozenset(reply.metadata.src_node_id for reply in kept)
        arrays, metrics = self.inner.aggregate_train(server_round, kept)
        metrics = MetricRecord() if metrics is None else metrics
        metrics["offers"] = len(self.last.offers)
        metrics["winners"] = len(self.last.promised)
        metrics["auction-welfare"] = self.last.welfare
        metrics["paid"] = sum(self.last.paid.values())
        metrics["escrow-returned"] = sum(self.last.promised.values()) - sum(self.last.paid.values())
        return arrays, metrics

    def merged_nodes(self) -> frozenset[int] | None:
        """Return the winners whose deliveries held up, as far as the inner strategy took them."""
        inside = super().merged_nodes()
        return self._kept if inside is None else self._kept & inside

    def _ask(self, server_round: int, grid: Grid) -> dict[int, Offer]:
        """Return the offers by node, in the order of the grid."""
        # One record for all, as Flower's own strategies give.
        asked = RecordDict({"config": ConfigRecord({ROUND: server_round})})
        requests = [
            Message(asked, dst_node_id=node, message_type=OFFER) for node in grid.get_node_ids()
        ]
        offers = {}
        for reply in grid.send_and_receive(requests) if requests else ():
            offer = _offer(reply)
            if offer is not None:
                offers[reply.metadata.src_node_id] = offer
        return offers

    def _hold(
        self, server_round: int, offers: Mapping[int, Offer], standing: Mapping[int, float]
    ) -> _Sale:
        """Hold the auction and put the payments into escrow."""
        s, nodes = self.settings, tuple(offers)
        weights = np.array([standing.get(node, 1.0) if s.discount else 1.0 for node in nodes])
        names = [self.name(node) for node in nodes]
        ties = tie_keys(s.seed, "auction", server_round - 1, names)
        needed = sum(offer.channels for offer in offers.values())
        outcome = solve(
            _discounted([offer.value for offer in offers.values()], weights),
            np.array([offer.price for offer in offers.values()], np.int64),
            np.array([offer.channels for offer in offers.values()], np.int64),
            max(s.channels, needed) if server_round <= s.open_rounds else s.channels,
            ties=ties,
            reserve=s.reserve or None,
            rule=s.rule,
        )
        if s.budget:
            outcome = cap_budget_not_truthful(outcome, s.budget, ties)
        self.last.welfare = outcome.welfare
        self.last.promised = {
            name: int(payment)
            for name, payment, won in zip(names, outcome.payments, outcome.winners, strict=True)
            if won
        }
        return _Sale(nodes, outcome, weights)

    def _settle(self, server_round: int, replies: Sequence[Message]) -> list[Message]:
        """Release what was earned; return the replies of those who kept to their booking."""
        sale = self._sale
        if sale is None:  # nobody was asked: what the round before sold is not sold again
            self.last = AuctionRound()
            return []
        where = {node: place for place, node in enumerate(sale.nodes)}
        verified, used = np.zeros((2, len(sale.nodes)), np.int64)
        kept, over = [], []
        for reply in replies:
            place = where.get(reply.metadata.src_node_id)
            if place is None or not sale.outcome.winners[place] or not reply.has_content():
                continue
            found = self.appraise(reply, server_round)
            verified[place], used[place] = found.value, found.channels
            if found.channels > sale.outcome.channels[place]:
                over.append(self.name(sale.nodes[place]))
            else:
                kept.append(reply)
        payments = settle(
            sale.outcome, _discounted(verified.tolist(), sale.weights), used_channels=used
        )
        # What is in escrow bounds what is paid: a delivery that was puffed up earns no more.
        payments = np.minimum(payments, sale.outcome.payments)
        paid = zip(sale.nodes, payments, sale.outcome.winners, strict=True)
        self.last.paid = {self.name(node): int(payment) for node, payment, won in paid if won}
        self.last.overbooked = tuple(over)
        self._sale = None
        return kept

    def round_details(self) -> dict[str, Any]:
        """Return offers, promises and payments of the last round."""
        offers = {
            who: [offer.price, offer.value, offer.channels]
            for who, offer in self.last.offers.items()
        }
        return {"offers": offers, "promised": self.last.promised, "paid": self.last.paid}

    def describe(self) -> str:
        """Return the settings in one line."""
        s = self.settings
        limits = [f"{s.channels} channels", s.rule]
        limits += [f"reserve {s.reserve}"] if s.reserve else []
        limits += [f"budget {s.budget} (not truthful)"] if s.budget else []
        limits += ["values times reputation"] if s.discount else []
        return f"KnapsackAuction: {', '.join(limits)}"


def _discounted(values: Sequence[int], weights: NDArray[np.float64]) -> IntArray:
    """Return values on the scale that was auctioned: times weight, whole micro-credits."""
    whole = np.array(values, np.int64)
    if np.all(weights == 1.0):
        return whole
    return np.asarray((whole * weights).astype(np.int64))


def _offer(reply: Message) -> Offer | None:
    """Return the offer that a reply makes, None where it makes none."""
    if not reply.has_content():
        return None
    for record in reply.content.values():
        if isinstance(record, MetricRecord) and PRICE in record:
            price, value, channels = (int(cast(int, record[k])) for k in (PRICE, VALUE, CHANNELS))
            return Offer(price, value, channels)
    return None
