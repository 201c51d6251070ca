"""The server's own list of its clients: which number belongs to which key.

``./run_federation.sh keys`` writes a card for each client, and gives a copy to the server. What
a client says of its number is held against it, so that nobody takes another's place.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.registry import identity_of
from strategies.wrappers.seal_keys import public_key_of

CARDS = "FEDERATION_CARDS"
"""Set in the environment of a server whose clients have keys: the folder of their cards."""
MAX_CARD_BYTES = 1 << 16


def cards_of_server() -> dict[str, int]:
    """Return the numbers of the clients by identity; empty where this server keeps no cards."""
    folder = os.environ.get(CARDS, "")
    return numbers_in(Path(folder)) if folder else {}


def numbers_in(folder: Path) -> dict[str, int]:
    """Return number by identity of every card in a folder; what is none says nothing."""
    found: dict[str, int] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            with path.open("rb") as stream:
                card = json.loads(stream.read(MAX_CARD_BYTES))
        except (OSError, ValueError):
            continue  # the registrar warns of it, and lets nobody in by it
        if isinstance(card, Mapping):
            text, number = card.get("public_key"), card.get("number")
            key = public_key_of(text.encode()) if isinstance(text, str) else None
            if key is not None and type(number) is int:
                pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                found[identity_of(pem, number)] = number
    return found
