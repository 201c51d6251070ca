"""``server``: a SuperLink on loopback behind the gate, with everything it starts ended with it."""

import argparse
import json
import logging
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from federation.deployment.certificates import days_left, hosts_of, read_certificate, signed_by
from federation.deployment.control import Control
from federation.deployment.errors import DeploymentError
from federation.deployment.files import (
    open_to_others,
    private_directory,
    read_small,
    write_private,
)
from federation.deployment.gate import Gate, GuestList
from federation.deployment.key_folder import (
    CA_FILE,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    TOKEN_FILE,
    read_token,
    registered,
)
from federation.deployment.processes import Family, check_port, ended_by_signals, free_port
from federation.deployment.registrar import Registrar
from federation.deployment.surroundings import (
    CARDS,
    DATABASE,
    DEPLOYED,
    SIGNED,
    address_from,
    environment_of,
    is_loopback,
    joined,
    program,
    versions_here,
)
from server.errors import RunFailed

START_SECONDS = 60.0
WARN_DAYS = 30
STATE_FILE = "server.json"
DATABASE_FILE = "federation.db"
"""Where rounds are kept unless the environment names another database."""
_LOG = logging.getLogger("federation.server")


@dataclass(frozen=True)
class Server:
    """What a server is started with.

    Parameters
    ----------
    host, port : str, int
        Where the gate listens.
    keys : Path or None
        The server's key folder; None for an insecure server.
    state : Path
        Logs, FLWR_HOME, the SuperLink's database.
    """

    host: str
    port: int
    keys: Path | None
    state: Path


def serve(options: argparse.Namespace) -> int:
    """Run a server until Ctrl-C."""
    server = server_from(options)
    os.umask(0o077)  # what Flower writes beside our own files, too
    with ended_by_signals(), running(server) as said:
        print(said["text"], flush=True)
        try:
            while True:
                sleep(0.5)
                said["check"]()
        except KeyboardInterrupt:
            print("\nserver: stopping", file=sys.stderr)
    return 0


def server_from(options: argparse.Namespace) -> Server:
    """Return the server that flags describe, its keys checked.

    Raises
    ------
    DeploymentError
        With one line: what, why, what to do.
    """
    host, port = address_from(options.listen, "--listen")
    keys = None if options.insecure else Path(options.keys)
    if options.insecure and not is_loopback(host):
        raise DeploymentError(
            f"--insecure sends models and orders unencrypted: only on loopback, not on {host}; "
            "make keys with ./run_federation.sh keys"
        )
    if keys is not None:
        check_server_keys(keys)
    if port:
        check_port(host, port)
    return Server(host, port or free_port(), keys, Path(options.state).absolute())


def check_server_keys(keys: Path) -> None:
    """Refuse a key folder that no client could connect to.

    Raises
    ------
    DeploymentError
        When a part is missing, expired, or does not belong to the authority.
    """
    if not (keys / SERVER_KEY).is_file():
        inside = keys / "server"
        make = "make them: ./run_federation.sh keys --host NAME --clients N"
        hint = f"name {inside}" if (inside / SERVER_KEY).is_file() else make
        raise DeploymentError(f"{keys} holds no server's keys; {hint}")
    certificate = read_certificate(read_small(keys / SERVER_CERTIFICATE, "a certificate"))
    if days_left(certificate) < 0:
        raise DeploymentError(
            f"the server's certificate expired {-days_left(certificate):.0f} days ago: "
            "./run_federation.sh keys --renew, and copy the server folder here"
        )
    if not signed_by(certificate, read_certificate(read_small(keys / CA_FILE, "a certificate"))):
        raise DeploymentError(
            f"{keys / SERVER_CERTIFICATE} was not signed by the authority beside it: copy the "
            "whole server folder from where keys were made"
        )
    for name in (SERVER_KEY, TOKEN_FILE):
        if (keys / name).is_file() and open_to_others(keys / name):
            raise DeploymentError(
                f"{keys / name} can be read by others on this machine: chmod 600 it, or make new "
                "keys if it was"
            )
    read_token(keys)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(keys / SERVER_CERTIFICATE, keys / SERVER_KEY)
    except (OSError, ssl.SSLError) as fault:
        raise DeploymentError(f"{keys}: key and certificate do not fit ({fault})") from fault


@contextmanager
def running(server: Server) -> Iterator[dict[str, Any]]:
    """Start a server; yield what to print and a check to call now and then; end it all."""
    state = private_directory(server.state)
    logs = private_directory(state / "logs")
    home = private_directory(state / "flower")
    _to_log(logs / "server.log")
    inner = free_port()
    family = Family(logs)
    registrar = gate = None
    try:
        environment = environment_of(home) | {DEPLOYED: "1"}
        environment.setdefault(DATABASE, str(state / DATABASE_FILE))
        if server.keys is not None:
            environment[SIGNED] = "1"
            environment[CARDS] = str((server.keys / "clients").absolute())
        link = family.start("superlink", superlink_command(server, inner), environment, state)
        guests = GuestList(open=server.keys is None)
        control = _connector(server, inner)
        _wait_until_up(link, control, family)
        if server.keys is not None:
            guests.token = read_token(server.keys)
            registrar = Registrar(server.keys, guests, control)
            registrar.look()
            registrar.start()
        gate = GateThread(server, Gate(_url(server, inner), guests, versions_here(), _ca(server)))
        gate.start_and_wait()
        write_private(state / STATE_FILE, json.dumps(_facts(server, inner)) + "\n")

        def check() -> None:
            if link.poll() is not None:
                raise RunFailed(
                    f"the SuperLink ended with {link.returncode}; {family.log_of('superlink')} "
                    "says why"
                )

        yield {"text": ready_text(server), "check": check, "guests": guests, "port": server.port}
    finally:
        if registrar is not None:
            registrar.end()
        if gate is not None:
            gate.end()
        family.stop()
        (state / STATE_FILE).unlink(missing_ok=True)


def superlink_command(server: Server, inner: int) -> list[str]:
    """Return the command line of the SuperLink, which listens on loopback only."""
    command = [program("flower-superlink"), "--host", "127.0.0.1", "--port", str(inner)]
    command += ["--disable-runtime-dependency-installation"]
    if server.keys is None:
        return [*command, "--insecure"]
    keys = server.keys.resolve()
    command += ["--ssl-ca-certfile", str(keys / CA_FILE), "--enable-supernode-auth"]
    command += ["--ssl-certfile", str(keys / SERVER_CERTIFICATE)]
    return [*command, "--ssl-keyfile", str(keys / SERVER_KEY)]


def ready_text(server: Server) -> str:
    """Return what a server says when it is ready, with the next commands."""
    place = joined(server.host, server.port)
    if server.keys is None:
        return (
            f"server: ready on {place}, UNENCRYPTED and open to everybody on this machine\n"
            f"next: ./run_federation.sh client --server {place} --insecure --number 0 --role clinic"
        )
    names = [client.name for client in registered(server.keys)]
    certificate = read_certificate(read_small(server.keys / SERVER_CERTIFICATE, "a certificate"))
    hosts = hosts_of(certificate)
    lines = [
        f"server: ready on {place}, {len(names)} clients registered",
        f"certificate: for {', '.join(hosts)}; {days_left(certificate):.0f} days left",
    ]
    if days_left(certificate) < WARN_DAYS:
        lines.append("warning: renew it soon: ./run_federation.sh keys --renew")
    if not names:
        return "\n".join([*lines, "next: ./run_federation.sh keys --add NAME"])
    public = joined(hosts[0], server.port)
    lines += [
        "next, on each client's machine: ./run_federation.sh client "
        f"--keys keys/clients/{names[0]} --server {public} --data FILE",
        "then, where the submitter's keys are: ./run_federation.sh submit --keys keys/submitter "
        f"--server {public} --clients {len(names)}",
    ]
    return "\n".join(lines)


class GateThread(threading.Thread):
    """The gate's web server in a thread of its own."""

    def __init__(self, server: Server, gate: Gate) -> None:
        super().__init__(name="gate", daemon=True)
        import uvicorn

        files: dict[str, Any] = {}
        if server.keys is not None:
            files["ssl_certfile"] = str(server.keys / SERVER_CERTIFICATE)
            files["ssl_keyfile"] = str(server.keys / SERVER_KEY)
        config = uvicorn.Config(
            gate,
            host=server.host,
            port=server.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            limit_concurrency=4096,
            server_header=False,
            **files,
        )
        self._server = uvicorn.Server(config)
        self._where = joined(server.host, server.port)

    def run(self) -> None:
        """Serve until told to end."""
        self._server.run()

    def start_and_wait(self) -> None:
        """Start, and return when the gate listens.

        Raises
        ------
        DeploymentError
            When it does not come up.
        """
        self.start()
        until = monotonic() + START_SECONDS
        while not self._server.started:
            if not self.is_alive() or monotonic() > until:
                raise DeploymentError(f"cannot listen on {self._where}; is the port in use?")
            sleep(0.02)

    def end(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self.join(timeout=5)


def _connector(server: Server, inner: int) -> Callable[[], Control]:
    def connect() -> Control:
        return Control(f"127.0.0.1:{inner}", _ca_file(server))

    return connect


def _wait_until_up(link: Any, connect: Any, family: Family) -> None:
    import httpx

    until = monotonic() + START_SECONDS
    while monotonic() < until:
        if link.poll() is not None:
            break
        control = connect()
        try:
            control.nodes()
            return
        except httpx.TransportError:
            sleep(0.1)
        finally:
            control.close()
    raise RunFailed(f"the SuperLink did not start; {family.log_of('superlink')} says why")


def _url(server: Server, inner: int) -> str:
    return f"{'http' if server.keys is None else 'https'}://127.0.0.1:{inner}"


def _ca_file(server: Server) -> Path | None:
    return None if server.keys is None else server.keys / CA_FILE


def _ca(server: Server) -> str | bool:
    return False if server.keys is None else str(server.keys / CA_FILE)


def _facts(server: Server, inner: int) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": server.host,
        "port": server.port,
        "superlink_port": inner,
        "database": bool(os.environ.get(DATABASE)),
    }


def _to_log(path: Path) -> None:
    write_private(path, path.read_bytes() if path.exists() else b"")
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name in ("federation.server", "uvicorn"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
