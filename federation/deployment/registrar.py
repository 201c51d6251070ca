"""The registrar of a running server: the key folder is the list of who may come in.

It looks every three seconds: a key that was added is registered with the SuperLink, one that was
revoked is taken off and refused at the gate.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import httpx

from federation.deployment.control import Control
from federation.deployment.errors import DeploymentError
from federation.deployment.gate import GuestList
from federation.deployment.key_folder import registered, revoked

LOOK_SECONDS = 3.0
_LOG = logging.getLogger("federation.server")


class Registrar(threading.Thread):
    """A thread that keeps guest list and SuperLink as the key folder says.

    Parameters
    ----------
    folder : Path
        The server's key folder.
    guests : GuestList
        What the gate goes by.
    connect : callable
        Opens a connection to the SuperLink.
    """

    def __init__(self, folder: Path, guests: GuestList, connect: Callable[[], Control]) -> None:
        super().__init__(name="registrar", daemon=True)
        self.folder, self.guests, self.connect = folder, guests, connect
        self._ended = threading.Event()
        self._said: set[str] = set()

    def look(self) -> None:
        """Bring guest list and SuperLink up to date once."""
        faults: list[str] = []
        gone = {client.pem: client.name for client in revoked(self.folder, faults)}
        listed = {client.pem: client.name for client in registered(self.folder, faults)}
        wanted = {key: name for key, name in listed.items() if key not in gone}
        for fault in faults:  # one bad card must not keep the others from being revoked
            self._warn(f"a card is passed over, and who it is of not let in: {fault}")
        self.guests.keys, self.guests.revoked = wanted, gone  # the gate first: it needs nobody else
        control = self.connect()
        try:
            known = control.nodes()
            for key, (node_id, _) in known.items():
                if key not in wanted:
                    control.unregister(node_id)
            for key, name in wanted.items():
                if key not in known:
                    self._register(control, key, name)
            self._note(known, wanted | gone)
            self.guests.online = {
                key: node_id for key, (node_id, status) in known.items() if status == "online"
            }
        finally:
            control.close()

    def run(self) -> None:
        """Look until told to end; a look that fails is logged once and tried again."""
        while not self._ended.wait(LOOK_SECONDS):
            try:
                self.look()
            except (httpx.HTTPError, DeploymentError, OSError) as fault:
                self._warn(f"the list of clients could not be kept up to date: {fault}")

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()

    def _register(self, control: Control, key: bytes, name: str) -> None:
        try:
            control.register(key, name)
        except httpx.HTTPStatusError as fault:
            self._warn(f"{name} cannot be registered: {fault.response.text[:200]}")

    def _warn(self, text: str) -> None:
        """Say something once."""
        if text not in self._said:
            self._said.add(text)
            _LOG.warning("%s", text)

    def _note(self, known: dict[bytes, tuple[int, str]], names: dict[bytes, str]) -> None:
        online = {key for key, (_, status) in known.items() if status == "online"}
        before = set(self.guests.online)
        for key in online - before:
            _LOG.info("%s is connected", names.get(key, "a client that was taken off"))
        for key in before - online:
            _LOG.info("%s has gone", names.get(key, "a client"))
