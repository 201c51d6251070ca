"""``doctor``: look at what is on this machine and at a server, and say what to fix."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from federation.deployment.certificates import (
    days_left,
    hosts_of,
    public_of_private,
    read_certificate,
    signed_by,
)
from federation.deployment.errors import DeploymentError
from federation.deployment.files import open_to_others, read_small
from federation.deployment.key_folder import (
    CA_FILE,
    CA_KEY,
    CLIENT_CARD,
    CLIENT_KEY,
    SERVER_CERTIFICATE,
    SERVER_KEY,
    TOKEN_FILE,
    read_card,
    registered,
    revoked,
)
from federation.deployment.knock import AHEAD_SECONDS, knock
from federation.deployment.policy import read_policy
from federation.deployment.processes import check_port
from federation.deployment.surroundings import address_from, joined, program, same_flower
from federation.deployment.surroundings import versions_here as versions
from server.errors import RunFailed

SOON_DAYS = 30
TESTED_FLOWER = "1.41"
_SECRETS = (CA_KEY, SERVER_KEY, CLIENT_KEY, TOKEN_FILE)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``ok``, ``warning`` or ``WRONG``, and what to do about it."""

    state: str
    text: str


def doctor(options: argparse.Namespace) -> int:
    """Print every finding; exit code 1 when something is wrong."""
    findings = list(examine(options))
    for finding in findings:
        sys.stdout.write(f"{finding.state:8}{finding.text}\n")
    wrong = sum(finding.state == "WRONG" for finding in findings)
    sys.stdout.write(f"{len(findings)} checks, {wrong} wrong\n")
    return 1 if wrong else 0


def examine(options: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is found about versions, keys, server, data, policy and port."""
    yield from _versions()
    keys = None if options.keys is None else Path(options.keys)
    if keys is not None:
        yield from _keys(keys)
    if options.server is not None:
        yield from _server(options.server, keys)
    for path, reads in ((options.data, _read_data), (options.policy, _read_policy)):
        if path is not None:
            yield _tried(partial(reads, Path(path)))
    if options.listen is not None:
        yield _tried(lambda: _listens(options.listen))
    if keys is None and options.server is None:
        yield Finding("warning", "nothing of a federation was named: give --keys or --server")


def _versions() -> Iterator[Finding]:
    ours = versions()
    if same_flower(ours["flwr"], TESTED_FLOWER):
        yield Finding("ok", f"Flower {ours['flwr']}, this project {ours['app']}")
    else:
        yield Finding("WRONG", f"Flower {ours['flwr']}: run ./run_federation.sh setup again")
    for name in ("flower-superlink", "flower-supernode"):
        yield _tried(partial(program, name))


def _keys(keys: Path) -> Iterator[Finding]:
    if not keys.is_dir():
        yield Finding("WRONG", f"{keys}: no such folder; name a part of what keys made")
        return
    yield from _permissions(keys)
    if (keys / CA_FILE).is_file():
        yield _tried(lambda: _authority(keys))
    elif not (keys / "authority").is_dir():
        yield Finding("WRONG", f"{keys} holds no {CA_FILE}: copy the whole folder that keys made")
    if (keys / SERVER_KEY).is_file():
        yield _tried(lambda: _certificate(keys))
        yield _tried(lambda: _clients(keys))
    if (keys / CLIENT_KEY).is_file():
        yield _tried(lambda: _client(keys))
    for part in ("authority", "server", "submitter"):
        if (keys / part).is_dir():
            yield from _keys(keys / part)


def _permissions(keys: Path) -> Iterator[Finding]:
    found = [keys / name for name in _SECRETS if (keys / name).is_file()]
    loose = [path for path in found if open_to_others(path)]
    for path in loose:
        yield Finding("WRONG", f"{path} can be read by others: chmod 600 {path}")
    if open_to_others(keys):
        yield Finding("WRONG", f"{keys} is open to others: chmod 700 {keys}")
    elif not loose:
        yield Finding("ok", f"{keys} is this user's alone")


def _authority(keys: Path) -> str:
    left = days_left(read_certificate(read_small(keys / CA_FILE, "a certificate")))
    return _in_time(f"the authority in {keys}", left, "make new keys for all machines")


def _certificate(keys: Path) -> str:
    certificate = read_certificate(read_small(keys / SERVER_CERTIFICATE, "a certificate"))
    if not signed_by(certificate, read_certificate(read_small(keys / CA_FILE, "a certificate"))):
        raise DeploymentError(
            f"{keys / SERVER_CERTIFICATE} was not signed by the authority beside it: copy the "
            "whole server folder again"
        )
    names = ", ".join(hosts_of(certificate))
    renew = "./run_federation.sh keys --renew, copy the server folder, start the server again"
    return _in_time(f"the server's certificate for {names}", days_left(certificate), renew)


def _clients(keys: Path) -> str:
    known, gone = registered(keys), revoked(keys)
    twice = {client.pem for client in known} & {client.pem for client in gone}
    if twice or len({client.pem for client in known}) < len(known):
        raise DeploymentError(f"{keys}: one key stands for two clients: revoke one of them")
    names = ", ".join(client.name for client in known) or "nobody"
    return f"{len(known)} clients registered ({names}), {len(gone)} revoked"


def _client(keys: Path) -> str:
    card = read_card(keys / CLIENT_CARD)
    if card.pem != public_of_private(read_small(keys / CLIENT_KEY, "a client's key")):
        raise DeploymentError(f"{keys}: key and card are not of the same client; copy it again")
    return f"client {card.name}, number {card.number}, {card.identity[:20]}..."


def _server(address: str, keys: Path | None) -> Iterator[Finding]:
    host, port = address_from(address, "--server")
    authority = keys / CA_FILE if keys is not None and (keys / CA_FILE).is_file() else None
    is_client = keys is not None and (keys / CLIENT_KEY).is_file()
    try:
        key = b""
        if keys is not None and is_client:
            key = public_of_private(read_small(keys / CLIENT_KEY, "a client's key"))
        welcome = knock(joined(host, port), authority, key)
    except DeploymentError as fault:
        yield Finding("WRONG", f"{address}: {fault}")
        return
    objection = welcome.objection(with_key=is_client)
    if objection is not None:
        yield Finding("WRONG", f"{address}: {objection}")
        return
    how = "unencrypted" if authority is None else "its certificate is good"
    yield Finding("ok", f"{address} answers, {how}, Flower {welcome.versions['flwr']}")
    state = "ok" if abs(welcome.skew) < AHEAD_SECONDS / 2 else "warning"
    yield Finding(state, f"clocks differ by {abs(welcome.skew):.1f} s")
    if is_client:
        where = "connected" if welcome.node_id else "not connected at the moment"
        yield Finding("ok", f"this client is registered there, {where}")


def _read_data(path: Path) -> str:
    if path.is_dir():
        count = sum(1 for _ in path.iterdir())
        return f"{path}: a directory with {count} entries"
    from datasets.shards import read_shard

    table = read_shard(path)
    loose = "; warning: others on this machine can read it" if open_to_others(path) else ""
    return f"{path}: {len(table.labels)} records{loose}"


def _read_policy(path: Path) -> str:
    policy = read_policy(path)
    limits = [
        f"{name} {value}"
        for name, value in (
            ("epsilon a round", policy.max_epsilon_per_round),
            ("epsilon in all", policy.max_epsilon_total),
            ("uploads", policy.max_uploads),
            ("rounds", policy.max_rounds),
            ("clinics in a sum at least", policy.min_clinics),
        )
        if value
    ]
    code = f"{len(policy.bundles)} bundles" if policy.bundles else "any code"
    return f"{path}: {', '.join(limits) or 'no limits'}; {code}"


def _listens(text: str) -> str:
    host, port = address_from(text, "--listen")
    check_port(host, port)
    return f"{joined(host, port)} is free (user {os.getuid()})"


def _in_time(what: str, left: float, remedy: str) -> str:
    if left < 0:
        raise DeploymentError(f"{what} expired {-left:.0f} days ago: {remedy}")
    if left < SOON_DAYS:
        raise _Soon(f"{what} expires in {left:.0f} days: {remedy}")
    return f"{what} holds for {left:.0f} days"


class _Soon(Exception):
    """Right today and wrong soon."""


def _tried(look: Callable[[], str]) -> Finding:
    from datasets.errors import DataError

    try:
        return Finding("ok", look())
    except _Soon as soon:
        return Finding("warning", str(soon))
    except (DeploymentError, DataError, RunFailed, OSError) as fault:
        return Finding("WRONG", str(fault))
