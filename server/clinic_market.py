"""Clinics that sell their uploads: the auction around the learner, its judge and appraisal.

A clinic asks the price of the privacy that one more upload costs it and of its work; an upload is
worth ``--record-value`` credits for each enrolled record, which the server knows and does not
have to believe, and takes the channels that the model's size needs. While nobody has a
reputation, in round 1, there are channels for everybody.
"""

from flwr.app import Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Strategy

from server.registry import Participant, Registry, names_of
from server.replies import ReplyRejected, expect_keys, expect_names, expect_whole
from strategies.settings import Settings
from strategies.trust_settings import upload_channels
from strategies.wrappers.knapsack_auction import Appraisal, AuctionSettings, KnapsackAuction
from strategies.wrappers.market_messages import CHANNELS, MICRO, PRICE, VALUE

MAX_PRICE = 10**15


def sells_uploads(
    strategy: Strategy, settings: Settings, registry: Registry, dimension: int
) -> KnapsackAuction:
    """Return ``strategy`` within an auction of uploads of models of ``dimension`` numbers."""
    needed = upload_channels(settings, dimension)

    def appraise(reply: Message, _: int) -> Appraisal:
        participant = registry.at(reply.metadata.src_node_id)
        return Appraisal(0 if participant is None else worth(participant, settings), needed)

    auction = AuctionSettings(
        channels=settings.channels or needed * len(registry),
        seed=settings.seed,
        rule="greedy" if settings.auction == "greedy" else "vcg",
        reserve=settings.reserve,
        budget=settings.budget,
        discount=settings.discount == "reputation",
        open_rounds=int(settings.selection != "none"),
    )
    return KnapsackAuction(strategy, auction, appraise, names_of(registry))


def worth(participant: Participant, settings: Settings) -> int:
    """Return what an upload of a clinic is worth to the server, micro-credits."""
    return round(settings.record_value * MICRO) * participant.records


class ClinicOfferJudge:
    """Judge of a clinic's offer: its value must be that of the records it enrolled with."""

    def __init__(self, settings: Settings, dimension: int) -> None:
        self._settings = settings
        self._channels = upload_channels(settings, dimension)

    def __call__(self, content: RecordDict, participant: Participant | None) -> None:
        """Accept a whole price, the enrolled value and the channels of the model."""
        expect_keys(content, {"metrics": MetricRecord})
        offer = content["metrics"]
        expect_names(offer, {PRICE, VALUE, CHANNELS})
        values = dict(offer.items())
        expect_whole(values[PRICE], PRICE, 0, MAX_PRICE)
        expect_whole(values[CHANNELS], CHANNELS, self._channels, self._channels)
        expected = 0 if participant is None else worth(participant, self._settings)
        if values[VALUE] != expected:
            raise ReplyRejected(f"its value is not the {expected} micro-credits of its records")
