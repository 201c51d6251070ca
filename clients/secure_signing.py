"""A clinic's lasting signing key and those of its peers, where a deployment has them.

``signing-key`` in the node config names a PEM file with an Ed25519 private key, ``peer-keys`` a
JSON file ``{"0": "<public key, 64 hex digits>", ...}`` by partition. With both, a server that
makes up clinics or tells them of different survivors is refused.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import cast

from flwr.app import Context

from strategies.secagg.errors import SecAggError
from strategies.secagg.keys import KEY_BYTES, Signer, Verifier, signer_of, verified

SIGNING_KEY, PEER_KEYS = "signing-key", "peer-keys"
MAX_BYTES = 1 << 24


def signer_of_clinic(context: Context) -> Signer | None:
    """Return what signs in this clinic's name, None without a key.

    Raises
    ------
    SecAggError
        When the file is no Ed25519 private key.
    """
    path = context.node_config.get(SIGNING_KEY)
    return _signer(str(cast(str, path))) if path else None


def verifier_of_clinic(context: Context) -> Verifier | None:
    """Return what knows the peers' keys, None without them.

    Raises
    ------
    SecAggError
        When the file cannot be read.
    """
    path = context.node_config.get(PEER_KEYS)
    if not path:
        return None
    keys = _peers(str(cast(str, path)))

    def verify(member: int, data: bytes, signature: bytes) -> bool:
        return member in keys and verified(keys[member], data, signature)

    return verify


@lru_cache(maxsize=64)
def _signer(path: str) -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(Path(path).read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SecAggError(f"this clinic's {SIGNING_KEY} is no readable Ed25519 private key (PEM)")
    return signer_of(key.private_bytes_raw())


@lru_cache(maxsize=64)
def _peers(path: str) -> dict[int, bytes]:
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        listed = json.loads(Path(path).read_text(encoding="utf-8"))
        keys = {int(number): bytes.fromhex(key) for number, key in listed.items()}
    except (OSError, ValueError, AttributeError, TypeError) as fault:
        raise SecAggError(f"this clinic's {PEER_KEYS} is no JSON of keys by clinic") from fault
    if any(len(key) != KEY_BYTES for key in keys.values()):
        raise SecAggError(f"this clinic's {PEER_KEYS} has a key that is not {KEY_BYTES} bytes")
    return keys
