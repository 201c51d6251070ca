"""The server's side: which sum the revealed shares open, or why none.

Bonawitz et al. 2017, Fig. 4, round 4 at the server: the self masks of those whose input arrived
are taken off, and the pairwise masks that dropped members left behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strategies.secagg.blame import (
    FalseDealer,
    bad_adverts,
    certain,
    right_secret,
    same_keys,
    tells,
)
from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.keys import agree, pair_of, public_key_of
from strategies.secagg.masks import Words, expand, reduce
from strategies.secagg.member import MASK, commitment, self_mask_seed
from strategies.secagg.messages import Advert
from strategies.secagg.terms import Graph, Terms, check_survivors, graph_of


@dataclass(frozen=True)
class Roll:
    """What the server knows of a session before anything is opened.

    Parameters
    ----------
    session : bytes
        Its name.
    terms : Terms
        Its parameters.
    adverts : mapping of int to Advert
        U1.
    commitments : mapping of int to bytes
        U2: who shared, and what binds each to its self mask.
    """

    session: bytes
    terms: Terms
    adverts: Mapping[int, Advert]
    commitments: Mapping[int, bytes]

    @property
    def cohort(self) -> tuple[int, ...]:
        """Return U2."""
        return tuple(sorted(self.commitments))

    @property
    def graph(self) -> Graph:
        """Return the neighbours of each of U1."""
        ordered = [self.adverts[number] for number in sorted(self.adverts)]
        keys = [advert.cipher_key + advert.mask_key for advert in ordered]
        return graph_of([a.member for a in ordered], keys, self.terms.degree)


def check_keys(adverts: Sequence[Advert], seen: set[bytes]) -> None:
    """Raise RoundAbandoned when a key repeats, here or from an earlier session in ``seen``."""
    for member, fault in bad_adverts(adverts, seen).items():
        raise RoundAbandoned(f"clinic {member} {fault}")
    if same_keys(adverts):
        raise RoundAbandoned("two clinics sent the same public keys: replayed keys")
    seen.update(key for advert in adverts for key in (advert.cipher_key, advert.mask_key))


def open_sum(
    roll: Roll,
    masked: Mapping[int, Words],
    revealed: Mapping[int, Mapping[int, int]],
    disputes: set[tuple[int, int]] | None = None,
) -> Words:
    """Return the sum of the survivors' inputs modulo 2^bits.

    Parameters
    ----------
    roll : Roll
        The session.
    masked : mapping of int to ndarray of uint64, shape (d,)
        y of each survivor, U3.
    revealed : mapping of int to mapping of int to int
        By who answered in round 4: its share of each member.
    disputes : set of (int, int), optional
        Dealer and holder of each false share are added; enough true ones open the sum anyway.

    Raises
    ------
    RoundAbandoned
        When survivors or true shares are too few; ``FalseDealer`` when no shares of a member's
        secret give what it is bound to and it alone can be to blame. Nothing is taken off a
        masked input then.
    """
    cohort, graph = roll.cohort, roll.graph
    check_survivors(masked, cohort, roll.terms)
    false: set[tuple[int, int]] = set() if disputes is None else disputes
    secrets = {member: _secret(member, roll, graph, masked, revealed, false) for member in cohort}
    bits = roll.terms.bits
    size = len(next(iter(masked.values())))
    total = np.zeros(size, dtype=np.uint64)
    for member, values in masked.items():
        seed = self_mask_seed(secrets[member], roll.session)
        total = total + values - expand(seed, size, bits)
    for member in cohort:
        if member in masked:
            continue
        for peer in graph[member]:
            if peer in masked:  # it carries +PRG if its number is the larger one
                pair = pair_of(member, peer)
                public = roll.adverts[peer].mask_key
                seed = agree(secrets[member], public, roll.session, MASK, pair)
                mask = expand(seed, size, bits)
                total = total - mask if peer > member else total + mask
    return reduce(total, bits)


def _secret(
    member: int,
    roll: Roll,
    graph: Graph,
    masked: Mapping[int, Words],
    revealed: Mapping[int, Mapping[int, int]],
    disputes: set[tuple[int, int]],
) -> bytes:
    """Return b of a survivor, or the mask key of one who dropped out, checked."""
    survived = member in masked
    if not survived and not any(peer in masked for peer in graph[member]):
        return b""  # nobody carries a mask that it left behind
    shares = {
        holder + 1: said[member]
        for holder, said in revealed.items()
        if member in said and holder in masked
    }
    what = "self mask" if survived else "mask key"
    threshold = roll.terms.threshold
    if len(shares) < threshold:
        raise RoundAbandoned(
            f"the {what} of clinic {member} cannot be opened: {len(shares)} shares of a secret "
            f"where {threshold} are needed"
        )

    def bound(secret: bytes) -> bool:
        if survived:
            return commitment(secret, roll.session) == roll.commitments[member]
        return public_key_of(secret) == roll.adverts[member].mask_key

    doubted = [holder + 1 for _, holder in disputes]
    found = right_secret(shares, threshold, bound, doubted)
    if found is None:
        raise _not_opened(member, what, len(shares), roll.terms)
    secret, points = found
    false = certain(points, len(shares), threshold, roll.terms.colluders)
    disputes |= {(member, point - 1) for point in false}
    return secret


def _not_opened(member: int, what: str, shares: int, terms: Terms) -> RoundAbandoned:
    """Return why no shares of a secret open it: its own doing, unless too many holders lied."""
    text = (
        f"shares of the {what} of clinic {member} do not give what it is bound to: inconsistent "
        "shares"
    )
    if tells(shares, terms.threshold, max(1, terms.colluders)):
        return FalseDealer(member, text)
    return RoundAbandoned(text)
