"""The folder that ``keys`` makes: one part for each machine, to be copied there and nowhere else.

authority/          ca.key, ca.crt: who holds it decides who is the server; keep it offline
server/             server.key, server.crt, ca.crt, submit.token, clients/NAME.json, revoked/
submitter/          ca.crt, submit.token: for whoever sends runs from another machine
clients/NAME/       client.key, client.json, ca.crt, peers.json: for that client's machine
"""

import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federation.deployment.certificates import (
    certificate_pem,
    fingerprint,
    hosts_of,
    key_openssh,
    key_pem,
    make_authority,
    make_server_certificate,
    new_key,
    public_openssh,
    public_pem,
    read_certificate,
    read_key,
)
from federation.deployment.errors import DeploymentError
from federation.deployment.files import (
    PUBLIC_FILE,
    private_directory,
    read_json,
    read_small,
    write_private,
)

CA_FILE, CA_KEY = "ca.crt", "ca.key"
SERVER_CERTIFICATE, SERVER_KEY, TOKEN_FILE = "server.crt", "server.key", "submit.token"
CLIENT_KEY, CLIENT_CARD = "client.key", "client.json"
PEERS_FILE = "peers.json"
MAX_CLIENTS = 10_000
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class Client:
    """A client as its server knows it.

    Parameters
    ----------
    name : str
        What people call it.
    number : int
        Its partition, from 0: place in sums and in seeded streams; never given twice.
    public_key : str
        Its public key as OpenSSH writes it.
    """

    name: str
    number: int
    public_key: str

    @property
    def pem(self) -> bytes:
        """Return the public key in the bytes that Flower knows it by."""
        return public_pem(self.public_key.encode())

    @property
    def identity(self) -> str:
        """Return the fingerprint that ledgers and reputations belong to."""
        return fingerprint(self.pem)

    def as_dict(self) -> dict[str, Any]:
        """Return what stands in its card."""
        return {"name": self.name, "number": self.number, "public_key": self.public_key}


def create(out: Path, hosts: tuple[str, ...], names: tuple[str, ...], days: int) -> list[Client]:
    """Make a CA, a server certificate and a key for each client in a new folder.

    Raises
    ------
    DeploymentError
        When the folder is in use: keys are never overwritten.
    """
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise DeploymentError(
            f"{out} is in use and keys are never overwritten: name another --out, or give --add, "
            "--renew or --revoke"
        )
    private_directory(out)
    authority = private_directory(out / "authority")
    key, certificate = make_authority("federation authority")
    write_private(authority / CA_KEY, key_pem(key))
    write_private(authority / CA_FILE, certificate_pem(certificate), PUBLIC_FILE)
    token = secrets.token_urlsafe(32) + "\n"
    for part in ("server", "submitter"):
        folder = private_directory(out / part)
        write_private(folder / CA_FILE, certificate_pem(certificate), PUBLIC_FILE)
        write_private(folder / TOKEN_FILE, token)
    for part in ("clients", "server/clients", "server/revoked"):
        private_directory(out / part)
    _certify_server(out, hosts, days)
    return add(out, names)


def renew(out: Path, hosts: tuple[str, ...], days: int) -> tuple[str, ...]:
    """Make a new server key and certificate; clients keep theirs. Return its hosts."""
    _expect_folder(out)
    if not hosts:
        old = read_certificate(read_small(out / "server" / SERVER_CERTIFICATE, "a certificate"))
        hosts = hosts_of(old)
    return _certify_server(out, hosts, days)


def _certify_server(out: Path, hosts: tuple[str, ...], days: int) -> tuple[str, ...]:
    server, authority = out / "server", out / "authority"
    ca = read_certificate(read_small(authority / CA_FILE, "a certificate"))
    ca_key = read_key(read_small(authority / CA_KEY, "a key"))
    key, certificate = make_server_certificate((ca_key, ca), hosts, days)
    write_private(server / SERVER_KEY, key_pem(key))
    write_private(server / SERVER_CERTIFICATE, certificate_pem(certificate), PUBLIC_FILE)
    return hosts_of(certificate)


def add(out: Path, names: tuple[str, ...]) -> list[Client]:
    """Make keys for further clients.

    Raises
    ------
    DeploymentError
        When a name is taken, also by a revoked client: a name stands for one key for ever.
    """
    _expect_folder(out)
    server = out / "server"
    known = {c.name for c in registered(server)} | {c.name for c in revoked(server)}
    numbers = [c.number for c in (*registered(server), *revoked(server))]
    for name in names:
        check_name(name)
        if name in known:
            raise DeploymentError(f"client {name!r} has a key already: give it another name")
    made = []
    for number, name in enumerate(names, start=max(numbers, default=-1) + 1):
        key = new_key()
        client = Client(name, number, public_openssh(key, name).decode().strip())
        folder = private_directory(out / "clients" / name)
        write_private(folder / CLIENT_KEY, key_openssh(key))
        write_private(folder / CLIENT_CARD, _card(client))
        ca = read_small(out / "authority" / CA_FILE, "a certificate")
        write_private(folder / CA_FILE, ca, PUBLIC_FILE)
        write_private(server / "clients" / f"{name}.json", _card(client))
        made.append(client)
    _write_peers(out)
    return made


def _write_peers(out: Path) -> None:
    """Tell each client, by a way that no server is on, what keys its peers sign with."""
    peers = {str(client.number): client.public_key for client in registered(out / "server")}
    for folder in (out / "clients").iterdir():
        write_private(folder / PEERS_FILE, json.dumps(peers, indent=1) + "\n")


def revoke(out: Path, name: str) -> Client:
    """Take a client off the server's list; a running server acts on it within seconds."""
    server = out / "server" if (out / "server").is_dir() else out
    known = {client.name: client for client in registered(server)}
    if name not in known:
        listed = ", ".join(sorted(known)) or "nobody"
        raise DeploymentError(f"no client {name!r} to revoke; registered: {listed}")
    private_directory(server / "revoked")
    (server / "clients" / f"{name}.json").replace(server / "revoked" / f"{name}.json")
    return known[name]


def registered(server: Path, faults: list[str] | None = None) -> list[Client]:
    """Return the clients that a server takes, by number.

    Parameters
    ----------
    server : Path
        The server's part of the key folder.
    faults : list of str, optional
        What is wrong with a card goes here, and nobody is taken by it; else it is raised.
    """
    return _clients_in(server / "clients", faults)


def revoked(server: Path, faults: list[str] | None = None) -> list[Client]:
    """Return the clients that a server took once and refuses now; as :func:`registered`."""
    return _clients_in(server / "revoked", faults)


def read_card(path: Path) -> Client:
    """Return a client's card; raises DeploymentError when it is none."""
    values = read_json(path, "a client's card")
    try:
        client = Client(values["name"], values["number"], values["public_key"])
        check_name(client.name)
        whole = isinstance(client.number, int) and not isinstance(client.number, bool)
        if not whole or not 0 <= client.number < MAX_CLIENTS:
            raise DeploymentError("its number is no place from 0")
        _ = client.pem
    except (KeyError, TypeError, AttributeError) as fault:
        raise DeploymentError(f"{path}: not a client's card; use the one keys wrote") from fault
    except DeploymentError as fault:
        raise DeploymentError(f"{path}: {fault}") from fault
    return client


def read_token(folder: Path) -> str:
    """Return the secret that entitles to send runs.

    Raises
    ------
    DeploymentError
        When the file is missing, or holds anything but a token that ``keys`` made: an empty or
        short one would let in whoever guesses it.
    """
    path = folder / TOKEN_FILE
    text = read_small(path, "the token of who may send runs").decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(text):
        raise DeploymentError(
            f"{path}: no token, it was cut off or altered; copy it again from where keys were made"
        )
    return text


def check_name(name: str) -> str:
    """Return a client's name if it can be one: it becomes a file name.

    Raises
    ------
    DeploymentError
        Otherwise.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeploymentError(
            f"client name {name!r}: use 1 to 40 lower-case letters, digits and hyphens"
        )
    return name


def names_from(text: str) -> tuple[str, ...]:
    """Return the client names of ``--clients``: a number of clinics, or names with commas."""
    if text.isascii() and text.isdigit():
        count = int(text)
        if not 1 <= count <= MAX_CLIENTS:
            raise DeploymentError(f"--clients must be 1 to {MAX_CLIENTS} or names, got {text}")
        return tuple(f"clinic-{number}" for number in range(count))
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or len(set(names)) != len(names):
        raise DeploymentError(f"--clients {text!r}: name each client once, with commas")
    return tuple(check_name(name) for name in names)


def _clients_in(folder: Path, faults: list[str] | None = None) -> list[Client]:
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(read_card(path))
        except DeploymentError as fault:
            if faults is None:
                raise
            faults.append(str(fault))
    return sorted(found, key=lambda client: client.number)


def _card(client: Client) -> str:
    return json.dumps(client.as_dict(), indent=1) + "\n"


def _expect_folder(out: Path) -> None:
    if not (out / "authority" / CA_KEY).is_file():
        raise DeploymentError(
            f"{out} has no authority/{CA_KEY}: name the folder that keys made, on the machine "
            "that keeps the authority"
        )
