"""What members and server tell each other, and the bytes that are signed or authenticated."""

from collections.abc import Iterable
from dataclasses import dataclass

from strategies.secagg.keys import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from strategies.secagg.shamir import SHARE_BYTES

SEALED_BYTES = NONCE_BYTES + 2 * SHARE_BYTES + TAG_BYTES
"""Length of the encrypted shares from one member to another."""


@dataclass(frozen=True)
class Advert:
    """Round 0: a member's two public keys, and their signature where keys are there.

    Parameters
    ----------
    member : int
        Its number.
    cipher_key : bytes
        ``c^PK``, for encrypting shares.
    mask_key : bytes
        ``s^PK``, for pairwise masks.
    signature : bytes
        Empty without signing keys.
    """

    member: int
    cipher_key: bytes
    mask_key: bytes
    signature: bytes = b""

    def signed(self, session: bytes) -> bytes:
        """Return what the signature is of."""
        name = self.member.to_bytes(8, "big")
        return b"secagg keys" + session + name + self.cipher_key + self.mask_key

    @property
    def well_formed(self) -> bool:
        """Return whether both keys have the right length and differ."""
        lengths = {len(self.cipher_key), len(self.mask_key)}
        return lengths == {KEY_BYTES} and self.cipher_key != self.mask_key


def survivors_signed(session: bytes, survivors: Iterable[int]) -> bytes:
    """Return what a member signs in round 3: that it was told of exactly these survivors."""
    listed = b"".join(member.to_bytes(8, "big") for member in sorted(survivors))
    return b"secagg survivors" + session + listed


def about(session: bytes, sender: int, receiver: int) -> bytes:
    """Return what encrypted shares are bound to: u and v of Fig. 4, round 4, and the session."""
    return session + sender.to_bytes(8, "big") + receiver.to_bytes(8, "big")


def share_text(mask_key_share: int, self_mask_share: int) -> bytes:
    """Return a pair of shares as bytes."""
    parts = mask_key_share, self_mask_share
    return b"".join(part.to_bytes(SHARE_BYTES, "big") for part in parts)


def read_shares(text: bytes) -> tuple[int, int]:
    """Return the pair of shares that :func:`share_text` wrote."""
    return int.from_bytes(text[:SHARE_BYTES], "big"), int.from_bytes(text[SHARE_BYTES:], "big")
