"""One member's side of the protocol, step by step, and what it refuses.

Bonawitz et al. 2017, Fig. 4, the right-hand column. A member goes through the steps in order and
through each once; whatever a curious or cheating server sends, it never reveals shares of both
secrets of one member, nor shares for two sets of survivors.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from strategies.secagg.blame import FALSE_LETTER, NOT_SIGNED
from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.keys import (
    KEY_BYTES,
    Signer,
    Verifier,
    agree,
    decrypt,
    derive,
    encrypt,
    new_private_key,
    pair_of,
    public_key_of,
)
from strategies.secagg.masks import Words, expand, reduce
from strategies.secagg.messages import (
    SEALED_BYTES,
    Advert,
    about,
    read_shares,
    share_text,
    survivors_signed,
)
from strategies.secagg.shamir import split
from strategies.secagg.terms import Terms, check_survivors, graph_of

ADVERTISED, SHARED, MASKED, OPENED = range(4)
CIPHER, MASK, SELF, COMMITMENT = b"encryption", b"mask", b"self mask", b"commitment"


def self_mask_seed(secret: bytes, session: bytes) -> bytes:
    """Return the seed of a self mask."""
    return derive(secret, session, SELF)


def commitment(secret: bytes, session: bytes) -> bytes:
    """Return what binds a member to its self mask before it masks.

    Not in Fig. 4: with it false shares are noticed even when only t of them come back. HKDF
    makes it independent of the mask's seed.
    """
    return derive(secret, session, COMMITMENT)


@dataclass
class Member:
    """A member's secrets and how far it has come.

    Parameters
    ----------
    number : int
        Its lasting number, from 0.
    session : bytes
        Name of the session; all keys are bound to it.
    terms : Terms
        Threshold, neighbours, modulus.
    """

    number: int
    session: bytes
    terms: Terms
    stage: int = ADVERTISED
    cipher_key: bytes = field(default_factory=new_private_key, repr=False)
    mask_key: bytes = field(default_factory=new_private_key, repr=False)
    self_mask: bytes = field(default_factory=lambda: os.urandom(KEY_BYTES), repr=False)
    own_shares: bytes = field(default=b"", repr=False)
    peers: tuple[int, ...] = ()
    cohort: tuple[int, ...] = ()
    peer_mask_keys: tuple[bytes, ...] = ()
    pair_keys: tuple[bytes, ...] = field(default=(), repr=False)
    sealed: dict[int, bytes] = field(default_factory=dict)
    survivors: tuple[int, ...] = ()

    def advertise(self, signer: Signer | None = None) -> Advert:
        """Round 0: return fresh public keys, signed if there is a key to sign with."""
        keys = public_key_of(self.cipher_key), public_key_of(self.mask_key)
        advert = Advert(self.number, *keys)
        if signer is None:
            return advert
        return Advert(self.number, *keys, signer(advert.signed(self.session)))

    def share(
        self, adverts: Sequence[Advert], verifier: Verifier | None = None
    ) -> tuple[dict[int, bytes], bytes]:
        """Round 1: share both secrets among the neighbours, encrypted for each.

        Parameters
        ----------
        adverts : sequence of Advert
            Of all members the server heard, U1.
        verifier : callable, optional
            Checks signatures, where members have lasting keys.

        Returns
        -------
        sealed : dict
            Encrypted shares by neighbour.
        commitment : bytes
            Binds this member to its self mask.

        Raises
        ------
        RoundAbandoned
            When keys repeat, are not signed, are not this member's own, or are too few.
        """
        self._proceed(ADVERTISED, SHARED)
        ordered = sorted(adverts, key=lambda advert: advert.member)
        self._check_adverts(ordered, verifier)
        numbers = [advert.member for advert in ordered]
        graph = graph_of(numbers, [a.cipher_key + a.mask_key for a in ordered], self.terms.degree)
        self.peers = graph[self.number]
        by_number = {advert.member: advert for advert in ordered}
        self.peer_mask_keys = tuple(by_number[peer].mask_key for peer in self.peers)
        self.cohort = tuple(numbers)
        points = [number + 1 for number in (self.number, *self.peers)]
        of_key = split(self.mask_key, points, self.terms.threshold)
        of_self = split(self.self_mask, points, self.terms.threshold)
        own = self.number + 1
        self.own_shares = share_text(of_key[own], of_self[own])
        self.pair_keys = tuple(
            agree(
                self.cipher_key,
                by_number[peer].cipher_key,
                self.session,
                CIPHER,
                pair_of(self.number, peer),
            )
            for peer in self.peers
        )
        sealed = {
            peer: encrypt(
                key,
                share_text(of_key[peer + 1], of_self[peer + 1]),
                about(self.session, self.number, peer),
            )
            for peer, key in zip(self.peers, self.pair_keys, strict=True)
        }
        return sealed, commitment(self.self_mask, self.session)

    def mask(self, values: Words, sealed: Mapping[int, bytes], cohort: Sequence[int]) -> Words:
        """Round 2: return ``y = x + PRG(b) + sum_v +-PRG(s_uv)`` modulo 2^bits.

        Parameters
        ----------
        values : ndarray of uint64, shape (d,)
            x, elements modulo 2^bits.
        sealed : mapping
            Encrypted shares from each neighbour that is still there.
        cohort : sequence of int
            U2, everybody who is still there.

        Raises
        ------
        RoundAbandoned
            When too few are left, or shares are missing, altered or not from a neighbour. The
            paper decrypts in round 4; here nothing leaves for a cohort that was made up.
        """
        self._proceed(SHARED, MASKED)
        left = set(cohort)
        check_survivors(left, self.cohort, self.terms)
        expected = {peer for peer in self.peers if peer in left}
        if self.number not in left or set(sealed) != expected:
            raise RoundAbandoned("encrypted shares do not fit the clinics said to be left")
        if any(len(text) != SEALED_BYTES for text in sealed.values()):
            raise RoundAbandoned("encrypted shares of the wrong length")
        self.cohort, self.sealed = tuple(sorted(left)), dict(sealed)
        for peer in expected:
            self._letter_of(peer)  # who is said to be left has proved it, before anything is sent
        bits, size = self.terms.bits, len(values)
        masked = values + expand(self_mask_seed(self.self_mask, self.session), size, bits)
        for peer, public in zip(self.peers, self.peer_mask_keys, strict=True):
            if peer in left:
                mask = expand(self._mask_seed(peer, public), size, bits)
                masked = masked + mask if self.number > peer else masked - mask
        return reduce(masked, bits)

    def confirm(self, survivors: Sequence[int], signer: Signer) -> bytes:
        """Round 3: sign the survivors this member was told of, and hold to them."""
        self._commit_to(survivors)
        return signer(survivors_signed(self.session, survivors))

    def open(
        self,
        survivors: Sequence[int],
        signatures: Mapping[int, bytes] | None = None,
        verifier: Verifier | None = None,
    ) -> dict[int, int]:
        """Round 4: return one share of each member: of b if it survived, else of its mask key.

        Parameters
        ----------
        survivors : sequence of int
            U3, whose masked inputs arrived.
        signatures : mapping, optional
            Of round 3, by member; at least t are needed where there is a ``verifier``.
        verifier : callable, optional
            Checks them.

        Raises
        ------
        RoundAbandoned
            When survivors are too few or not those named before, signatures are missing, or a
            neighbour's shares were altered.
        """
        self._commit_to(survivors)
        if verifier is not None:
            self._check_signatures(signatures or {}, verifier)
        left = set(survivors)
        revealed = {self.number: read_shares(self.own_shares)[1]}
        for peer in self.sealed:
            of_key, of_self = read_shares(self._letter_of(peer))
            revealed[peer] = of_self if peer in left else of_key
        self.stage = OPENED
        return revealed

    def _proceed(self, needed: int, after: int) -> None:
        if self.stage != needed:
            raise RoundAbandoned("asked out of turn: this step was done before, or is not due yet")
        self.stage = after  # also when it fails: no step is tried twice with other inputs

    def _check_adverts(self, adverts: Sequence[Advert], verifier: Verifier | None) -> None:
        check_survivors([a.member for a in adverts], [a.member for a in adverts], self.terms)
        if len(adverts) > self.terms.members:  # the threshold would be too low among so many
            raise RoundAbandoned(
                f"keys of {len(adverts)} clinics where {self.terms.members} were asked: the "
                "threshold was chosen for fewer, both secrets of a clinic could be opened"
            )
        keys = [key for a in adverts for key in (a.cipher_key, a.mask_key)]
        if len({a.member for a in adverts}) != len(adverts) or len(set(keys)) != len(keys):
            raise RoundAbandoned("two clinics with the same number or key: replayed keys")
        if not all(advert.well_formed for advert in adverts):
            raise RoundAbandoned("a public key that is none")
        own = [a for a in adverts if a.member == self.number]
        fresh = public_key_of(self.cipher_key), public_key_of(self.mask_key)
        if not own or (own[0].cipher_key, own[0].mask_key) != fresh:
            raise RoundAbandoned("this clinic's own fresh keys are not among those sent round")
        if verifier is None:
            return
        for a in adverts:
            if not verifier(a.member, a.signed(self.session), a.signature):
                raise RoundAbandoned(NOT_SIGNED.format(a.member))

    def _commit_to(self, survivors: Sequence[int]) -> None:
        if self.stage not in (MASKED, OPENED):
            raise RoundAbandoned("nothing was masked that could be unmasked")
        listed = tuple(sorted(survivors))
        if self.survivors and self.survivors != listed:
            raise RoundAbandoned("asked to unmask for a second, different set of survivors")
        if self.number not in listed or len(set(listed)) != len(listed):
            raise RoundAbandoned("this clinic sent its input and is not among the survivors")
        check_survivors(listed, self.cohort, self.terms)
        self.survivors = listed

    def _check_signatures(self, signatures: Mapping[int, bytes], verifier: Verifier) -> None:
        data = survivors_signed(self.session, self.survivors)
        good = [
            member
            for member, signature in signatures.items()
            if member in self.survivors and verifier(member, data, signature)
        ]
        if len(good) < self.terms.least_survivors or len(good) != len(signatures):
            raise RoundAbandoned("too few clinics signed that they were told of the same survivors")

    def _letter_of(self, peer: int) -> bytes:
        key = self.pair_keys[self.peers.index(peer)]
        try:
            return decrypt(key, self.sealed[peer], about(self.session, peer, self.number))
        except RoundAbandoned as fault:
            raise RoundAbandoned(FALSE_LETTER.format(peer)) from fault

    def _mask_seed(self, peer: int, public: bytes) -> bytes:
        return agree(self.mask_key, public, self.session, MASK, pair_of(self.number, peer))

    def as_dict(self) -> dict[str, Any]:
        """Return all state but the terms, for the member's own memory between messages."""
        return {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "terms"
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], terms: Terms) -> Self:
        """Return the member that :meth:`as_dict` wrote."""
        return cls(terms=terms, **values)
