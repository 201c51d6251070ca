"""What a round of separate machines adds to their accounts; simulated clients have none."""

from flwr.serverapp.strategy import Strategy

from server.loop import RoundRecord
from server.registry import Registry
from server.state.charges import Charges, UploadCost
from server.state.keeper import ChargesOf
from strategies.learning.task import feature_bound, federation_of
from strategies.privacy.accounting import compose
from strategies.privacy.mechanisms import slice_counts_of, upload_cost
from strategies.settings import Settings
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.reputation_selection import ReputationSelection

FIRST_UPLOADS = 2
"""Uploads that may differ in noise: the first, and any later one."""


def charging(settings: Settings, registry: Registry, strategy: Strategy) -> ChargesOf | None:
    """Return how rounds are charged by identity, None where participants have no keys."""
    if not registry.keyed:
        return None
    selection = _selection(strategy)

    def charges(record: RoundRecord) -> Charges:
        uploads = record.uploaded if settings.private and not settings.secure else ()
        rated = record.details.get("ratings", {}) if settings.rates_privately else {}
        return Charges(
            payments=record.details.get("paid", {}),
            uploads={
                who: _cost(settings, registry, uploaded=who in uploads, rated=who in rated)
                for who in dict.fromkeys((*uploads, *rated))
            },
            evidence=selection.evidence() if selection and record.round else {},
        )

    return charges


def _selection(strategy: Strategy) -> ReputationSelection | None:
    while not isinstance(strategy, ReputationSelection):
        if not isinstance(strategy, StrategyWrapper):
            return None
        strategy = strategy.inner
    return strategy


def _cost(settings: Settings, registry: Registry, *, uploaded: bool, rated: bool) -> UploadCost:
    rating = slice_counts_of(settings).rating_mu if rated else 0.0
    if not uploaded:
        return UploadCost(mu=rating)
    bound = feature_bound(federation_of(settings).table, settings)
    found = [
        upload_cost(settings, registry.smallest_shard, bound, number + 1)
        for number in range(FIRST_UPLOADS)
    ]
    sampled = found[0][1]
    if sampled is not None:
        release = sampled.noise_multiplier, sampled.sample_rate, sampled.steps
        return UploadCost(mu=rating or None, sampled=release)
    return UploadCost(mu=compose((max(mu for mu, _ in found), rating)))
