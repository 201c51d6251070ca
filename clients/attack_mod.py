"""Where hostile clinics meet the ClientApp; in a run without ``--attack`` nothing happens.

The first of the client mods: an attacker obeys neither its own ledger nor the clip-then-noise
mod, unless it wants to. What attacks need is imported when somebody attacks.
"""

from typing import cast

from flwr.app import ConfigRecord, Context, Message
from flwr.clientapp.typing import ClientAppCallable

from clients.messages import clinic_settings, is_deployed, partition_of, refuse
from strategies.attack_settings import BROKEN, COLLUDING, attackers_of, is_active
from strategies.rating_settings import HONEST

ALLOWED = "allow-attack"
"""Node config of a machine that takes part in an experiment with attacks."""


def attack(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Answer as the attack of the run says, if this clinic is hostile and the time has come.

    A deployed clinic attacks only where its own machine allows it, and alone: it sees nobody
    else's shard.
    """
    settings = clinic_settings(context)
    if settings.is_market or partition_of(context) not in attackers_of(settings):
        return call_next(message, context)
    if is_deployed(context):
        if not context.node_config.get(ALLOWED):
            return refuse(message, "asked to attack, which this machine does not allow")
        if settings.attack in COLLUDING:
            return refuse(
                message,
                f"{settings.attack} needs to see the other attackers: simulated clinics only",
            )
    if not is_active(settings, partition_of(context), _round(message)):
        return call_next(message, context)
    if settings.attack in BROKEN:
        from clients.broken import broken_reply

        return broken_reply(settings.attack, message, context, call_next)
    kind = message.metadata.message_type
    if kind == "evaluate" and settings.rates_slices and settings.rating_attack != HONEST:
        from clients.slice_rating import lying_rating

        return lying_rating(message, context, settings)
    if kind != "train":
        return call_next(message, context)  # it bids and evaluates as if it were honest
    from clients.attacks import hostile_upload

    return hostile_upload(message, context, settings)


def _round(message: Message) -> int:
    """Return the round that a request belongs to, 1 where it does not say."""
    for record in message.content.values():
        if isinstance(record, ConfigRecord) and "server-round" in record:
            return int(cast(int, record["server-round"]))
    return 1
