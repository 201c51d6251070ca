"""A device: it says what it would sell, and delivers if it was chosen."""

from typing import cast

import numpy as np
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict

from clients.attack_plan import MITM, attack_at
from clients.messages import record_of, refuse, round_of
from clients.payload_delivery import delivery_of, intercepted, sale_of
from clients.roles import DEVICE, market_of_context, number_of
from clients.synthetic_delivery import body_of, offer_of, spoil, tokens_of
from datasets.carrada.payload import Payload, PayloadError
from datasets.errors import DataError
from strategies.settings import Settings
from strategies.wrappers.market_messages import (
    BODY,
    CHANNELS,
    DELIVERY,
    MASK,
    METADATA,
    PRICE,
    TOKENS,
    VALUE,
)


def offer(message: Message, context: Context) -> Message:
    """Answer ``query.offer``: price, claimed value and channels; nobody else sells."""
    settings = market_of_context(context, DEVICE)
    if settings is None:
        return refuse(message, "only devices of a market sell")
    device, server_round = number_of(context, settings, message), _round(message)
    if settings.market == "synthetic":
        price, value, channels = offer_of(settings, device, server_round)
    else:
        try:
            sale = sale_of(settings, device, server_round)
        except (DataError, PayloadError) as fault:
            return refuse(message, f"has nothing that can be sent: {fault}")
        price, value, channels = sale.price, sale.value, sale.channels
    metrics = MetricRecord({PRICE: price, VALUE: value, CHANNELS: channels})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def deliver(message: Message, context: Context, settings: Settings) -> Message:
    """Answer ``train``: send what was sold, or what an attack makes of it."""
    device, server_round = number_of(context, settings, message), _round(message)
    if settings.market == "synthetic":
        record = _tokens(settings, device, server_round)
    else:
        payload = delivery_of(settings, device, server_round)
        record = ConfigRecord({MASK: payload.mask_png, METADATA: payload.metadata})
    return Message(RecordDict({DELIVERY: record}), reply_to=message)


def intercept(reply: Message, request: Message, context: Context, settings: Settings) -> None:
    """Alter a delivery on its way, if a man in the middle sits on this device's line."""
    device, server_round = number_of(context, settings, request), _round(request)
    attack = attack_at(settings, device, server_round)
    if attack is None or attack.kind != MITM:
        return
    record = reply.content.get(DELIVERY)
    if not isinstance(record, ConfigRecord):
        return
    if settings.market == "synthetic":
        tokens = np.array(cast("list[int]", record[TOKENS]), np.int64)
        record[TOKENS] = spoil(tokens, settings, device, server_round).tolist()
        return
    payload = Payload(cast(bytes, record[MASK]), cast(bytes, record[METADATA]))
    altered = intercepted(settings, device, server_round, payload)
    record[MASK], record[METADATA] = altered.mask_png, altered.metadata


def _tokens(settings: Settings, device: int, server_round: int) -> ConfigRecord:
    tokens = tokens_of(settings, device, server_round)
    attack = attack_at(settings, device, server_round)
    if attack is not None and attack.kind != MITM:
        tokens = spoil(tokens, settings, device, server_round)
    channels = offer_of(settings, device, server_round)[2]
    body = body_of(channels, settings.channel_rate, settings.slot)
    return ConfigRecord({TOKENS: tokens.tolist(), BODY: body})


def _round(message: Message) -> int:
    return round_of(record_of(message, ConfigRecord))
