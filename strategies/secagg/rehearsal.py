"""A whole session in one process, with members that drop out where they are told to.

For tests and benchmarks: the same members and the same server side as over messages.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.masks import Words, pack
from strategies.secagg.member import Member
from strategies.secagg.opening import Roll, check_keys, open_sum
from strategies.secagg.terms import Terms, check_survivors

Tamper = Callable[[dict[int, dict[int, int]]], None]


@dataclass(frozen=True)
class Dropouts:
    """Members that are gone before each step."""

    share: Collection[int] = ()
    mask: Collection[int] = ()
    open: Collection[int] = ()


@dataclass
class Transcript:
    """What the server saw.

    Attributes
    ----------
    members : dict
        Every member, secrets included: the server sees none of it.
    masked : dict
        y by survivor.
    total : ndarray of uint64
        The opened sum.
    sent, received : dict
        Bytes of protocol content that each member sent and was sent.
    """

    members: dict[int, Member]
    masked: dict[int, Words] = field(default_factory=dict)
    total: Words | None = None
    sent: dict[int, int] = field(default_factory=dict)
    received: dict[int, int] = field(default_factory=dict)

    def count(self, book: dict[int, int], member: int, size: int) -> None:
        """Add bytes to a member's count."""
        book[member] = book.get(member, 0) + size


def rehearse(
    inputs: Mapping[int, Words],
    terms: Terms,
    dropouts: Dropouts | None = None,
    session: bytes = b"rehearsal",
    tamper: Tamper | None = None,
) -> Transcript:
    """Run one session without signatures and return what the server saw.

    Parameters
    ----------
    inputs : mapping of int to ndarray of uint64, shape (d,)
        x of each member, elements modulo 2^bits.
    terms : Terms
        Of the session.
    dropouts : Dropouts, optional
        Who leaves before which step.
    session : bytes
        Its name.
    tamper : callable, optional
        Alters the shares of round 4 before the server uses them.

    Raises
    ------
    RoundAbandoned
        As members and server do.
    """
    gone = dropouts or Dropouts()
    seen = Transcript({number: Member(number, session, terms) for number in inputs})
    adverts = [member.advertise() for member in seen.members.values()]
    check_keys(adverts, set())
    check_survivors(inputs, inputs, terms)
    mailbox, commitments = _share(seen, adverts, gone.share)
    roll = Roll(session, terms, {a.member: a for a in adverts}, commitments)
    check_survivors(roll.cohort, inputs, terms)
    for number in roll.cohort:
        if number not in gone.mask:
            letters = mailbox.get(number, {})
            seen.masked[number] = seen.members[number].mask(inputs[number], letters, roll.cohort)
            seen.count(seen.sent, number, len(pack(seen.masked[number], terms.bits)))
            seen.count(seen.received, number, sum(map(len, letters.values())))
    check_survivors(seen.masked, roll.cohort, terms)
    revealed = {
        number: seen.members[number].open(sorted(seen.masked))
        for number in seen.masked
        if number not in gone.open
    }
    for number, shares in revealed.items():
        seen.count(seen.sent, number, 33 * len(shares))
    if len(revealed) < terms.threshold:
        raise RoundAbandoned(f"{len(revealed)} clinics are left to unmask: too few")
    if tamper is not None:
        tamper(revealed)
    seen.total = open_sum(roll, seen.masked, revealed)
    return seen


def _share(
    seen: Transcript, adverts: Sequence[object], gone: Collection[int]
) -> tuple[dict[int, dict[int, bytes]], dict[int, bytes]]:
    mailbox: dict[int, dict[int, bytes]] = {}
    commitments = {}
    for number, member in seen.members.items():
        seen.count(seen.sent, number, 64)
        if number in gone:
            continue
        letters, commitments[number] = member.share(adverts)  # type: ignore[arg-type]
        seen.count(seen.received, number, 72 * len(adverts))
        seen.count(seen.sent, number, 32 + sum(map(len, letters.values())))
        for receiver, letter in letters.items():
            mailbox.setdefault(receiver, {})[number] = letter
    return mailbox, commitments
