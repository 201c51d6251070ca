"""Clients with keys within the test process: they sign, reconnect elsewhere, and are killed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Message
from flwr.proto.node_pb2 import NodeInfo
from flwr.supercore.run import Run

from clients.app import app as client_app
from federation.backends.inprocess import InProcessGrid, run_config
from server.registry import identity_of
from strategies.settings import Settings
from strategies.wrappers.narrowed_grid import GridView

PEM = form.Encoding.PEM


class Machines(GridView):
    """A grid of clients that Flower knows by their keys; their memory is out of our reach.

    Parameters
    ----------
    settings : Settings
        Of the run.
    folder : Path
        Keys and ledgers, which a later grid in the same folder takes up again.
    app : callable
        What each client runs.
    """

    def __init__(self, settings: Settings, folder: Path, app: Any = client_app) -> None:
        keys = [_key(folder / f"{number}.key") for number in range(settings.nodes)]
        nodes = [_node(number, settings, folder) for number in range(settings.nodes)]
        self.inside = InProcessGrid(app, nodes, run_config(settings))
        self.names = [identity_of(key, 0) for key in keys]
        self._public = dict(zip(self.inside.get_node_ids(), keys, strict=True))
        self.before: Callable[[list[Message]], object] = lambda _: None

    @property
    def run(self) -> Run:
        return self.inside.run

    def get_node_ids(self) -> list[int]:
        return self.inside.get_node_ids()

    def get_nodes(self) -> list[NodeInfo]:
        return [NodeInfo(node_id=n, public_key=key) for n, key in self._public.items()]

    def send_and_receive(self, messages: Any, *, timeout: float | None = None) -> list[Message]:
        messages = list(messages)
        self.before(messages)
        return self.inside.send_and_receive(messages, timeout=timeout)

    def reconnect(self, number: int) -> None:
        """Let a client come back under a node id that nobody has seen."""
        contexts = self.inside._contexts
        node = next(n for n, c in contexts.items() if c.node_config["partition-id"] == number)
        fresh = max(contexts) + 1
        contexts[fresh] = contexts.pop(node)
        self._public[fresh] = self._public.pop(node)


def _node(number: int, settings: Settings, folder: Path) -> dict[str, Any]:
    device = number < settings.clients
    return {
        "partition-id": number,
        "num-partitions": settings.nodes,
        "deployed": True,
        "allow-seeded-noise": True,
        "auth-key": str(folder / f"{number}.key"),
        **({"ledger": str(folder / f"{number}.db")} if settings.private else {}),
        **({"role": "device" if device else "user"} if settings.is_market else {}),
    }


def _key(path: Path) -> bytes:
    """Return the public key of a file, made if it is not there."""
    if not path.exists():
        key = ec.generate_private_key(ec.SECP384R1())
        plain = form.NoEncryption()
        path.write_bytes(key.private_bytes(PEM, form.PrivateFormat.PKCS8, plain))
    private = form.load_pem_private_key(path.read_bytes(), None)
    return private.public_key().public_bytes(PEM, form.PublicFormat.SubjectPublicKeyInfo)
