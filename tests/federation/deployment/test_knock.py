"""Knocking at a gate: each reason why a client could not work with a server, in words."""

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from federation.deployment import certificates
from federation.deployment.errors import DeploymentError
from federation.deployment.key_folder import create, renew
from federation.deployment.knock import Welcome, knock
from federation.deployment.processes import free_port
from federation.deployment.serve import check_server_keys

FLOWER = {"flwr": "1.41.0", "app": "0.1.0"}


class Door(HTTPServer):
    """A TLS server that says what it is told to say, with the keys of a folder."""

    def __init__(self, keys: Path, **said: str) -> None:
        super().__init__(("0.0.0.0", free_port()), _Handler)  # noqa: S104
        self.said = {"now": datetime.now(UTC).isoformat(), "key": "registered", **FLOWER, **said}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keys / "server.crt", keys / "server.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Say nothing of peers that hang up."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Door)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.said).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create(tmp_path / "keys", ("localhost",), ("ann",), 30)
    return tmp_path / "keys"


@pytest.fixture
def doors() -> Iterator[list[Door]]:
    opened: list[Door] = []
    yield opened
    for door in opened:
        door.shutdown()
        door.server_close()


def expire(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server's certificate anew as it would have been made 90 days ago."""

    class Past(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) - timedelta(days=90)

    with monkeypatch.context() as patch:
        patch.setattr(certificates, "datetime", Past)
        renew(keys, ("localhost",), 30)


def test_a_good_server_is_accepted(keys: Path, doors: list[Door]) -> None:
    doors.append(Door(keys / "server"))
    welcome = knock(f"localhost:{doors[0].server_port}", keys / "clients/ann/ca.crt", b"key")
    assert welcome.objection() is None
    assert abs(welcome.skew) < 3


def test_an_expired_certificate_is_named_on_both_sides(
    keys: Path, doors: list[Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    expire(keys, monkeypatch)
    with pytest.raises(DeploymentError, match=r"expired 60 days ago.*--renew"):
        check_server_keys(keys / "server")
    doors.append(Door(keys / "server"))
    with pytest.raises(DeploymentError, match=r"certificate has expired.*--renew"):
        knock(f"localhost:{doors[0].server_port}", keys / "clients/ann/ca.crt")


def test_another_authority_another_name_and_nobody_are_told_apart(
    keys: Path, doors: list[Door], tmp_path: Path
) -> None:
    create(tmp_path / "others", ("elsewhere.example",), ("ann",), 30)
    doors.append(Door(keys / "server"))
    place = f"localhost:{doors[0].server_port}"
    with pytest.raises(DeploymentError, match="not from the authority in --keys"):
        knock(place, tmp_path / "others/authority/ca.crt")
    with pytest.raises(DeploymentError, match="for other names"):
        knock(place.replace("localhost", "127.0.0.2"), keys / "authority/ca.crt")
    with pytest.raises(DeploymentError, match="no server answers there"):
        knock(f"localhost:{free_port()}", keys / "authority/ca.crt")


def test_something_else_that_answers_is_no_server(keys: Path, doors: list[Door]) -> None:
    doors.append(Door(keys / "server", now="yesterday"))
    with pytest.raises(DeploymentError, match="no server of this project"):
        knock(f"localhost:{doors[0].server_port}", keys / "authority/ca.crt")


@pytest.mark.parametrize(
    ("welcome", "words"),
    [
        (
            Welcome(0.0, {"flwr": "1.40.2"}, "registered", 0),
            "runs Flower 1.40.2, this machine 1.41",
        ),
        (Welcome(6.0, FLOWER, "registered", 0), "clock is 6 s ahead of the server's"),
        (Welcome(-301.0, FLOWER, "registered", 0), "clock is 301 s behind the server's"),
        (Welcome(0.0, FLOWER, "revoked", 0), "has revoked this client's key"),
        (Welcome(0.0, FLOWER, "unknown", 0), "does not know this client's key"),
    ],
)
def test_each_reason_has_its_words(welcome: Welcome, words: str) -> None:
    assert words in str(welcome.objection())


def test_what_flower_tolerates_is_tolerated() -> None:
    for skew in (4.0, -290.0):
        assert Welcome(skew, FLOWER | {"flwr": "1.41.9"}, "registered", 5).objection() is None
    assert Welcome(0.0, FLOWER, "none", 0).objection(with_key=False) is None


def test_our_tolerance_is_flowers() -> None:
    from flwr.common import constant

    from federation.deployment.knock import AHEAD_SECONDS, BEHIND_SECONDS

    assert constant.SYSTEM_TIME_TOLERANCE == AHEAD_SECONDS
    assert constant.TIMESTAMP_TOLERANCE == BEHIND_SECONDS
