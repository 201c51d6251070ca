"""``client``: a SuperNode for this machine's records, restarted with back-off."""

import argparse
import fcntl
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from federation.deployment.bundle import build_bundle
from federation.deployment.certificates import private_key, public_of_private
from federation.deployment.errors import DeploymentError
from federation.deployment.files import (
    open_to_others,
    private_directory,
    read_json,
    read_small,
    write_private,
)
from federation.deployment.key_folder import (
    CA_FILE,
    CLIENT_CARD,
    CLIENT_KEY,
    MAX_CLIENTS,
    PEERS_FILE,
    read_card,
)
from federation.deployment.knock import knock
from federation.deployment.policy import Policy, check_pin, read_policy
from federation.deployment.processes import Family, ended_by_signals, free_port
from federation.deployment.surroundings import (
    address_from,
    environment_of,
    is_loopback,
    joined,
    program,
)
from server.errors import RunFailed

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
SETTLED_SECONDS = 30.0
START_SECONDS = 60.0
NODE_FILE = "node.json"
_CONNECTED = re.compile(rb"SuperNode ID: (\d+)")


@dataclass(frozen=True)
class Node:
    """What a client is started with.

    Parameters
    ----------
    name : str
        What it calls itself.
    number : int
        Its partition.
    address : str
        ``host:port`` of the server.
    keys : Path or None
        Its part of the key folder; None on an insecure server.
    role : str
        clinic, device or user.
    data : Path or None
        Its own records or frames.
    policy : Policy
        What it allows.
    bundles : tuple of str
        SHA-256 of the code it runs; empty for any.
    state : Path
        Logs, spent privacy, unpacked bundles.
    seeded_noise : bool
        Whether repeatable noise is allowed.
    """

    name: str
    number: int
    address: str
    keys: Path | None
    role: str
    data: Path | None
    policy: Policy
    bundles: tuple[str, ...]
    state: Path
    seeded_noise: bool

    @property
    def authority(self) -> Path | None:
        """Return the CA's certificate."""
        return None if self.keys is None else self.keys / CA_FILE

    @property
    def public_key(self) -> bytes:
        """Return the public key as Flower knows it; empty on an insecure server."""
        if self.keys is None:
            return b""
        return public_of_private(read_small(self.keys / CLIENT_KEY, "a client's key"))


def client(options: argparse.Namespace) -> int:
    """Run a client until Ctrl-C, through restarts of itself and of the server."""
    node = node_from(options)
    os.umask(0o077)  # what Flower writes beside our own files, too
    private_directory(node.state)
    with ended_by_signals(), _alone(node.state):
        family = Family(private_directory(node.state / "logs"))
        private_directory(node.state / "bundles")
        home = private_directory(node.state / "flower")
        _write_runner_files(node)
        print(_opening(node), flush=True)
        try:
            _keep_running(node, family, environment_of(home), options.attempts)
        except KeyboardInterrupt:
            print("\nclient: stopping", file=sys.stderr)
        finally:
            family.stop()
            (node.state / NODE_FILE).unlink(missing_ok=True)
    return 0


def node_from(options: argparse.Namespace) -> Node:
    """Return the client that flags describe, its files checked.

    Raises
    ------
    DeploymentError
        With one line: what, why, what to do.
    """
    host, port = address_from(options.server, "--server")
    if options.attempts < 0:
        raise DeploymentError(f"--attempts must be at least 0, got {options.attempts}; 0 is never")
    if options.insecure:
        if not is_loopback(host):
            raise DeploymentError(
                f"--insecure sends models unencrypted: only on loopback, not to {host}"
            )
        if options.number is None or not 0 <= options.number < MAX_CLIENTS:
            raise DeploymentError(
                f"--insecure needs --number, this client's place from 0 to {MAX_CLIENTS - 1}"
            )
        name, number, keys = f"{options.role}-{options.number}", options.number, None
    else:
        keys = _checked_keys(options.keys)
        card = read_card(keys / CLIENT_CARD)
        name, number = card.name, card.number
    policy = read_policy(Path(options.policy)) if options.policy else Policy()
    policy = _stricter(policy, options.min_clinics)
    pins = [check_pin(pin) for pin in options.bundle] + list(policy.bundles)
    bundles = tuple(build_bundle().sha256 if pin == "own" else pin for pin in pins)
    data = None if options.data is None else _checked_data(options.data, options.role)
    return Node(
        name, number, joined(host, port), keys, options.role, data, policy, bundles,
        Path(options.state).absolute(), options.seeded_noise,
    )  # fmt: skip


def _stricter(policy: Policy, min_clinics: int | None) -> Policy:
    """Return the policy with ``--min-clinics``, where that asks for more."""
    if min_clinics is None:
        return policy
    if not 0 <= min_clinics <= MAX_CLIENTS:
        raise DeploymentError(f"--min-clinics must be 0 to {MAX_CLIENTS}, got {min_clinics}")
    return replace(policy, min_clinics=max(policy.min_clinics, min_clinics))


def node_config(node: Node) -> dict[str, Any]:
    """Return what the SuperNode tells the app about this machine."""
    config: dict[str, Any] = {
        "partition-id": node.number,
        "role": node.role,
        "deployed": True,
        "ledger": str((node.state / "ledger.db").absolute()),
    }
    if node.keys is not None:
        config["auth-key"] = str((node.keys / CLIENT_KEY).absolute())
    if node.data is not None:
        config["data-path"] = str(node.data.absolute())
    if "none" in node.policy.mechanisms:
        config["allow-no-noise"] = True
    if node.keys is not None:
        config["signing-key"] = str((node.keys / CLIENT_KEY).absolute())
        if (node.keys / PEERS_FILE).is_file():
            config["peer-keys"] = str((node.keys / PEERS_FILE).absolute())
    if node.policy.min_clinics:
        config["min-clinics"] = node.policy.min_clinics
    if node.seeded_noise:
        config["allow-seeded-noise"] = True
    return config


def supernode_command(node: Node, port: int) -> list[str]:
    """Return the command line of the SuperNode, which runs no app itself."""
    command = [program("flower-supernode"), "--superlink", node.address]
    command += ["--host", "127.0.0.1", "--port", str(port), "--isolation", "process"]
    command += ["--superexec-auth-secret-file", str((node.state / "runner.secret").absolute())]
    command += ["--node-config", str((node.state / "node.toml").absolute())]
    if node.keys is None:
        return [*command, "--insecure"]
    keys = node.keys.absolute()
    command += ["--root-certificates", str(keys / CA_FILE)]
    return [*command, "--auth-supernode-private-key", str(keys / CLIENT_KEY)]


def _keep_running(node: Node, family: Family, environment: dict[str, str], attempts: int) -> None:
    failures, said = 0, ""
    while True:
        began = monotonic()
        why = _once(node, family, environment)
        failures = 0 if monotonic() - began > SETTLED_SECONDS else failures + 1
        if attempts and failures >= attempts:
            raise RunFailed(f"{why}; gave up after {failures} attempts")
        if why != said:
            print(f"client: {why}; trying again", file=sys.stderr, flush=True)
            said = why
        sleep(min(FIRST_PAUSE * 2.0 ** max(failures - 1, 0), LONGEST_PAUSE))


def _once(node: Node, family: Family, environment: dict[str, str]) -> str:
    """Run SuperNode and runner until one of them ends; return why."""
    try:
        objection = knock(node.address, node.authority, node.public_key).objection(
            with_key=node.keys is not None
        )
    except DeploymentError as fault:
        return str(fault)
    if objection is not None:
        return objection
    _sign_off(node)
    port = free_port()
    write_private(family.log_of("supernode"), b"")
    supernode = family.start("supernode", supernode_command(node, port), environment, node.state)
    # -m needs this project's packages, which the editable installation provides.
    command = [sys.executable, "-P", "-m", "federation.deployment.runner"]
    command += [f"127.0.0.1:{port}", str(node.state.absolute())]
    runner = family.start("runner", command, environment, node.state)
    try:
        return _watch(node, family, supernode, runner)
    finally:
        family.stop()


def _watch(node: Node, family: Family, supernode: Any, runner: Any) -> str:
    connected = False
    while supernode.poll() is None and runner.poll() is None:
        if not connected:
            found = _CONNECTED.search(family.log_of("supernode").read_bytes())
            if found is not None:
                connected = True
                facts = {"node_id": int(found[1]), "server": node.address}
                write_private(node.state / NODE_FILE, json.dumps(facts) + "\n")
                print(f"client: {node.name} is connected to {node.address}", flush=True)
        sleep(0.1)
    if runner.poll() is not None and supernode.poll() is None:
        return f"the runner ended; {family.log_of('runner')} says why"
    return _why_refused(node, family, connected)


def _why_refused(node: Node, family: Family, connected: bool) -> str:
    log = family.log_of("supernode")
    if connected:
        return f"the connection to the server was lost; {log} says how"
    try:
        welcome = knock(node.address, node.authority, node.public_key)
    except DeploymentError as fault:
        return str(fault)
    objection = welcome.objection(with_key=node.keys is not None)
    if objection is None and welcome.node_id:
        return (
            "another client is connected with this key (or was until a minute ago): each client "
            "has a key of its own, keys --add makes one"
        )
    return objection or f"the SuperNode ended; {log} says why"


def _sign_off(node: Node) -> None:
    """Tell the server that our own former SuperNode, which died, is no longer there.

    The server would take it for connected, and this one for a duplicate, for up to a minute.
    """
    path = node.state / NODE_FILE
    if node.keys is None or not path.exists():
        return
    from flwr.proto.fleet_pb2 import DeactivateNodeRequest
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
    from flwr.supernode.fleet_http_client import FleetHttpClient
    from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

    key = private_key(read_small(node.keys / CLIENT_KEY, "a client's key"))
    with suppress(httpx.HTTPError, DeploymentError, KeyError, TypeError, ValueError):
        facts = read_json(path, "a former SuperNode's number")
        if facts["server"] == node.address:
            with FleetHttpClient.from_server_address(
                node.address,
                False,
                str(node.authority),
                interceptors=[
                    RuntimeVersionHttpInterceptor(component_name="SuperNode"),
                    NodeAuthHttpInterceptor(key, key.public_key()),
                ],
            ) as fleet:
                fleet.DeactivateNode(DeactivateNodeRequest(node_id=int(facts["node_id"])))
    path.unlink(missing_ok=True)


def _write_runner_files(node: Node) -> None:
    import tomli_w

    facts = {"policy": asdict(node.policy), "bundles": list(node.bundles)}
    write_private(node.state / "runner.json", json.dumps(facts) + "\n")
    write_private(node.state / "runner.secret", secrets.token_hex(32) + "\n")
    write_private(node.state / "node.toml", tomli_w.dumps(node_config(node)))


def _opening(node: Node) -> str:
    from_where = "shipped public data" if node.data is None else str(node.data)
    lines = [f"client: {node.name}, {node.role} {node.number}, data: {from_where}"]
    if node.bundles:
        lines.append(f"code: only bundle {', '.join(pin[:12] for pin in node.bundles)}")
    else:
        lines.append(
            "warning: any code that the server sends is run here; pin it with --bundle own"
        )
    if node.seeded_noise:
        lines.append("warning: seeded noise is allowed: NOT private, for experiments only")
    lines.append(f"logs: {node.state / 'logs'}; requests: {node.state / 'requests.jsonl'}")
    access = "--insecure" if node.keys is None else "--keys keys/submitter"
    lines.append(
        "next, when all N clients are connected, where the submitter's keys are: "
        f"./run_federation.sh submit {access} --server {node.address} --clients N"
    )
    return "\n".join(lines)


def _checked_keys(folder: str | None) -> Path:
    if folder is None:
        raise DeploymentError("client needs --keys keys/clients/NAME, as keys made it")
    keys = Path(folder)
    for name in (CA_FILE, CLIENT_KEY, CLIENT_CARD):
        if not (keys / name).is_file():
            raise DeploymentError(
                f"{keys} holds no {name}: name the folder keys/clients/NAME that keys made"
            )
    if open_to_others(keys / CLIENT_KEY):
        raise DeploymentError(
            f"{keys / CLIENT_KEY} can be read by others on this machine: chmod 600 it, or make a "
            "new key if it was"
        )
    card, own = read_card(keys / CLIENT_CARD), read_small(keys / CLIENT_KEY, "a client's key")
    if card.pem != public_of_private(own):
        raise DeploymentError(f"{keys}: key and card are not of the same client; copy it again")
    return keys


def _checked_data(path: str, role: str) -> Path:
    from datasets.shards import read_shard

    found = Path(path)
    if role == "clinic":
        read_shard(found)
    elif not found.exists():
        raise DeploymentError(f"--data {path}: no such file or directory")
    return found


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise DeploymentError(
                f"another client runs with --state {state}: stop it, or name another directory"
            ) from fault
        yield
    finally:
        os.close(handle)
