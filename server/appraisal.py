"""The server's own judgement of what was delivered: its value, and the channels it took."""

import math

from flwr.app import Message

from datasets.carrada.payload import channels
from datasets.carrada.value import semantic_value
from server.registry import Registry
from strategies.market_world import device_part, moment
from strategies.settings import Settings
from strategies.wrappers.knapsack_auction import Appraisal, Appraise
from strategies.wrappers.market_messages import MICRO
from strategies.wrappers.payload_medium import payload_of, scene_of_payload
from strategies.wrappers.synthetic_medium import SyntheticMedium

BITS = 8


def appraiser_of(settings: Settings, registry: Registry) -> Appraise:
    """Return how deliveries of a market are examined."""
    if settings.market == "payload":
        return payload_appraiser(settings)
    return synthetic_appraiser(settings, registry)


def payload_appraiser(settings: Settings) -> Appraise:
    """Return the judge of CARRADA payloads: semantic value of what is in them, bytes they took."""

    def appraise(reply: Message, _: int) -> Appraisal:
        payload = payload_of(reply)
        value = semantic_value(scene_of_payload(payload), settings.weather)
        taken = channels(payload, settings.channel_rate, settings.slot)
        return Appraisal(round(MICRO * value), taken)

    return appraise


def synthetic_appraiser(settings: Settings, registry: Registry) -> Appraise:
    """Return the judge of synthetic deliveries.

    Tokens have no content to value: the value is what the world drew for this device and round,
    whoever claims what; whether it was tampered with is not looked at. Channels are counted from
    the bytes of the body.
    """
    capacity = settings.channel_rate * settings.slot / BITS
    medium = SyntheticMedium(1)

    def appraise(reply: Message, server_round: int) -> Appraisal:
        episode, step = moment(settings, server_round)
        node = reply.metadata.src_node_id
        device = registry.place(node) if registry.at(node) else 0
        value = int(device_part(settings, device, episode).values[step])
        return Appraisal(value, math.ceil(medium.read(reply).body_bytes / capacity))

    return appraise
