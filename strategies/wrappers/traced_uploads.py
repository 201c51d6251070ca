"""TracedUploads: who is behind a merged model, and how alike their noised updates are.

What Algorithm 1 (:mod:`strategies.reputation`) needs where clinics train a model in place of
devices that build a twin: every uploader is behind every class slice of the model, and two
uploads are as similar as the cosine of their updates. The noise is in them, and hides a clinic
as it hides a record: docs/trust.md measures what is left.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.market_messages import Name
from strategies.wrappers.protocol import MODEL
from strategies.wrappers.ratings import rating_of
from strategies.wrappers.traceable import Delivered, nothing_delivered
from strategies.wrappers.vectors import to_vector

_LEAST = 1e-300


class TracedUploads(StrategyWrapper):
    """Wrap any strategy that merges models so that complaints can be traced to uploads.

    Parameters
    ----------
    inner : Strategy
        Any Flower strategy, wrapped or not.
    slices : int
        K, classes of records that are rated apart.
    name : callable
        Lasting name of a node, under which its ratings are told of.
    """

    def __init__(self, inner: Strategy, slices: int, name: Name = str) -> None:
        super().__init__(inner)
        self.slices = slices
        self.name = name
        self.ratings: dict[int, tuple[int, int]] = {}
        self._broadcast: NDArray[np.float64] = np.zeros(0)
        self._delivered = nothing_delivered(slices)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Remember what was sent out: updates are differences to it."""
        self._broadcast, self._delivered = to_vector(arrays[MODEL]), nothing_delivered(self.slices)
        return self.inner.configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Note who uploaded, then let the inner strategy merge."""
        replies = [reply for reply in replies if reply.has_content()]
        if replies:
            nodes = tuple(reply.metadata.src_node_id for reply in replies)
            updates = np.array([to_vector(_model(reply)) for reply in replies]) - self._broadcast
            alike = np.broadcast_to(cosines(updates), (self.slices, len(nodes), len(nodes)))
            covers = np.ones((self.slices, len(nodes)), np.bool_)
            self._delivered = Delivered(nodes, covers, alike)
        return self.inner.aggregate_train(server_round, replies)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Count the ratings; averaged they would mean nothing."""
        found = {reply.metadata.src_node_id: rating_of(reply) for reply in replies}
        self.ratings = {node: rating for node, rating in found.items() if rating is not None}
        complaints = sum(complained.bit_count() for _, complained in self.ratings.values())
        return MetricRecord({"rated": len(self.ratings), "complaints": complaints})

    def round_details(self) -> dict[str, Any]:
        """Return who rated how in the last round: slices visited and complained of, as bits."""
        return {"ratings": {self.name(node): list(bits) for node, bits in self.ratings.items()}}

    def delivered(self) -> Delivered:
        """Return who is behind the model of the last round."""
        return self._delivered


def cosines(updates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine of each two updates (n, d), shape (n, n); 0 with an empty one."""
    lengths = np.sqrt(np.add.reduce(updates * updates, axis=-1))
    unit = updates / np.maximum(lengths, _LEAST)[:, None]
    found: NDArray[np.float64] = np.add.reduce(unit[:, None, :] * unit[None, :, :], axis=-1)
    return found


def _model(reply: Message):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Flower's Array
    arrays = next(r for r in reply.content.values() if isinstance(r, ArrayRecord))
    return arrays[MODEL]
