"""The messages of secure aggregation: what client and server must agree on, packed and unpacked.

Everything travels in one ConfigRecord named ``secagg``: numbers as lists, keys and shares end to
end as bytes. What is read here comes from a peer: lengths are checked before anything is used.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from flwr.app import ConfigRecord

from strategies.secagg.errors import RoundAbandoned
from strategies.secagg.keys import KEY_BYTES, SIGNATURE_BYTES
from strategies.secagg.messages import SEALED_BYTES, Advert
from strategies.secagg.shamir import PRIME, SHARE_BYTES

SECAGG = "secagg"
KEYS, SHARES = "query.secagg_keys", "query.secagg_shares"
CHECK, UNMASK = "query.secagg_check", "query.secagg_unmask"
PHASES = (KEYS, SHARES, CHECK, UNMASK)

SESSION, MEMBERS, ASKED = "session", "members", "asked"
CIPHER_KEYS, MASK_KEYS, SIGNATURES = "cipher-keys", "mask-keys", "signatures"
LETTERS, COMMITMENT, MASKED, REVEALED = "letters", "commitment", "masked", "revealed"
SESSION_BYTES = 16


def adverts_record(adverts: Sequence[Advert]) -> ConfigRecord:
    """Return public keys as a record; one's own, or everybody's."""
    signed = all(advert.signature for advert in adverts)
    return ConfigRecord(
        {
            MEMBERS: [advert.member for advert in adverts],
            CIPHER_KEYS: b"".join(advert.cipher_key for advert in adverts),
            MASK_KEYS: b"".join(advert.mask_key for advert in adverts),
            SIGNATURES: b"".join(a.signature for a in adverts) if signed else b"",
        }
    )


def read_adverts(record: ConfigRecord) -> list[Advert]:
    """Return the public keys of a record.

    Raises
    ------
    RoundAbandoned
        When the lengths do not fit.
    """
    members = numbers(record, MEMBERS)
    cipher = pieces(record, CIPHER_KEYS, KEY_BYTES, len(members))
    mask = pieces(record, MASK_KEYS, KEY_BYTES, len(members))
    signatures = [b""] * len(members)
    if data(record, SIGNATURES):
        signatures = pieces(record, SIGNATURES, SIGNATURE_BYTES, len(members))
    return [Advert(*each) for each in zip(members, cipher, mask, signatures, strict=True)]


def letters_record(letters: Mapping[int, bytes]) -> ConfigRecord:
    """Return encrypted shares by sender or receiver as a record."""
    listed = sorted(letters)
    return ConfigRecord({MEMBERS: listed, LETTERS: b"".join(letters[m] for m in listed)})


def read_letters(record: ConfigRecord) -> dict[int, bytes]:
    """Return encrypted shares by sender or receiver; RoundAbandoned when lengths do not fit."""
    members = numbers(record, MEMBERS)
    return dict(zip(members, pieces(record, LETTERS, SEALED_BYTES, len(members)), strict=True))


def signatures_record(signatures: Mapping[int, bytes]) -> ConfigRecord:
    """Return signatures by member as a record."""
    listed = sorted(signatures)
    return ConfigRecord({"signers": listed, SIGNATURES: b"".join(signatures[m] for m in listed)})


def read_signatures(record: ConfigRecord) -> dict[int, bytes]:
    """Return signatures by member; RoundAbandoned when lengths do not fit."""
    members = numbers(record, "signers")
    return dict(
        zip(members, pieces(record, SIGNATURES, SIGNATURE_BYTES, len(members)), strict=True)
    )


def revealed_record(shares: Mapping[int, int]) -> ConfigRecord:
    """Return shares by the member they are of as a record."""
    listed = sorted(shares)
    return ConfigRecord(
        {
            MEMBERS: listed,
            REVEALED: b"".join(shares[m].to_bytes(SHARE_BYTES, "big") for m in listed),
        }
    )


def read_revealed(record: ConfigRecord) -> dict[int, int]:
    """Return shares by the member they are of; RoundAbandoned when they are none."""
    members = numbers(record, MEMBERS)
    values = [
        int.from_bytes(part, "big") for part in pieces(record, REVEALED, SHARE_BYTES, len(members))
    ]
    if any(value >= PRIME for value in values):
        raise RoundAbandoned("a share that is no element of the field")
    return dict(zip(members, values, strict=True))


def numbers(record: ConfigRecord, name: str) -> list[int]:
    """Return a list of distinct member numbers.

    Raises
    ------
    RoundAbandoned
        When it is none.
    """
    value = record.get(name)
    if not isinstance(value, list) or any(
        not isinstance(item, int) or isinstance(item, bool) or item < 0 for item in value
    ):
        raise RoundAbandoned(f"{name} is no list of clinics")
    listed = cast("list[int]", value)
    if len(set(listed)) != len(listed):
        raise RoundAbandoned(f"{name} lists a clinic twice")
    return listed


def data(record: ConfigRecord, name: str) -> bytes:
    """Return bytes of a record; RoundAbandoned when they are none."""
    value = record.get(name)
    if not isinstance(value, bytes):
        raise RoundAbandoned(f"{name} is missing or not bytes")
    return value


def pieces(record: ConfigRecord, name: str, width: int, count: int) -> list[bytes]:
    """Return ``count`` parts of ``width`` bytes; RoundAbandoned when the length does not fit."""
    value = data(record, name)
    if len(value) != width * count:
        raise RoundAbandoned(f"{name} takes {len(value)} bytes where {width * count} are expected")
    return [value[start : start + width] for start in range(0, len(value), width)]
