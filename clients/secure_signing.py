"""A clinic's lasting signing key and those of its peers, where a deployment has them.

``signing-key`` in the node config names the P-384 private key that the SuperNode is known by,
``peer-keys`` a JSON file ``{"0": "ecdsa-sha2-nistp384 ...", ...}`` of the public keys by number.
With both, a server that makes up clinics or tells them of different survivors is refused.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from flwr.app import Context

from strategies.secagg.errors import SecAggError
from strategies.secagg.keys import Signer, Verifier, signer_of, verified

SIGNING_KEY, PEER_KEYS = "signing-key", "peer-keys"
CURVE = "secp384r1"
MAX_BYTES = 1 << 24


def signer_of_clinic(context: Context) -> Signer | None:
    """Return what signs in this clinic's name, None without a key.

    Raises
    ------
    SecAggError
        When the file is no P-384 private key.
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
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        key = load_ssh_private_key(_small(path), password=None)
    except (OSError, ValueError, TypeError) as fault:
        raise SecAggError(f"this clinic's {SIGNING_KEY} cannot be read") from fault
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != CURVE:
        raise SecAggError(f"this clinic's {SIGNING_KEY} is no P-384 private key")
    return signer_of(key)


@lru_cache(maxsize=64)
def _peers(path: str) -> dict[int, EllipticCurvePublicKey]:
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        listed = json.loads(_small(path))
        keys = {int(number): load_ssh_public_key(key.encode()) for number, key in listed.items()}
    except (OSError, ValueError, AttributeError, TypeError) as fault:
        raise SecAggError(f"this clinic's {PEER_KEYS} is no JSON of public keys") from fault
    found = {n: k for n, k in keys.items() if isinstance(k, EllipticCurvePublicKey)}
    if len(found) != len(keys) or any(key.curve.name != CURVE for key in found.values()):
        raise SecAggError(f"this clinic's {PEER_KEYS} has a key that is not P-384")
    return found


def _small(path: str) -> bytes:
    if Path(path).stat().st_size > MAX_BYTES:
        raise ValueError("too large")
    return Path(path).read_bytes()
