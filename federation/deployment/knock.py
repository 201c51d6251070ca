"""Ask a server's gate who we are to it: the reason of a refusal, in words, before Flower exits."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from federation.deployment.errors import DeploymentError
from federation.deployment.submit import explained
from federation.deployment.surroundings import same_flower, versions_here

AHEAD_SECONDS, BEHIND_SECONDS = 5.0, 300.0
"""How far ahead or behind a client's clock may be before Flower refuses its signatures."""
SECONDS = 10.0


@dataclass(frozen=True)
class Welcome:
    """What a gate says: its clock against ours, versions, and how it knows our key."""

    skew: float
    versions: dict[str, str]
    standing: str
    node_id: int

    def objection(self, *, with_key: bool = True) -> str | None:
        """Return why this client could not work with the server, None when it can."""
        ours = versions_here()
        theirs = self.versions.get("flwr", "unknown")
        if not same_flower(ours["flwr"], theirs):
            return (
                f"the server runs Flower {theirs}, this machine {ours['flwr']}: install the same "
                "version of this project on both"
            )
        if self.skew > AHEAD_SECONDS or self.skew < -BEHIND_SECONDS:
            where = "ahead of" if self.skew > 0 else "behind"
            return (
                f"this machine's clock is {abs(self.skew):.0f} s {where} the server's: set it "
                "(timedatectl set-ntp true); signatures carry the time"
            )
        if with_key and self.standing == "revoked":
            return "the server has revoked this client's key: ask it for a new one (keys --add)"
        if with_key and self.standing == "unknown":
            return (
                "the server does not know this client's key: is it another server's, or has the "
                "server's folder not been copied since keys --add?"
            )
        return None


def knock(address: str, authority: Path | None, public_key: bytes = b"") -> Welcome:
    """Ask a gate about this client.

    Parameters
    ----------
    address : str
        ``host:port``.
    authority : Path or None
        The CA's certificate; None without TLS.
    public_key : bytes
        As Flower knows it; empty when none is at hand.

    Raises
    ------
    DeploymentError
        With one line: nobody there, another authority, an expired certificate.
    """
    scheme = "http" if authority is None else "https"
    headers = {"flwr-public-key": b64encode(public_key).decode()} if public_key else {}
    before = datetime.now(UTC)
    try:
        with httpx.Client(verify=_context(authority), timeout=SECONDS, trust_env=False) as client:
            answer = client.get(f"{scheme}://{address}/federation", headers=headers)
            said: dict[str, Any] = answer.json()
        now = datetime.fromisoformat(said["now"])
        node_id = int(said.get("node_id") or 0)
        versions = {key: str(said.get(key, "unknown")) for key in ("flwr", "app")}
        standing = str(said["key"])
    except httpx.HTTPError as fault:
        raise DeploymentError(explained(fault)) from fault
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise DeploymentError(
            f"what answers at {address} is no server of this project; is --server its address?"
        ) from fault
    middle = before + (datetime.now(UTC) - before) / 2
    return Welcome((middle - now).total_seconds(), versions, standing, node_id)


def _context(authority: Path | None) -> Any:
    import ssl

    if authority is None:
        return False
    try:
        return ssl.create_default_context(cafile=str(authority))
    except (OSError, ssl.SSLError) as fault:
        raise DeploymentError(f"{authority}: no authority's certificate ({fault})") from fault
