"""DigitalTwin: the innermost strategy of the market, in place of a model average.

It asks whoever is left to deliver what it sees (``train``), fuses what comes into the twin, and
sends the twin to the users (``evaluate``), who rate it. A round in which nothing usable was
delivered leaves the twin as it was, and nobody is asked to rate an old one.
"""

from collections.abc import Iterable
from logging import INFO
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.common.logger import log
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from strategies.auction import tie_keys
from strategies.wrappers.market_messages import ROUND, TWIN, Name
from strategies.wrappers.medium import Medium
from strategies.wrappers.narrowed_grid import standing_of
from strategies.wrappers.ratings import rating_of
from strategies.wrappers.traceable import Delivered, nothing_delivered
from strategies.wrappers.vectors import to_array


class DigitalTwin(Strategy):
    """A Flower strategy whose model is the twin of one time-step.

    Parameters
    ----------
    medium : Medium
        What deliveries are made of.
    seed : int
        Of the hashes that break ties.
    name : callable
        Lasting name of a node; ties go by it.
    """

    def __init__(self, medium: Medium, seed: int = 0, name: Name = str) -> None:
        self.medium = medium
        self.seed = seed
        self.name = name
        self.deliveries: dict[int, Any] = {}
        self.ratings: dict[int, tuple[int, int]] = {}
        self._delivered = nothing_delivered(medium.cubes)
        self._standing: dict[int, float] = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask every node that is left to deliver; the old twin need not travel to them."""
        config[ROUND] = server_round
        self._standing = dict(standing_of(grid))
        content = RecordDict({"config": config})
        return [
            Message(content, dst_node_id=node, message_type=MessageType.TRAIN)
            for node in grid.get_node_ids()
        ]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Fuse the deliveries; without any there is no twin."""
        self.deliveries = {
            reply.metadata.src_node_id: self.medium.read(reply)
            for reply in replies
            if reply.has_content()
        }
        self._delivered = nothing_delivered(self.medium.cubes)
        if not self.deliveries:
            return None, MetricRecord({"delivered": 0})
        nodes, found = tuple(self.deliveries), list(self.deliveries.values())
        covers, similarity = self.medium.covers(found), self.medium.similarity(found)
        self._delivered = Delivered(nodes, covers, similarity)
        weights = np.array([self._standing.get(node, 1.0) for node in nodes])
        keys = tie_keys(self.seed, "twin", server_round - 1, [self.name(node) for node in nodes])
        ties = np.argsort(np.argsort(keys)).astype(np.float64)
        vector = self.medium.fuse(found, similarity, weights, ties)
        return (
            ArrayRecord({TWIN: to_array(vector)}),
            MetricRecord({"delivered": len(nodes), "covered": int(covers.any(axis=1).sum())}),
        )

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the twin to every node of the grid, if this round has one."""
        if not self._delivered.nodes:
            return []
        config[ROUND] = server_round
        content = RecordDict({"arrays": arrays, "config": config})
        return [
            Message(content, dst_node_id=node, message_type=MessageType.EVALUATE)
            for node in grid.get_node_ids()
        ]

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Note who visited and complained of what, as bits."""
        found = {reply.metadata.src_node_id: rating_of(reply) for reply in replies}
        self.ratings = {node: rating for node, rating in found.items() if rating is not None}
        complaints = sum(complained.bit_count() for _, complained in self.ratings.values())
        return MetricRecord({"rated": len(self.ratings), "complaints": complaints})

    def delivered(self) -> Delivered:
        """Return who is behind the twin of the last round."""
        return self._delivered

    def summary(self) -> None:
        """Log this layer."""
        log(INFO, "\t└──> DigitalTwin: %d cubes, %s", self.medium.cubes, self.medium)
