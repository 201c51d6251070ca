"""Who lied in a session, where that can be told from what the server has anyway.

Every secret is bound before it is needed: a self mask by its commitment, a mask key by its public
key. So a set of t shares either gives the secret or does not, and a share that does not lie on the
polynomial of a set that does is false. Nothing more is opened for it than in a session
without a liar.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, islice
from math import comb

from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.messages import Advert
from strategies.secagg.shamir import combine

MOST_TRIES = 1000
"""Sets of shares that are tried before a round is abandoned without a name."""
NOT_SIGNED = "the keys of clinic {} are not signed by it"
FALSE_LETTER = "encrypted shares of clinic {} were altered or replayed"
_ACCUSES = tuple(
    re.compile(re.escape(text).replace(r"\{\}", r"(\d{1,7})"))
    for text in (NOT_SIGNED, FALSE_LETTER)
)


class FalseDealer(RoundAbandoned):
    """Shares of one member's secret fit nothing it is bound to; ``member`` handed them out.

    Parameters
    ----------
    member : int
        Whose secret it is.
    reason : str
        One line.
    """

    def __init__(self, member: int, reason: str) -> None:
        super().__init__(reason)
        self.member = member


def bad_adverts(adverts: Sequence[Advert], seen: set[bytes]) -> dict[int, str]:
    """Return by member what is wrong with its public keys: none, or used in an earlier session."""
    found = {}
    for advert in adverts:
        if not advert.well_formed:
            found[advert.member] = "sent public keys that are none"
        elif seen & {advert.cipher_key, advert.mask_key}:
            found[advert.member] = "sent public keys that were used before: replayed keys"
    return found


def same_keys(adverts: Sequence[Advert]) -> set[int]:
    """Return the members that share a key with another: who took whose cannot be told."""
    uses = Counter(key for a in adverts for key in (a.cipher_key, a.mask_key))
    return {a.member for a in adverts if uses[a.cipher_key] > 1 or uses[a.mask_key] > 1}


def right_secret(
    shares: Mapping[int, int],
    threshold: int,
    holds: Callable[[bytes], bool],
    doubted: Iterable[int] = (),
) -> tuple[bytes, frozenset[int]] | None:
    """Return the secret that ``holds``, and the points whose shares are false; None when none does.

    The fewest shares are left out that must be, those of ``doubted`` points first; with exactly
    the threshold none can be.
    """
    points = sorted(shares)
    suspects = tuple(point for point in points if point in set(doubted))
    sizes = range(1, len(points) - threshold + 1)
    others = (out for size in sizes for out in combinations(points, size))
    for out in ((), suspects, *islice(others, MOST_TRIES)):
        try:
            secret = combine({p: shares[p] for p in points if p not in out}, threshold)
        except RoundAbandoned:
            continue
        if holds(secret):
            polynomial = {p: shares[p] for p in points if p not in out}
            false = (p for p in out if not _fits(polynomial, p, shares[p], threshold))
            return secret, frozenset(false)
    return None


def _fits(shares: Mapping[int, int], point: int, share: int, threshold: int) -> bool:
    """Return whether one more share lies on the polynomial of the others."""
    try:
        combine({**shares, point: share}, threshold)
    except RoundAbandoned:
        return False
    return True


def certain(false: frozenset[int], shares: int, threshold: int, colluders: int) -> frozenset[int]:
    """Return the false points of :func:`right_secret` if they are so for certain, else none.

    Errors of two holders can cancel at 0: a set with both gives the right secret and makes honest
    shares look false. With one liar they cannot, with more the others must outnumber them.
    """
    most = max(1, colluders)
    enough = most == 1 or shares - len(false) >= threshold + most
    return false if len(false) <= most and enough else frozenset()


def tells(shares: int, threshold: int, liars: int) -> bool:
    """Return whether a search that found no secret rules out that so many holders are to blame."""
    tried = sum(comb(shares, size) for size in range(1, liars + 1))
    return shares - threshold >= liars and tried <= MOST_TRIES


def named_by(disputes: Iterable[tuple[int, int]], colluders: int) -> dict[int, str]:
    """Return who lied of those whose shares do not fit.

    A single false share may be its dealer's doing or its holder's. Whoever is in more disputes
    than there are liars assumed (the colluders, at least one) is a liar itself.

    Parameters
    ----------
    disputes : iterable of (int, int)
        Dealer and holder of each false share.
    colluders : int
        c.
    """
    pairs = set(disputes)
    most = max(1, colluders)
    dealt, held = Counter(d for d, _ in pairs), Counter(h for _, h in pairs)
    named = {m: "handed out false shares" for m, times in dealt.items() if times > most}
    return named | {m: "revealed false shares" for m, times in held.items() if times > most}


def accused_by(refusals: Iterable[tuple[str, str]], more_than: int) -> dict[int, str]:
    """Return who is accused of false keys or shares by more clinics than may drop out.

    Fewer could as well be lying themselves; as many could stop every round by their silence.

    Parameters
    ----------
    refusals : iterable of (str, str)
        Who refused, and why.
    more_than : int
        Clinics that may drop out of a session.
    """
    accusers: dict[int, dict[str, str]] = {}
    for who, why in refusals:
        for pattern in _ACCUSES:
            match = pattern.fullmatch(why)
            if match:
                accusers.setdefault(int(match[1]), {})[who] = why
    return {
        member: f"{next(iter(said.values()))}, say {len(said)} clinics"
        for member, said in accusers.items()
        if len(said) > more_than
    }
