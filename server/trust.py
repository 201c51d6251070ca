"""Who of the clinics is trusted: the outermost layer of a run."""

from dataclasses import dataclass
from typing import cast

from flwr.app import MetricRecord, RecordDict
from flwr.serverapp.strategy import Strategy

from server.registry import Participant, Registry, names_of
from server.replies import (
    ReplyRejected,
    expect_keys,
    expect_names,
    expect_whole,
    judge_evaluate,
)
from strategies.learning.task import feature_bound, federation_of
from strategies.market_settings import reputation_of
from strategies.settings import Settings
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.market_messages import COMPLAINED, VISITED
from strategies.wrappers.reputation_selection import ReputationSelection, SelectionSettings
from strategies.wrappers.traced_uploads import TracedUploads

TWO = 2
WEIGHT = "num-examples"


def selects(
    strategy: Strategy, settings: Settings, registry: Registry, dimension: int
) -> StrategyWrapper:
    """Return ``strategy`` within the selection that the settings name."""
    if settings.rates_slices:
        return _by_ratings(strategy, settings, registry)
    # Only where it is asked for: the detector needs scipy, which takes a while to import.
    from strategies.trust.lens import detector_of, lens_of
    from strategies.wrappers.likelihood_selection import LikelihoodSelection

    bound = feature_bound(federation_of(settings).table, settings)
    return LikelihoodSelection(
        strategy,
        detector_of(settings, dimension, bound),
        lens_of(settings, registry.smallest_shard),
        names_of(registry),
        settings.releases if settings.uploads else 0,
        second_chance=settings.auction == "none",  # a seller in doubt is not bought from
    )


def _by_ratings(strategy: Strategy, settings: Settings, registry: Registry) -> ReputationSelection:
    """Return selection by what clinics, as users of the model, say of its class slices."""
    return ReputationSelection(
        TracedUploads(strategy, slices_of(settings), names_of(registry)),
        SelectionSettings(
            reputation=reputation_of(settings),
            users=len(registry),
            seed=settings.seed,
            filtered=settings.selection == "reputation",
            pair_rule="coin" if settings.pair_rule == "coin" else "reputation",
            top_k=settings.top_k,
        ),
        names_of(registry),
    )


def slices_of(settings: Settings) -> int:
    """Return K, the classes whose slices are rated apart."""
    return max(TWO, settings.hinges)


@dataclass(frozen=True)
class SliceJudge:
    """Judge of a clinic's rating of the model.

    Parameters
    ----------
    slices : int
        K.
    """

    slices: int

    def __call__(self, content: RecordDict, participant: Participant | None) -> None:
        """Accept the enrolled record count and a rating of the class slices, nothing else."""
        expect_keys(content, {"metrics": MetricRecord})
        rating = cast(MetricRecord, content["metrics"])
        expect_names(rating, {WEIGHT, VISITED, COMPLAINED})
        weight = MetricRecord({WEIGHT: rating[WEIGHT]})
        judge_evaluate(RecordDict({"metrics": weight}), participant)
        most = 2**self.slices - 1
        expect_whole(rating[VISITED], VISITED, 0, most)
        expect_whole(rating[COMPLAINED], COMPLAINED, 0, most)
        if cast(int, rating[COMPLAINED]) & ~cast(int, rating[VISITED]):
            raise ReplyRejected("complains of a slice that it did not visit")
