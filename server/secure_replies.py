"""What a reply of secure aggregation must look like, one judge for each of its messages.

Only form and length are judged here, before anything is used; whether keys and shares are right
is the protocol's own question (:mod:`strategies.secagg`).
"""

from typing import cast

from flwr.app import ConfigRecord, RecordDict

from server.registry import Participant
from server.replies import Judge, ReplyRejected, expect_keys, expect_names, expect_whole
from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.keys import KEY_BYTES, SIGNATURE_BYTES
from strategies.secagg.masks import word_bytes
from strategies.secagg.messages import SEALED_BYTES
from strategies.secagg.shamir import SHARE_BYTES
from strategies.wrappers import secure_messages as wire

MAX_MEMBER = 1_000_000


def secure_judges(members: int, dimension: int, bits: int) -> dict[str, Judge]:
    """Return the judges of a run among ``members`` clinics that upload d + 1 masked words."""

    def keys(content: RecordDict, participant: Participant | None) -> None:
        record = _record(content, {wire.MEMBERS, wire.CIPHER_KEYS, wire.MASK_KEYS, wire.SIGNATURES})
        _expect_bytes(record, wire.CIPHER_KEYS, {KEY_BYTES})
        _expect_bytes(record, wire.MASK_KEYS, {KEY_BYTES})
        _expect_bytes(record, wire.SIGNATURES, {0, SIGNATURE_BYTES})
        listed = _members(record, 1)
        if participant is not None and listed != [participant.partition]:
            raise ReplyRejected("sends keys in the name of another clinic")

    def shares(content: RecordDict, _: Participant | None) -> None:
        record = _record(content, {wire.MEMBERS, wire.LETTERS, wire.COMMITMENT})
        count = len(_members(record, members))
        _expect_bytes(record, wire.LETTERS, {count * SEALED_BYTES})
        _expect_bytes(record, wire.COMMITMENT, {KEY_BYTES})

    def masked(content: RecordDict, _: Participant | None) -> None:
        record = _record(content, {wire.MASKED})
        _expect_bytes(record, wire.MASKED, {(dimension + 1) * word_bytes(bits)})

    def check(content: RecordDict, _: Participant | None) -> None:
        _expect_bytes(_record(content, {wire.SIGNATURES}), wire.SIGNATURES, {SIGNATURE_BYTES})

    def unmask(content: RecordDict, _: Participant | None) -> None:
        record = _record(content, {wire.MEMBERS, wire.REVEALED})
        count = len(_members(record, members))
        _expect_bytes(record, wire.REVEALED, {count * SHARE_BYTES})
        try:
            wire.read_revealed(record)
        except RoundAbandoned as fault:
            raise ReplyRejected(str(fault)) from fault

    return {
        wire.KEYS: keys,
        wire.SHARES: shares,
        "train": masked,
        wire.CHECK: check,
        wire.UNMASK: unmask,
    }


def _record(content: RecordDict, names: set[str]) -> ConfigRecord:
    expect_keys(content, {wire.SECAGG: ConfigRecord})
    record = cast(ConfigRecord, content[wire.SECAGG])
    expect_names(record, names)
    return record


def _expect_bytes(record: ConfigRecord, name: str, lengths: set[int]) -> None:
    value = record[name]
    if not isinstance(value, bytes) or len(value) not in lengths:
        raise ReplyRejected(f"{name} is not of the expected length {max(lengths)}")


def _members(record: ConfigRecord, most: int) -> list[int]:
    try:
        listed = wire.numbers(record, wire.MEMBERS)
    except RoundAbandoned as fault:
        raise ReplyRejected(str(fault)) from fault
    if len(listed) > most:
        raise ReplyRejected(f"{len(listed)} clinics where at most {most} are expected")
    for number in listed:
        expect_whole(number, wire.MEMBERS, 0, MAX_MEMBER)
    return listed
