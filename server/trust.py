"""Who of the clinics is trusted: the outermost layer of a run."""

from flwr.serverapp.strategy import Strategy

from server.registry import Registry
from strategies.learning.task import feature_bound, federation_of
from strategies.settings import Settings
from strategies.trust.lens import detector_of, lens_of
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.likelihood_selection import LikelihoodSelection
from strategies.wrappers.market_messages import Name


def selects(
    strategy: Strategy, settings: Settings, registry: Registry, dimension: int
) -> StrategyWrapper:
    """Return ``strategy`` within the selection that the settings name."""
    bound = feature_bound(federation_of(settings).table, settings)
    return LikelihoodSelection(
        strategy,
        detector_of(settings, dimension, bound),
        lens_of(settings, registry.smallest_shard),
        names_of(registry),
        settings.releases if settings.uploads else 0,
    )


def names_of(registry: Registry) -> Name:
    """Return the lasting name of a node: the identity it enrolled with."""

    def name(node: int) -> str:
        participant = registry.at(node)
        return f"node:{node}" if participant is None else participant.identity

    return name
