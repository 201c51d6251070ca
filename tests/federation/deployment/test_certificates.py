"""The authority, its certificates and keys: what TLS and Flower will hold them to."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from federation.cli import main
from federation.deployment import certificates
from federation.deployment.errors import DeploymentError
from federation.deployment.key_folder import (
    add,
    create,
    names_from,
    read_card,
    registered,
    renew,
    revoke,
    revoked,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "keys", ("fed.example.org", "192.0.2.7"), ("ann", "bob"), 30)
    return tmp_path / "keys"


def test_what_is_secret_only_its_owner_reads(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode & 0o777
        if path.is_dir():
            assert mode == 0o700, path
        else:
            assert mode == (0o644 if path.suffix == ".crt" else 0o600), path


def test_each_machine_gets_only_its_own_secrets(folder: Path) -> None:
    def secrets(part: str) -> set[str]:
        return {p.name for p in (folder / part).rglob("*") if p.suffix in (".key", ".token")}

    assert secrets("server") == {"server.key", "submit.token"}
    assert secrets("submitter") == {"submit.token"}
    assert secrets("clients/ann") == {"client.key"}
    assert secrets("authority") == {"ca.key"}


def test_certificate_names_its_hosts_and_this_machine(folder: Path) -> None:
    pem = (folder / "server/server.crt").read_bytes()
    found = certificates.read_certificate(pem)
    assert certificates.hosts_of(found) == (
        "fed.example.org", "192.0.2.7", "localhost", "127.0.0.1", "::1",
    )  # fmt: skip
    assert 29.9 < certificates.days_left(found) <= 30
    assert certificates.days_left(found, datetime.now(UTC) + timedelta(days=31)) < 0
    usage = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not usage.ca


def test_tls_library_accepts_chain_and_key(folder: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server/server.crt", folder / "server/server.key")
    client = ssl.create_default_context(cafile=str(folder / "clients/ann/ca.crt"))
    assert _handshake(client, server, "fed.example.org") is None
    assert "Hostname mismatch" in str(_handshake(client, server, "other.example.org"))


def test_another_authority_is_not_accepted(folder: Path, tmp_path: Path) -> None:
    create(tmp_path / "others", ("fed.example.org",), ("ann",), 30)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(
        tmp_path / "others/server/server.crt", tmp_path / "others/server/server.key"
    )
    client = ssl.create_default_context(cafile=str(folder / "clients/ann/ca.crt"))
    assert "verify failed" in str(_handshake(client, server, "fed.example.org"))


def test_flower_reads_the_keys(folder: Path) -> None:
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key
    from flwr.supercore.primitives.asymmetric import (
        bytes_to_public_key,
        public_key_to_bytes,
        uses_nist_ec_curve,
    )

    key = load_ssh_private_key((folder / "clients/ann/client.key").read_bytes(), None)
    card = read_card(folder / "clients/ann/client.json")
    assert card.pem == public_key_to_bytes(key.public_key())
    assert uses_nist_ec_curve(bytes_to_public_key(card.pem))


def test_identity_is_what_the_servers_registry_calls_a_client(folder: Path) -> None:
    from server.registry import identity_of

    card = read_card(folder / "clients/bob/client.json")
    assert card.identity == identity_of(card.pem, partition=7)


def test_nothing_is_overwritten(folder: Path) -> None:
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(DeploymentError, match="in use"):
        create(folder, (), ("ann",), 30)
    with pytest.raises(DeploymentError, match="has a key already"):
        add(folder, ("cid", "ann"))
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_renewing_keeps_hosts_and_clients(folder: Path) -> None:
    clients, old = registered(folder / "server"), (folder / "server/server.crt").read_bytes()
    assert renew(folder, (), 90)[0] == "fed.example.org"
    new = certificates.read_certificate((folder / "server/server.crt").read_bytes())
    assert (folder / "server/server.crt").read_bytes() != old
    assert 89 < certificates.days_left(new) <= 90
    authority = certificates.read_certificate((folder / "clients/ann/ca.crt").read_bytes())
    assert certificates.signed_by(new, authority)
    assert registered(folder / "server") == clients


def test_a_revoked_client_keeps_its_number_and_its_name(folder: Path) -> None:
    gone = revoke(folder, "ann")
    assert [c.name for c in registered(folder / "server")] == ["bob"]
    assert revoked(folder / "server") == [gone]
    (fresh,) = add(folder, ("cid",))
    assert fresh.number == 2
    with pytest.raises(DeploymentError, match="has a key already"):
        add(folder, ("ann",))
    with pytest.raises(DeploymentError, match="registered: bob, cid"):
        revoke(folder, "ann")


@pytest.mark.parametrize("host", ["a b", "", "x" * 64, "exa_mple", "http://h", "h/1", "-\n"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(DeploymentError, match="neither a DNS name nor an IP address"):
        certificates.check_host(host)


@pytest.mark.parametrize(
    ("text", "names"), [("2", ("clinic-0", "clinic-1")), ("ann, bob", ("ann", "bob"))]
)
def test_clients_are_a_number_or_names(text: str, names: tuple[str, ...]) -> None:
    assert names_from(text) == names


@pytest.mark.parametrize("text", ["0", "10001", "ann,ann", "", "Ann", "../x", "a" * 41, "-a"])
def test_what_is_no_list_of_clients_is_refused(text: str) -> None:
    with pytest.raises(DeploymentError):
        names_from(text)


@pytest.mark.parametrize(
    "change",
    [
        {"number": -1},
        {"number": True},
        {"number": "0"},
        {"name": "../../etc"},
        {"public_key": "ssh-ed25519 AAAA"},
        {"public_key": 3},
    ],
)
def test_a_damaged_card_is_refused_with_its_path(folder: Path, change: dict[str, object]) -> None:
    import json

    path = folder / "server/clients/ann.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DeploymentError, match=r"ann\.json"):
        registered(folder / "server")


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> Exception | None:
    """Return what a client objects to in a server, None when it connects; all in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = client.wrap_bio(back, there, server_hostname=name)
    right = server.wrap_bio(there, back, server_side=True)
    done = [False, False]
    for _ in range(10):
        for at, side in enumerate((left, right)):
            try:
                side.do_handshake()
                done[at] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as fault:
                return fault
        if all(done):
            return None
    raise AssertionError("the handshake does not end")


def test_keys_without_a_host_are_for_this_machine(tmp_path: Path) -> None:
    create(tmp_path / "keys", (), ("ann",), 30)
    pem = (tmp_path / "keys/server/server.crt").read_bytes()
    found = certificates.hosts_of(certificates.read_certificate(pem))
    assert found == ("localhost", "127.0.0.1", "::1")
    assert [client.name for client in registered(tmp_path / "keys/server")] == ["ann"]


def test_keys_name_each_host_of_the_certificate_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["keys", "--host", "localhost,fed.example.org", "--clients", "1", "--out"]
    assert main([*words, str(tmp_path / "keys")]) == 0
    (line,) = (row for row in capsys.readouterr().out.splitlines() if "certificate for" in row)
    assert line.count("localhost") == 1
    assert "fed.example.org" in line
