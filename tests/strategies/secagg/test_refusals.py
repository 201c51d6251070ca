"""What one honest member refuses, whatever the server sends."""

import os
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.keys import signer_of, verified
from strategies.secagg.member import Member
from strategies.secagg.messages import Advert, survivors_signed
from strategies.secagg.terms import terms_for

N = 5
TERMS = terms_for(N)
ZEROS = np.zeros(2, dtype=np.uint64)


class Room:
    """Five members up to round 2, with lasting keys if asked for."""

    def __init__(self, signed: bool = False, session: bytes = b"session") -> None:
        self.keys = {m: ec.generate_private_key(ec.SECP384R1()) for m in range(N)}
        self.members = {m: Member(m, session, TERMS) for m in range(N)}
        self.signers = {m: signer_of(k) if signed else None for m, k in self.keys.items()}
        self.adverts = [self.members[m].advertise(self.signers[m]) for m in range(N)]
        self.check = self.verify if signed else None

    def verify(self, member: int, data: bytes, signature: bytes) -> bool:
        return verified(self.keys[member].public_key(), data, signature)

    def shared(self) -> "Room":
        sent = {m: self.members[m].share(self.adverts, self.check)[0] for m in range(N)}
        self.letters = {m: {v: sent[v][m] for v in range(N) if v != m} for m in range(N)}
        return self

    def masked(self) -> "Room":
        self.shared()
        for m in range(N):
            self.members[m].mask(ZEROS, self.letters[m], range(N))
        return self


def test_both_secrets_of_one_member_are_never_revealed() -> None:
    """Survivors get their self mask opened, dropouts their key; asking for the other is refused."""
    room = Room().masked()
    member = room.members[0]
    first = member.open([0, 1, 2, 3])
    with pytest.raises(RoundAbandoned, match="different set"):
        member.open([0, 1, 2, 3, 4])
    with pytest.raises(RoundAbandoned, match="different set"):
        member.open([0, 1, 2, 4])
    assert member.open([3, 2, 1, 0]) == first  # the same question may be asked again


def test_a_server_that_said_fewer_are_asked_does_not_lower_the_threshold() -> None:
    """Told of three, a member would split its secrets so that three of its peers open either.

    Half of nine peers could then be asked for the self mask and half for the mask key.
    """
    members = {m: Member(m, b"session", terms_for(3)) for m in range(9)}
    adverts = [members[m].advertise() for m in members]
    with pytest.raises(RoundAbandoned, match="threshold was chosen for fewer"):
        members[0].share(adverts)


def test_its_own_mask_key_must_come_back_too() -> None:
    room = Room()
    room.adverts[0] = replace(room.adverts[0], mask_key=os.urandom(32))
    with pytest.raises(RoundAbandoned, match="own fresh keys"):
        room.members[0].share(room.adverts)


def test_a_second_set_is_refused_even_when_the_first_was_only_signed() -> None:
    room = Room(signed=True).masked()
    signer = room.signers[0]
    assert signer is not None
    room.members[0].confirm([0, 1, 2, 3], signer)
    with pytest.raises(RoundAbandoned, match="different set"):
        room.members[0].open([0, 1, 2, 3, 4], {}, room.verify)


@pytest.mark.parametrize(
    ("survivors", "why"),
    [([0, 1, 2], "least"), ([1, 2, 3, 4], "not among"), ([0, 1, 2, 9], "never shared")],
)
def test_survivors_that_do_not_fit_are_refused(survivors: list[int], why: str) -> None:
    with pytest.raises(RoundAbandoned, match=why):
        Room().masked().members[0].open(survivors)


def test_no_step_is_done_twice_or_early() -> None:
    room = Room().shared()
    member = room.members[0]
    with pytest.raises(RoundAbandoned, match="nothing was masked"):
        member.open(range(N))
    with pytest.raises(RoundAbandoned, match="out of turn"):
        member.share(room.adverts)
    member.mask(ZEROS, room.letters[0], range(N))
    with pytest.raises(RoundAbandoned, match="out of turn"):
        member.mask(ZEROS, room.letters[0], range(N - 1))


def test_a_failed_step_cannot_be_tried_again_with_other_inputs() -> None:
    room = Room()
    with pytest.raises(RoundAbandoned, match="least"):
        room.members[0].share(room.adverts[:3])
    with pytest.raises(RoundAbandoned, match="out of turn"):
        room.members[0].share(room.adverts)


def test_keys_of_another_session_or_repeated_ones_are_refused() -> None:
    room, before = Room(), Room()
    with pytest.raises(RoundAbandoned, match="own fresh keys"):
        room.members[0].share(before.adverts)
    twice = [*room.adverts[:4], replace(room.adverts[3], member=4)]
    with pytest.raises(RoundAbandoned, match="same number or key"):
        room.members[1].share(twice)
    with pytest.raises(RoundAbandoned, match="none"):
        room.members[2].share([*room.adverts[:4], Advert(4, b"short", bytes(32))])


def test_a_key_of_small_order_is_refused() -> None:
    room = Room()
    with pytest.raises(RoundAbandoned, match="no secret"):
        room.members[0].share([*room.adverts[:4], Advert(4, bytes(32), os.urandom(32))])


def test_replayed_or_altered_letters_are_noticed_before_anything_is_sent() -> None:
    old = Room(session=b"yesterday").shared()
    room = Room().shared()
    room.letters[0][1] = old.letters[0][1]
    with pytest.raises(RoundAbandoned, match="altered or replayed"):
        room.members[0].mask(ZEROS, room.letters[0], range(N))
    exchanged = Room().shared()
    exchanged.letters[0][1] = exchanged.letters[0][2]
    with pytest.raises(RoundAbandoned, match="altered or replayed"):
        exchanged.members[0].mask(ZEROS, exchanged.letters[0], range(N))
    made_up = Room().shared()
    made_up.letters[0][1] = b"x" * len(made_up.letters[0][1])
    with pytest.raises(RoundAbandoned, match="altered or replayed"):
        made_up.members[0].mask(ZEROS, made_up.letters[0], range(N))


def test_letters_must_be_those_of_the_ones_said_to_be_left() -> None:
    room = Room().shared()
    letters = room.letters[0]
    with pytest.raises(RoundAbandoned, match="do not fit"):
        room.members[0].mask(ZEROS, letters, range(N - 1))


def test_unsigned_or_foreign_keys_are_refused_where_keys_are_known() -> None:
    room = Room(signed=True)
    forged = [*room.adverts[:4], Room(signed=True).adverts[4]]
    with pytest.raises(RoundAbandoned, match="not signed"):
        room.members[0].share(forged, room.check)
    unsigned = [*room.adverts[:4], replace(room.adverts[4], signature=b"")]
    with pytest.raises(RoundAbandoned, match="not signed"):
        room.members[1].share(unsigned, room.check)


def test_unmasking_needs_signatures_of_the_same_survivors_from_enough_clinics() -> None:
    room = Room(signed=True).masked()
    left = [0, 1, 2, 3]
    good = {m: signer_of(room.keys[m])(survivors_signed(b"session", left)) for m in left}
    with pytest.raises(RoundAbandoned, match="too few clinics signed"):
        room.members[0].open(left, {m: good[m] for m in left[:3]}, room.verify)
    lied = {**good, 1: signer_of(room.keys[1])(survivors_signed(b"session", range(N)))}
    with pytest.raises(RoundAbandoned, match="too few clinics signed"):
        room.members[0].open(left, lied, room.verify)
    assert set(room.members[0].open(left, good, room.verify)) == set(range(N))
