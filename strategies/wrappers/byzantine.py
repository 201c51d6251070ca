"""Krum, multi-Krum and Bulyan whose f fits the round: small cohorts lower it, failures do not.

Krum and multi-Krum need ``n >= 2 f + 3`` replies (Blanchard et al., 2017), Bulyan ``4 f + 3``
(El Mhamdi et al., 2018). An auction or a selection may ask fewer clinics than that: the server
chose so itself, and f is lowered to what the cohort allows. Of n asked with at most f hostile, c
whose replies were judged bad are hostile and gone, so f - c remain. Clinics that merely fail
lower nothing, for then an attacker would gain by making honest ones fail: with too few replies
the round merges nothing and says why.
"""

from collections.abc import Iterable, Sequence
from logging import WARNING

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.common.logger import log
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Bulyan, Krum, MultiKrum
from flwr.serverapp.strategy.fedavg import FedAvg

from strategies.settings import byzantine_limit

BYZANTINE = "byzantine"
"""Metric of a round: the f that it was merged with."""


class ByzantineRule(FedAvg):
    """What the three rules share: finding the f of a round; mixed in before Flower's class.

    Attributes
    ----------
    rule : str
        Name among the settings' aggregations.
    unmerged : str
        Why the last round merged nothing, empty when it did.
    """

    rule = ""
    num_malicious_nodes: int
    unmerged = ""
    _set: int | None = None
    _asked: int | None = None
    _accepted: int | None = None
    _caught = 0

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask whom Flower's class asks, and note how many they are."""
        requests = list(super().configure_train(server_round, arrays, config, grid))
        self._asked, self._accepted, self._caught = len(requests), None, 0
        return requests

    def tell(self, accepted: int, caught: int) -> None:
        """Learn how many replies were accepted, and how many clinics' were judged bad.

        What an outer layer takes out of the accepted before they come here it has judged
        hostile as well.
        """
        self._accepted, self._caught = accepted, caught

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Merge with the f of the round; nothing when replies are too few for it."""
        replies = list(replies)
        if self._set is None:
            self._set = self.num_malicious_nodes
        count = sum(reply.has_content() for reply in replies)
        byzantine = self._byzantine(self._set, count)
        self.unmerged = self._too_few(byzantine, count)
        if self.unmerged:
            return None, None
        if byzantine != self.num_malicious_nodes:
            log(WARNING, "round %d: %s with f %d of %d", server_round, self.rule, byzantine, count)
        self.num_malicious_nodes = byzantine
        self.prepare(count)
        arrays, metrics = super().aggregate_train(server_round, replies)
        if metrics is not None:
            metrics[BYZANTINE] = byzantine
        return arrays, metrics

    def prepare(self, count: int) -> None:
        """Set what else the rule derives from f and the number of replies."""

    def _byzantine(self, asked_for: int, count: int) -> int:
        """Return f of this round: of the cohort, less those found out."""
        found_out = self._caught + max(0, (self._accepted or count) - count)
        allowed = None if self._asked is None else byzantine_limit(self.rule, self._asked)
        cohort = asked_for if allowed is None else min(asked_for, max(allowed, 0))
        return max(0, cohort - found_out)

    def _too_few(self, byzantine: int, count: int) -> str:
        limit = byzantine_limit(self.rule, count)
        if limit is None or byzantine <= limit:
            return ""
        factor = 4 if self.rule == "bulyan" else 2
        needed = factor * byzantine + 3
        return f"{self.rule} with f {byzantine} needs {needed} replies and has {count}"


class CautiousKrum(ByzantineRule, Krum):
    """Krum: the one reply nearest to the others."""

    rule = "krum"


class CautiousMultiKrum(ByzantineRule, MultiKrum):
    """multi-Krum: the mean of the n - f - 2 best of the replies that came.

    Flower's takes a fixed number of uploads, and so all of them, attackers included, when
    enough honest clinics fail.
    """

    rule = "multikrum"

    def prepare(self, count: int) -> None:
        """Select n - f - 2."""
        self.num_nodes_to_select = max(1, count - self.num_malicious_nodes - 2)


class CautiousBulyan(ByzantineRule, Bulyan):
    """Bulyan: the trimmed middle of those that multi-Krum selects."""

    rule = "bulyan"


def unmerged_reason(core: object, replies: Sequence[Message]) -> str:
    """Return why the core of a strategy merged nothing of replies it had."""
    own = core.unmerged if isinstance(core, ByzantineRule) else ""
    return own or f"the aggregation made nothing of {len(replies)} replies"
