"""The frame of every wrapper: pass on what the inner strategy says, unless overridden.

As in Flower's own differential-privacy wrappers, but as a class of its own, so that each
concern is one small file. Configuring goes outside in, results come back inside out.
"""

from collections.abc import Iterable
from logging import INFO
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.common.logger import log
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Strategy


class StrategyWrapper(Strategy):
    """A strategy around another; on its own it changes nothing.

    Parameters
    ----------
    inner : Strategy
        Any Flower strategy, wrapped or not.
    """

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the inner strategy whom to train with what."""
        return self.inner.configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Let the inner strategy merge the replies."""
        return self.inner.aggregate_train(server_round, replies)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the inner strategy who evaluates."""
        return self.inner.configure_evaluate(server_round, arrays, config, grid)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Let the inner strategy merge the evaluations."""
        return self.inner.aggregate_evaluate(server_round, replies)

    def merged_nodes(self) -> frozenset[int] | None:
        """Return the nodes whose replies went into the last merge; None: all that came."""
        return self.inner.merged_nodes() if isinstance(self.inner, StrategyWrapper) else None

    def round_details(self) -> dict[str, Any]:
        """Return what this layer did in the last round, by lasting names, for who watches a run.

        Plain values under the names that the results database and the pages know: offers
        ``{name: [price, value, channels]}``, promised, paid and reputations ``{name: number}``,
        delivered and trusted ``[name]``, ratings ``{name: [visited, complained]}``.
        """
        return {}

    def describe(self) -> str:
        """Return one line that names this layer and its settings."""
        return type(self).__name__

    def summary(self) -> None:
        """Log this layer, then the ones inside it."""
        log(INFO, "\t├──> %s", self.describe())
        self.inner.summary()


def innermost(strategy: Strategy) -> Strategy:
    """Return the strategy at the core of all wrappers."""
    while isinstance(strategy, StrategyWrapper):
        strategy = strategy.inner
    return strategy


def round_details(strategy: Strategy) -> dict[str, Any]:
    """Return what all layers did in the last round; an outer layer's word wins."""
    if not isinstance(strategy, StrategyWrapper):
        return {}
    return round_details(strategy.inner) | strategy.round_details()


def averages_linearly(strategy: Strategy) -> bool:
    """Return whether the core is a weighted mean whose weights are the replies' own.

    Only then is the noise in the merged model known from the noise in the uploads: a median,
    Krum or an adaptive server optimiser gives no such variance.
    """
    return type(innermost(strategy)) is FedAvg
