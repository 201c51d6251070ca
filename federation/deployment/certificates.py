"""A private certificate authority, its server certificate, and one EC P-384 key for each client.

X.509 v3 as TLS clients of today check it (RFC 5280): the CA may sign and nothing else, the server
certificate names its hosts and is for server authentication only.
"""

import ipaddress
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federation.deployment.errors import DeploymentError

CA_DAYS = 3650
CLOCK_SLACK = timedelta(minutes=5)
"""How far a peer's clock may be behind ours when a fresh certificate is used."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")

PrivateKey = ec.EllipticCurvePrivateKey


def new_key() -> PrivateKey:
    """Return a fresh P-384 key."""
    return ec.generate_private_key(ec.SECP384R1())


def key_pem(key: PrivateKey) -> bytes:
    """Return a private key as PEM, unencrypted: its file's mode guards it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_openssh(key: PrivateKey) -> bytes:
    """Return a private key as OpenSSH writes it, which is what a SuperNode reads."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def public_openssh(key: PrivateKey, comment: str) -> bytes:
    """Return the line of a public key, with a comment."""
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return line + b" " + comment.encode() + b"\n"


def public_pem(openssh: bytes) -> bytes:
    """Return a public key in the bytes that Flower knows it by.

    Raises
    ------
    DeploymentError
        When it is no EC P-384 key.
    """
    try:
        key = load_ssh_public_key(openssh)
    except (ValueError, TypeError) as fault:
        raise DeploymentError("not an OpenSSH public key; use the one that keys wrote") from fault
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise DeploymentError("not an EC P-384 key; use the one that keys wrote")
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_of_private(openssh: bytes) -> bytes:
    """Return the public key, as Flower knows it, of a client's private key.

    Raises
    ------
    DeploymentError
        When it is no EC key in OpenSSH's form.
    """
    return (
        private_key(openssh)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )


def private_key(openssh: bytes) -> PrivateKey:
    """Return a client's private key; raises DeploymentError as :func:`public_of_private`."""
    try:
        key = load_ssh_private_key(openssh, None)
    except (ValueError, TypeError) as fault:
        raise DeploymentError("not an OpenSSH private key; use the one that keys wrote") from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise DeploymentError("not an EC key; use the one that keys wrote")
    return key


def fingerprint(public_key: bytes) -> str:
    """Return a client's lasting name: what the registry, ledgers and reputations know it by."""
    return f"key:{sha256(public_key).hexdigest()}"


def make_authority(name: str, days: int = CA_DAYS) -> tuple[PrivateKey, x509.Certificate]:
    """Return a new CA: its key and its self-signed certificate."""
    key = new_key()
    subject = _name(name)
    certificate = (
        _builder(subject, subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA384())
    )
    return key, certificate


def make_server_certificate(
    authority: tuple[PrivateKey, x509.Certificate], hosts: tuple[str, ...], days: int
) -> tuple[PrivateKey, x509.Certificate]:
    """Return a server's key and certificate for its hosts, and for this machine's own names.

    Parameters
    ----------
    authority : pair of key and certificate
        Who signs.
    hosts : tuple of str
        DNS names and IP addresses under which clients reach the server.
    days : int
        How long it holds; never longer than the authority.
    """
    ca_key, ca = authority
    key = new_key()
    names = [_general_name(host) for host in dict.fromkeys((*hosts, *LOOPBACK))]
    certificate = (
        _builder(_name(hosts[0] if hosts else "localhost"), ca.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA384())
    )
    return key, certificate


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def read_certificate(pem: bytes) -> x509.Certificate:
    """Return a PEM certificate; raises DeploymentError when it is none."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as fault:
        raise DeploymentError("not a PEM certificate; use the one that keys wrote") from fault


def read_key(pem: bytes) -> PrivateKey:
    """Return a PEM private key; raises DeploymentError when it is no EC key."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as fault:
        raise DeploymentError("not a PEM private key; use the one that keys wrote") from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise DeploymentError("not an EC key; use the one that keys wrote")
    return key


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the names and addresses that a server certificate is good for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def days_left(certificate: x509.Certificate, now: datetime | None = None) -> float:
    """Return for how many days a certificate still holds; negative when it has expired."""
    rest = certificate.not_valid_after_utc - (now or datetime.now(UTC))
    return rest / timedelta(days=1)


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Return whether an authority's key signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 - another issuer, algorithm or signature: not by this one
        return False
    return True


def check_host(host: str) -> str:
    """Return a host if it can stand in a certificate.

    Raises
    ------
    DeploymentError
        When it is neither a DNS name nor an IP address.
    """
    _general_name(host)
    return host


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.split(".")
    good = all(
        label.isascii() and label.replace("-", "").isalnum() and len(label) < 64  # noqa: PLR2004
        for label in labels
    )
    if not good or len(host) > 253:  # noqa: PLR2004 - RFC 1035's limits
        raise DeploymentError(f"--host {host!r} is neither a DNS name nor an IP address")
    return x509.DNSName(host)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
