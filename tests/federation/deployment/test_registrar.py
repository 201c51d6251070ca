"""The registrar: who is revoked is refused, whatever else is wrong."""

from pathlib import Path
from typing import Any, cast

import pytest

from federation.deployment.control import Control
from federation.deployment.errors import DeploymentError
from federation.deployment.gate import GuestList
from federation.deployment.key_folder import add, create, registered, revoke
from federation.deployment.registrar import Registrar


class Link:
    """A SuperLink that knows every key it was told of."""

    def __init__(self) -> None:
        self.known: dict[bytes, tuple[int, str]] = {}

    def nodes(self) -> dict[bytes, tuple[int, str]]:
        return dict(self.known)

    def register(self, key: bytes, _: str) -> None:
        self.known[key] = (len(self.known), "online")

    def unregister(self, node_id: int) -> None:
        self.known = {key: value for key, value in self.known.items() if value[0] != node_id}

    def close(self) -> None:
        pass


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create(tmp_path / "keys", ("localhost",), ("ann", "bob"), 1)
    return tmp_path / "keys"


def registrar_of(keys: Path, link: Any) -> Registrar:
    return Registrar(keys / "server", GuestList(), lambda: cast(Control, link))


def test_a_damaged_card_keeps_nobody_else_from_being_revoked(keys: Path) -> None:
    """A file that is half copied must not freeze the list as it was."""
    registrar, link = registrar_of(keys, Link()), Link()
    registrar.connect = lambda: cast(Control, link)
    registrar.look()
    bob = next(client.pem for client in registered(keys / "server") if client.name == "bob")
    assert registrar.guests.standing(bob) == "registered"
    revoke(keys, "bob")
    (keys / "server" / "clients" / "half.json").write_text("{")
    registrar.look()
    assert registrar.guests.standing(bob) == "revoked"
    assert bob not in link.known
    assert sorted(registrar.guests.keys.values()) == ["ann"]
    with pytest.raises(DeploymentError, match=r"half\.json"):
        registered(keys / "server")


def test_a_key_is_revoked_at_the_gate_while_the_superlink_is_away(keys: Path) -> None:
    registrar = registrar_of(keys, Link())
    registrar.look()
    bob = next(client.pem for client in registered(keys / "server") if client.name == "bob")
    revoke(keys, "bob")

    def away() -> Control:
        raise OSError("no connection")

    registrar.connect = away
    with pytest.raises(OSError, match="no connection"):
        registrar.look()
    assert registrar.guests.standing(bob) == "revoked"


def test_a_card_copied_back_beside_its_revocation_lets_nobody_in(keys: Path) -> None:
    card = (keys / "server" / "clients" / "bob.json").read_text()
    revoke(keys, "bob")
    (keys / "server" / "clients" / "bob.json").write_text(card)
    link = Link()
    registrar = registrar_of(keys, link)
    registrar.look()
    assert list(registrar.guests.keys.values()) == ["ann"]
    assert len(link.known) == 1
    assert add(keys, ("cid",))[0].number == 2  # never a number that was given
