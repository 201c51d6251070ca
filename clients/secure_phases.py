"""A clinic's answers to the messages of secure aggregation other than ``train``."""

from collections.abc import Callable
from functools import wraps
from typing import cast

from flwr.app import ConfigRecord, Context, Message, RecordDict

from clients.messages import clinic_settings, partition_of, refuse
from clients.secure_ledger import check_budget, settle
from clients.secure_signing import signer_of_clinic, verifier_of_clinic
from clients.secure_state import recall, remember
from strategies.privacy.ledger import PrivacyBudgetExhausted
from strategies.secagg.errors import RoundAbandoned, SecAggError
from strategies.secagg.member import Member
from strategies.secure_settings import terms_of
from strategies.wrappers import secure_messages as wire
from strategies.wrappers.protocol import EXHAUSTED

Phase = Callable[[Message, Context, ConfigRecord], ConfigRecord]
Handler = Callable[[Message, Context], Message]


def refusing(phase: Phase) -> Handler:
    """Return a handler that declines, with the reason, whatever the protocol does not allow."""

    @wraps(phase)
    def handle(message: Message, context: Context) -> Message:
        try:
            if not clinic_settings(context).secure:
                raise RoundAbandoned("this run has no secure aggregation")
            said = cast(ConfigRecord, message.content[wire.SECAGG])
            answer = phase(message, context, said)
        except PrivacyBudgetExhausted as fault:
            return refuse(message, f"{EXHAUSTED}: {fault}")
        except (RoundAbandoned, SecAggError, KeyError, TypeError, ValueError) as fault:
            return refuse(message, str(fault))
        return Message(RecordDict({wire.SECAGG: answer}), reply_to=message)

    return handle


@refusing
def keys(_: Message, context: Context, said: ConfigRecord) -> ConfigRecord:
    """Round 0, AdvertiseKeys: fresh keys, unless the clinic's budget allows no more uploads."""
    settings = clinic_settings(context)
    terms = terms_of(settings, int(cast(int, said[wire.ASKED])))
    least = int(cast(int, context.node_config.get("min-clinics", 0)))
    if terms.least_survivors < least:
        raise RoundAbandoned(
            f"a sum of {terms.least_survivors} clinics could be opened, this clinic's min-clinics "
            f"is {least}"
        )
    check_budget(context, settings, terms.members, terms.least_survivors)
    session = wire.data(said, wire.SESSION)
    if len(session) != wire.SESSION_BYTES:
        raise RoundAbandoned("a session without a usable name")
    member = Member(partition_of(context), session, terms)
    advert = member.advertise(signer_of_clinic(context))
    remember(context, member)
    return wire.adverts_record([advert])


@refusing
def shares(_: Message, context: Context, said: ConfigRecord) -> ConfigRecord:
    """Round 1, ShareKeys: both secrets shared among the neighbours, encrypted for each."""
    member = recall(context, wire.data(said, wire.SESSION))
    try:
        letters, bound = member.share(wire.read_adverts(said), verifier_of_clinic(context))
    finally:
        remember(context, member)
    record = wire.letters_record(letters)
    record[wire.COMMITMENT] = bound
    return record


@refusing
def check(_: Message, context: Context, said: ConfigRecord) -> ConfigRecord:
    """Round 3, ConsistencyCheck: sign who survived, and hold to it."""
    member, signer = recall(context, wire.data(said, wire.SESSION)), signer_of_clinic(context)
    if signer is None:
        raise RoundAbandoned("this clinic has no signing key")
    signature = member.confirm(wire.numbers(said, wire.MEMBERS), signer)
    remember(context, member)
    return ConfigRecord({wire.SIGNATURES: signature})


@refusing
def unmask(_: Message, context: Context, said: ConfigRecord) -> ConfigRecord:
    """Round 4, Unmasking: one share of each clinic, and the ledger learns who survived."""
    member = recall(context, wire.data(said, wire.SESSION))
    verifier = verifier_of_clinic(context)
    signatures = wire.read_signatures(said) if verifier else None
    revealed = member.open(wire.numbers(said, wire.MEMBERS), signatures, verifier)
    remember(context, member)
    settle(context, member)
    return wire.revealed_record(revealed)
