"""The sealing client mod: what leaves this machine says who sent it and what it answers.

It is the last mod before the line: only the experiment's man in the middle comes after it. A
deployed client signs with the key that its SuperNode is known by (``auth-key`` in its node
config), which the server has from its own list of keys and not from the client.
"""

from typing import TYPE_CHECKING, cast

from flwr.app import ConfigRecord, Context, Message
from flwr.clientapp.typing import ClientAppCallable

from clients.messages import clinic_settings, partition_of
from strategies.wrappers.protocol import ROUND
from strategies.wrappers.seal import NONCE, RUN, SEAL, SIGNATURE, question_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTH_KEY = "auth-key"
"""Node config: path of the private key that this machine's SuperNode signs in with."""


def seal_reply(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Seal the reply to a request that asks for it, if this client has a key."""
    question = question_of(message)
    reply = call_next(message, context)
    if question is None or not reply.has_content():
        return reply
    key = _key(context)
    if key is None:
        return reply
    from strategies.wrappers.seal_keys import sign

    signature = sign(key, question.signed(reply.content))
    reply.content[SEAL] = ConfigRecord(
        {RUN: question.run, ROUND: question.round, NONCE: question.nonce, SIGNATURE: signature}
    )
    return reply


def _key(context: Context) -> "EllipticCurvePrivateKey | None":
    from strategies.wrappers.seal_keys import key_from_file, simulated_key

    path = context.node_config.get(AUTH_KEY)
    if path:
        return key_from_file(str(cast(str, path)))
    settings = clinic_settings(context)
    if settings.signatures == "on":
        return simulated_key(settings.seed, partition_of(context))
    return None
