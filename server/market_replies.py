"""What offers, deliveries and ratings must look like before anybody uses them.

Sizes are judged before anything is decoded; whatever is wrong is that peer's problem.
"""

from dataclasses import dataclass
from typing import cast

from flwr.app import ConfigRecord, MetricRecord, RecordDict

from datasets.carrada.errors import PayloadError
from datasets.carrada.payload import LIMITS, Payload
from server.registry import Participant
from server.replies import ReplyRejected, expect_keys, expect_names, expect_whole
from strategies.wrappers.market_messages import (
    BODY,
    CHANNELS,
    COMPLAINED,
    DELIVERY,
    MASK,
    METADATA,
    MICRO,
    PRICE,
    TOKENS,
    VALUE,
    VISITED,
)
from strategies.wrappers.payload_medium import scene_of_payload
from strategies.wrappers.synthetic_medium import MAX_TOKEN

MAX_MONEY = 1000 * MICRO
"""Most that a price or a claimed value may be: a delivery is worth about one credit."""
MAX_CHANNELS = 10**6
MAX_BODY_BYTES = 2**20


def judge_offer(content: RecordDict, participant: Participant | None) -> None:
    """Accept whole, bounded, non-negative amounts of a device; more channels than B just lose."""
    _expect_role(participant, "device")
    expect_keys(content, {"metrics": MetricRecord})
    offer = cast(MetricRecord, content["metrics"])
    expect_names(offer, {PRICE, VALUE, CHANNELS})
    expect_whole(offer[PRICE], PRICE, 0, MAX_MONEY)
    expect_whole(offer[VALUE], VALUE, 0, MAX_MONEY)
    expect_whole(offer[CHANNELS], CHANNELS, 1, MAX_CHANNELS)


@dataclass(frozen=True)
class RatingJudge:
    """Judge of a user's rating.

    Parameters
    ----------
    cubes : int
        K.
    """

    cubes: int

    def __call__(self, content: RecordDict, participant: Participant | None) -> None:
        """Accept a user's visits and complaints about visited cubes."""
        _expect_role(participant, "user")
        expect_keys(content, {"metrics": MetricRecord})
        rating = cast(MetricRecord, content["metrics"])
        expect_names(rating, {"num-examples", VISITED, COMPLAINED})
        expect_whole(rating["num-examples"], "num-examples", 1, 1)
        most = 2**self.cubes - 1
        expect_whole(rating[VISITED], VISITED, 0, most)
        expect_whole(rating[COMPLAINED], COMPLAINED, 0, most)
        if cast(int, rating[COMPLAINED]) & ~cast(int, rating[VISITED]):
            raise ReplyRejected("complains of a cube that it did not visit")


@dataclass(frozen=True)
class TokenJudge:
    """Judge of a synthetic delivery.

    Parameters
    ----------
    cubes : int
        K.
    """

    cubes: int

    def __call__(self, content: RecordDict, participant: Participant | None) -> None:
        """Accept a device's K tokens and a bounded body."""
        delivery = _delivery(content, participant, {TOKENS, BODY})
        body, tokens = delivery[BODY], delivery[TOKENS]
        if not isinstance(body, bytes) or len(body) > MAX_BODY_BYTES:
            raise ReplyRejected(f"the body is not at most {MAX_BODY_BYTES} bytes")
        if not isinstance(tokens, list) or len(tokens) != self.cubes:
            raise ReplyRejected(f"tokens are no list of {self.cubes}")
        for token in tokens:
            expect_whole(token, "a token", 0, MAX_TOKEN - 1)
            if isinstance(token, bool):
                raise ReplyRejected("a token is no whole number")


@dataclass(frozen=True)
class PayloadJudge:
    """Judge of a CARRADA payload.

    Parameters
    ----------
    cubes : int
        K.
    """

    cubes: int

    def __call__(self, content: RecordDict, participant: Participant | None) -> None:
        """Accept a device's PNG and JSON that hold up, sizes first."""
        delivery = _delivery(content, participant, {MASK, METADATA})
        mask, metadata = delivery[MASK], delivery[METADATA]
        if not isinstance(mask, bytes) or not isinstance(metadata, bytes):
            raise ReplyRejected("mask and metadata are not bytes")
        # Before hashing: what is too large is not even looked up.
        for what, size, most in (
            ("mask", len(mask), LIMITS.mask_bytes),
            ("metadata", len(metadata), LIMITS.metadata_bytes),
        ):
            if size > most:
                raise ReplyRejected(f"{what} has {size} bytes, at most {most}")
        try:
            scene = scene_of_payload(Payload(mask, metadata))
        except PayloadError as fault:
            raise ReplyRejected(str(fault)) from fault
        if scene.covers >> self.cubes:
            raise ReplyRejected(f"vouches for cubes beyond the {self.cubes} of the twin")


def _delivery(
    content: RecordDict, participant: Participant | None, names: set[str]
) -> ConfigRecord:
    """Return the one record of a device's delivery, held to its entries."""
    _expect_role(participant, "device")
    expect_keys(content, {DELIVERY: ConfigRecord})
    delivery = cast(ConfigRecord, content[DELIVERY])
    expect_names(delivery, names)
    return delivery


def _expect_role(participant: Participant | None, role: str) -> None:
    if participant is not None and participant.role != role:
        raise ReplyRejected(f"is enrolled as {participant.role}, not as {role}")
