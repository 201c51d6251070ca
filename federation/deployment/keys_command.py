"""``keys``: make, renew and revoke what the machines of a federation know each other by."""

import argparse
from pathlib import Path

from federation.deployment.certificates import check_host, hosts_of, read_certificate
from federation.deployment.errors import DeploymentError
from federation.deployment.files import read_small
from federation.deployment.key_folder import (
    SERVER_CERTIFICATE,
    add,
    create,
    names_from,
    renew,
    revoke,
)

MAX_DAYS = 3650


def keys(options: argparse.Namespace) -> int:
    """Make a key folder, or change one; print where each part belongs."""
    out, days = Path(options.out), _days(options.days)
    hosts = tuple(
        check_host(host.strip())
        for text in options.host
        for host in text.split(",")
        if host.strip()
    )
    asked = [name for name in ("clients", "add", "renew", "revoke") if getattr(options, name)]
    if len(asked) > 1:
        raise DeploymentError(f"keys does one thing at a time: --{' or --'.join(asked)}")
    if options.revoke:
        return _revoked(out, options.revoke)
    if options.renew:
        named = ", ".join(renew(out, hosts, days))
        print(f"new server certificate for {named}, {days} days")
        print(f"next: copy {out / 'server'} to the server, and start it again")
        return 0
    if options.add:
        for client in add(out, names_from(options.add)):
            print(f"client {client.name}: {out / 'clients' / client.name}")
        print(f"next: copy each folder to its machine, and {out / 'server'} to the server, which")
        print(
            "takes up the new clients while it runs; clients that take part in secure aggregation"
        )
        print("need the new peers.json of their folder as well")
        return 0
    return _made(out, hosts, names_from("3" if options.clients is None else options.clients), days)


def _made(out: Path, hosts: tuple[str, ...], names: tuple[str, ...], days: int) -> int:
    made = create(out, hosts, names, days)
    certificate = read_certificate(read_small(out / "server" / SERVER_CERTIFICATE, "a certificate"))
    shown = ", ".join(hosts_of(certificate))
    print(f"authority: {out / 'authority'}  keep it offline: it can make new servers")
    print(f"server:    {out / 'server'}  certificate for {shown}, {days} days")
    print(f"submitter: {out / 'submitter'}  may send runs: code that the server executes")
    for client in made:
        print(f"client:    {out / 'clients' / client.name}")
    print("copy each folder to its machine and nowhere else")
    if not hosts:
        print("warning: no --host was named: clients on other machines cannot check this server")
    print(f"next, on the server: ./run_federation.sh server --keys {out / 'server'}")
    return 0


def _revoked(out: Path, name: str) -> int:
    client = revoke(out, name)
    print(f"revoked {client.name} ({client.identity[:20]}...)")
    print("a server that runs with this folder refuses it within seconds; copy the folder's")
    print("clients and revoked parts to a server elsewhere")
    return 0


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_DAYS:
        raise DeploymentError(f"--days must be a whole number from 1 to {MAX_DAYS}, got {text!r}")
    return int(text)
