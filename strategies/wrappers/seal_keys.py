"""Keys behind seals: a machine's own EC key, or in a simulation one that is made from the seed."""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

MAX_KEY_BYTES = 1 << 16
_ALGORITHM = ec.ECDSA(hashes.SHA256())


class KeyUnusable(ValueError):
    """A key file that holds no EC key; the message is one line and names no secret."""


@lru_cache(maxsize=4096)
def simulated_key(seed: int, partition: int) -> ec.EllipticCurvePrivateKey:
    """Return the key of a simulated client: whoever knows the seed has it, so it is no secret."""
    text = f"simulated key, not secret|{seed}|{partition}".encode()
    number = int.from_bytes(sha256(text).digest(), "big") >> 1  # below the order of P-256
    return ec.derive_private_key(max(1, number), ec.SECP256R1())


@lru_cache(maxsize=64)
def key_from_file(path: str) -> ec.EllipticCurvePrivateKey:
    """Return the private EC key in a PEM or OpenSSH file.

    Raises
    ------
    KeyUnusable
        When there is none that can be read.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_KEY_BYTES)
        load = load_ssh_private_key if b"OPENSSH" in data[:64] else load_pem_private_key
        key = load(data, password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise KeyUnusable(f"the signing key of this machine cannot be read: {path}") from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyUnusable(f"the signing key of this machine is no EC key: {path}")
    return key


@lru_cache(maxsize=65536)
def public_key_of(data: bytes) -> ec.EllipticCurvePublicKey | None:
    """Return the public EC key that Flower knows a node by, None when it is none."""
    try:
        load = load_ssh_public_key if data.startswith(b"ecdsa-") else load_pem_public_key
        key = load(data[:MAX_KEY_BYTES])
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Return the ECDSA signature of ``data``."""
    return key.sign(data, _ALGORITHM)


def holds(key: ec.EllipticCurvePublicKey, data: bytes, signature: bytes) -> bool:
    """Return whether a signature of ``data`` is the key's."""
    try:
        key.verify(signature, data, _ALGORITHM)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
