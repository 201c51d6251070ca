"""Where the market meets the ClientApp: who serves a message, and who sits on the line.

As Flower client mods, so that the clinics' handlers stay as they are. What a market needs is
imported when a market runs.
"""

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp.typing import ClientAppCallable

from clients.messages import clients_of, clinic_settings, partition_of, refuse
from clients.roles import DEVICE, USER, market_of_context, role_of


def man_in_the_middle(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Alter a delivery after the device sent it; on other lines nothing happens."""
    reply = call_next(message, context)
    settings = market_of_context(context, DEVICE)
    if settings is not None and settings.attack != "none":
        from clients.device import intercept

        intercept(reply, message, context, settings)
    return reply


def serve_device(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Let a device deliver where a clinic would train; a user has nothing to deliver."""
    if not clinic_settings(context).is_market:
        return call_next(message, context)
    settings = market_of_context(context, DEVICE)
    if settings is None:
        return refuse(message, "only devices of a market deliver")
    from clients.device import deliver

    return deliver(message, context, settings)


def serve_user(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Let a user rate where a clinic would evaluate; a device has nothing to rate."""
    if not clinic_settings(context).is_market:
        return call_next(message, context)
    settings = market_of_context(context, USER)
    if settings is None:
        return refuse(message, "only users of a market rate")
    from clients.user import rate

    return rate(message, context, settings)


def serve_hello(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Say which part this node plays; its role is bound to its identity from then on."""
    settings = clinic_settings(context)
    if not settings.is_market:
        return call_next(message, context)
    metrics = MetricRecord(
        {
            "num-examples": 1,
            "partition-id": partition_of(context),
            "num-partitions": clients_of(context) or 0,
        }
    )
    config = ConfigRecord({"role": role_of(context, settings), "noise": settings.noise})
    return Message(RecordDict({"metrics": metrics, "config": config}), reply_to=message)
