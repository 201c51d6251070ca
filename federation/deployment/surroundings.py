"""What Flower's processes run in: their environment, this project's root, addresses, versions."""

import os
import sys
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path

from federation.deployment.errors import DeploymentError

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 9092
DEPLOYED, DATABASE, PUBLIC_DATA, SIGNED, CARDS = (
    "FEDERATION_DEPLOYED",
    "FEDERATION_DATABASE",
    "FEDERATION_PUBLIC_DATA",
    "FEDERATION_SIGNED",
    "FEDERATION_CARDS",
)
"""Set for the server app's process; where its database is; where shipped public data lies;
whether clients have keys to sign with."""
_QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "PYTHONUNBUFFERED": "1",
    "NO_COLOR": "1",
}
_NOT_PASSED_ON = ("FLWR_", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV")


def environment_of(home: Path) -> dict[str, str]:
    """Return the environment of Flower's processes: quiet, with a private FLWR_HOME."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not any(key.startswith(prefix) for prefix in _NOT_PASSED_ON)
    }
    programs = str(Path(sys.executable).parent)
    path = os.pathsep.join([programs, kept.get("PATH", os.defpath)])
    public = {PUBLIC_DATA: str(ROOT / "datasets")}
    return kept | _QUIET | public | {"FLWR_HOME": str(home), "PATH": path}


def program(name: str) -> str:
    """Return the path of a program of this environment.

    Raises
    ------
    DeploymentError
        When Flower is not installed beside this Python.
    """
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise DeploymentError(f"{path} is missing: run ./run_federation.sh setup")
    return str(path)


def address_from(text: str, flag: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Return host and port of ``HOST``, ``HOST:PORT``, ``[v6]:PORT``.

    Raises
    ------
    DeploymentError
        When it is no address.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = text.strip(), str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004
        raise DeploymentError(f"{flag} {text!r}: give HOST or HOST:PORT, for instance host:9092")
    return host, int(port)


def joined(host: str, port: int) -> str:
    """Return ``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether an address reaches this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def versions_here() -> dict[str, str]:
    """Return the versions that the two ends of a connection must agree on."""
    return {"flwr": version("flwr"), "app": version("trusted-federation")}


def same_flower(ours: str, theirs: str) -> bool:
    """Return whether two Flower versions work together: the same major and minor."""
    return ours.split(".")[:2] == theirs.split(".")[:2]
