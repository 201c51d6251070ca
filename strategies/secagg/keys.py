"""Key agreement, key derivation, authenticated encryption and signatures, all by `cryptography`.

Bonawitz et al. 2017, section 3: KA is X25519 (RFC 7748) followed by HKDF-SHA256 (RFC 5869), AE
is AES-256-GCM with a random nonce. Every derived key is bound to the
session and to the two members it belongs to. SIG is ECDSA over P-384 with SHA-384, as that is the
kind of key by which Flower's SuperNodes are known.
"""

import os
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strategies.secagg.errors import RoundAbandoned

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
_HALF = 48
SIGNATURE_BYTES = 2 * _HALF


class Signer(Protocol):
    """Signs in the name of a member."""

    def __call__(self, data: bytes) -> bytes:
        """Return the signature of ``data``."""


class Verifier(Protocol):
    """Knows who may speak for a member."""

    def __call__(self, member: int, data: bytes, signature: bytes) -> bool:
        """Return whether ``signature`` of ``data`` is that of ``member``."""


def new_private_key() -> bytes:
    """Return a fresh X25519 private key; always from the operating system's CSPRNG."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_key_of(private: bytes) -> bytes:
    """Return the X25519 public key of a private one."""
    return _private(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes, session: bytes, purpose: bytes, pair: bytes) -> bytes:
    """Return the 32-byte key that two members share for one purpose in one session.

    Raises
    ------
    RoundAbandoned
        For a public key of small order, with which everybody would agree on the same.
    """
    try:
        shared = _private(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as fault:
        raise RoundAbandoned("a public key with which no secret can be agreed") from fault
    return derive(shared, session, purpose + pair)


def derive(secret: bytes, session: bytes, info: bytes) -> bytes:
    """Return 32 bytes by HKDF-SHA256, salt ``session``."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=session, info=info).derive(secret)


def pair_of(one: int, other: int) -> bytes:
    """Return the name of an unordered pair of members."""
    low, high = sorted((one, other))
    return low.to_bytes(8, "big") + high.to_bytes(8, "big")


def encrypt(key: bytes, text: bytes, about: bytes) -> bytes:
    """Return nonce, ciphertext and tag; ``about`` is authenticated with them."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, about)


def decrypt(key: bytes, sealed: bytes, about: bytes) -> bytes:
    """Return the text of :func:`encrypt`.

    Raises
    ------
    RoundAbandoned
        When it was altered, or meant for somebody or something else.
    """
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about)
    except (InvalidTag, ValueError) as fault:
        raise RoundAbandoned("encrypted shares that were altered or replayed") from fault


def signer_of(private: ec.EllipticCurvePrivateKey) -> Signer:
    """Return a signer for a P-384 key; signatures are r and s, 48 bytes each."""

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(data, ec.ECDSA(SHA384())))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")

    return sign


def verified(public: ec.EllipticCurvePublicKey, data: bytes, signature: bytes) -> bool:
    """Return whether a signature of :func:`signer_of` holds."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = (int.from_bytes(part, "big") for part in (signature[:_HALF], signature[_HALF:]))
    try:
        public.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA384()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def _private(private: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(private)
