"""What a clinic remembers between the messages of one secure session, in its own state.

Secrets among it: Flower keeps a node's state in the node's own memory and never sends it. It is
erased when the session is over or another begins.
"""

from typing import Any, cast

from flwr.app import ConfigRecord, Context

from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.member import Member
from strategies.secagg.terms import Terms

STATE = "secagg-session"
_TERMS = "terms"
_LISTS = ("peers", "cohort", "survivors")
_KEYS = ("peer_mask_keys", "pair_keys")


def remember(context: Context, member: Member) -> None:
    """Keep a session."""
    values: dict[str, Any] = member.as_dict()
    sealed: dict[int, bytes] = values.pop("sealed")
    terms = member.terms
    values[_TERMS] = [
        terms.members,
        terms.threshold,
        terms.colluders,
        terms.neighbours,
        terms.bits,
    ]
    values |= {name: list(values[name]) for name in (*_LISTS, *_KEYS)}
    values["sealed_from"], values["sealed"] = list(sealed), list(sealed.values())
    context.state[STATE] = ConfigRecord(values)


def recall(context: Context, session: bytes) -> Member:
    """Return the session of this name.

    Raises
    ------
    RoundAbandoned
        When the clinic knows of no such session: it restarted, or the server replays an old one.
    """
    record = context.state.get(STATE)
    if not isinstance(record, ConfigRecord) or record["session"] != session:
        raise RoundAbandoned("this clinic takes no part in a session of that name")
    values: dict[str, Any] = dict(record.items())
    terms = Terms(*cast("list[int]", values.pop(_TERMS)))
    sealed = zip(values.pop("sealed_from"), values.pop("sealed"), strict=True)
    values |= {name: tuple(values[name]) for name in (*_LISTS, *_KEYS)}
    return Member.from_dict({**values, "sealed": dict(sealed)}, terms)


def forget(context: Context) -> None:
    """Erase the session and its secrets."""
    context.state.pop(STATE, None)
