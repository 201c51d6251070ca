"""The Flower strategies offered at the core, built so that they never wait for nodes.

Flower's ``sample_nodes`` polls forever while nodes are too few; with fraction 1 and
``min_*`` 0 it takes whoever the outer layers left, and waiting is the server's own, bounded.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import (
    Bulyan,
    FedAdam,
    FedAvg,
    FedMedian,
    FedTrimmedAvg,
    Krum,
    MultiKrum,
    Strategy,
)

from strategies.setting_fields import is_import_path
from strategies.settings import Settings, byzantine_limit
from strategies.wrappers.own_strategy import own_strategy

_EVERYBODY: dict[str, Any] = {
    "fraction_train": 1.0,
    "fraction_evaluate": 1.0,
    "min_train_nodes": 0,
    "min_evaluate_nodes": 0,
    "min_available_nodes": 0,
}


class CautiousMultiKrum(MultiKrum):
    """multi-Krum that goes by the replies that came, not by the clinics that were asked.

    Flower's takes a fixed number of uploads, and so all of them, attackers included, when
    enough honest clinics fail. Fewer than 2 f + 3 replies are not merged, as in its Bulyan.
    """

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Merge the n - f - 2 best of n replies; nothing when they are too few for f."""
        replies = list(replies)
        if too_few("multikrum", self.num_malicious_nodes, replies):
            return None, None
        self.num_nodes_to_select = max(1, len(replies) - self.num_malicious_nodes - 2)
        return super().aggregate_train(server_round, replies)


class CautiousKrum(Krum):
    """Krum that merges nothing when fewer than 2 f + 3 replies came."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Take the best reply; nothing when they are too few for f."""
        replies = list(replies)
        if too_few("krum", self.num_malicious_nodes, replies):
            return None, None
        return super().aggregate_train(server_round, replies)


def too_few(aggregation: str, byzantine: int, replies: Sequence[Message]) -> bool:
    """Return whether so few replies have content that ``byzantine`` of them could decide."""
    limit = byzantine_limit(aggregation, sum(reply.has_content() for reply in replies))
    return limit is not None and byzantine > limit


def build_aggregation(settings: Settings) -> Strategy:
    """Return the Flower strategy that ``settings.aggregation`` names.

    multi-Krum averages the n - f - 2 best of n uploads (Blanchard et al., 2017); FedAdam's
    server optimiser uses ``server_rate``. ``module:Name`` is a strategy of the user's own.

    Raises
    ------
    SettingsError
        When a strategy of the user's own cannot be imported or made.
    """
    faulty: dict[str, Any] = {"num_malicious_nodes": settings.byzantine}
    name = settings.aggregation
    if name == "fedadam":
        return FedAdam(**_EVERYBODY, eta=settings.server_rate)
    if name == "fedmedian":
        return FedMedian(**_EVERYBODY)
    if name == "fedtrimmedavg":
        return FedTrimmedAvg(**_EVERYBODY, beta=settings.trim)
    if name == "krum":
        return CautiousKrum(**_EVERYBODY, **faulty)
    if name == "multikrum":
        return CautiousMultiKrum(**_EVERYBODY, **faulty)
    if name == "bulyan":
        return Bulyan(**_EVERYBODY, **faulty)
    if is_import_path(name):
        return own_strategy(name, _EVERYBODY)
    return FedAvg(**_EVERYBODY)
