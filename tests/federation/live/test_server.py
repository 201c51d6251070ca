"""The server over real sockets: what it answers, to whom, and that nobody can hold up a run."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse

import pytest

from federation.live.access import HEADERS
from federation.live.feed import FAILED, Feed
from federation.live.server import MOST_CONNECTIONS, LiveServer
from federation.live.stream import Source


@pytest.fixture
def server() -> Iterator[LiveServer]:
    made = LiveServer(Source(Feed({"title": "a run"}))).start()
    yield made
    made.source.feed.end(FAILED)
    made.close(0.0)


def ask(server: LiveServer, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{server.port}"} | headers).items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def test_it_listens_on_loopback_only(server: LiveServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.port}/{server.token}/"


def test_the_page_and_every_refusal_carry_the_policy(server: LiveServer) -> None:
    good = ask(server, f"/{server.token}/")
    assert good.status == 200
    assert b"<title>live view</title>" in good.read()
    evil = {"Host": "evil.example"}
    refused = [ask(server, "/"), ask(server, f"/{server.token}/nothing")]
    refused += [ask(server, f"/{server.token}/", "POST"), ask(server, f"/{server.token}/", **evil)]
    assert [answer.status for answer in refused] == [404, 404, 405, 421]
    for answer in (good, *refused):
        for name, value in HEADERS.items():
            assert answer.getheader(name) == value
        assert answer.getheader("Access-Control-Allow-Origin") is None
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_refusal_tells_nothing(server: LiveServer) -> None:
    bodies = {ask(server, path).read() for path in ("/", "/state", "/x/state", "/x/app.js")}
    assert bodies == {b"Not Found"}


@pytest.mark.parametrize(
    "name",
    ["../server.py", "..%2fserver.py", "%2e%2e/access.py", "/etc/passwd", "app.js/", "./app.js"],
)
def test_no_path_leads_out_of_the_page(server: LiveServer, name: str) -> None:
    assert ask(server, f"/{server.token}/{name}").status == 404


def test_a_host_given_twice_is_none(server: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        own = f"127.0.0.1:{server.port}"
        text = f"GET /{server.token}/ HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n\r\n"
        line.sendall(text.encode())
        assert b" 421 " in line.makefile("rb").readline()


@pytest.mark.parametrize(
    "junk", [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000]
)
def test_junk_is_refused_and_the_server_goes_on(server: LiveServer, junk: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        line.sendall(junk)
        line.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert b" 200 " not in line.makefile("rb").read(4000)
    assert ask(server, f"/{server.token}/").status == 200


def test_events_come_in_order_and_end(server: LiveServer) -> None:
    feed = server.source.feed
    feed.add({"round": 0, "metrics": {}})
    answer = ask(server, f"/{server.token}/events")
    assert answer.getheader("Content-Type") == "text/event-stream"
    feed.add({"round": 1, "metrics": {"accuracy": 0.25}})
    feed.end(FAILED, "the clinics went home")
    found = events(answer.read().decode())
    assert found[0] == ("head", {"title": "a run"})
    rounds = [row["round"] for name, rows in found if name == "rounds" for row in rows]
    assert rounds == [0, 1]
    last = [data for name, data in found if name == "status"][-1]
    assert last == {"state": FAILED, "message": "the clinics went home", "again": ""}
    assert found[-1] == ("end", None)


def test_a_page_that_comes_back_gets_what_it_missed(server: LiveServer) -> None:
    feed = server.source.feed
    for number in range(5):
        feed.add({"round": number, "metrics": {}})
    feed.end(FAILED)
    answer = ask(server, f"/{server.token}/events", **{"Last-Event-ID": "2"})
    rows = [
        row for name, rows in events(answer.read().decode()) if name == "rounds" for row in rows
    ]
    assert [row["round"] for row in rows] == [3, 4]


def test_state_is_what_the_events_add_up_to(server: LiveServer) -> None:
    server.source.feed.add({"round": 0, "metrics": {"loss": 1.5}})
    state = json.loads(ask(server, f"/{server.token}/state").read())
    assert state["head"] == {"title": "a run"}
    assert state["rounds"] == [{"round": 0, "metrics": {"loss": 1.5}}]
    assert state["status"]["state"] == "running"


def test_a_port_in_use_gives_way(server: LiveServer) -> None:
    other = LiveServer(Source(Feed({})), server.port)
    try:
        assert other.port != server.port
    finally:
        other.server_close()


def test_browsers_that_hang_neither_block_the_run_nor_the_end() -> None:
    server = LiveServer(Source(Feed({}))).start()
    feed, lines = server.source.feed, []
    try:
        for _ in range(MOST_CONNECTIONS + 5):  # more than are answered, none of which reads
            line = socket.create_connection(("127.0.0.1", server.port), 10)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            own = f"127.0.0.1:{server.port}"
            line.sendall(f"GET /{server.token}/events HTTP/1.1\r\nHost: {own}\r\n\r\n".encode())
            lines.append(line)
        for number in range(2000):
            feed.add({"round": number, "metrics": {"x": number}, "pad": "x" * 2000})
        assert [feed.rows()[0].number, feed.rows()[-1].number] == [0, 1999]
        feed.end(FAILED)
        started = time.monotonic()
        server.close(0.2)
        assert time.monotonic() - started < 60  # it does end; how fast is measured elsewhere
    finally:
        for line in lines:
            line.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("live") and t.is_alive()]


def events(text: str) -> list[tuple[str, object]]:
    """Parse server-sent events as the standard says: one data line each here."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.split(": ", 1) for line in block.splitlines() if line and line[0] != ":"]
        fields = dict(line for line in lines if len(line) == 2)
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found
