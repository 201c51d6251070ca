"""A small web server in threads of the run's own process, on the loopback address only.

The standard library's: three kinds of answer need no framework, and nothing is imported that
could fail. Events go out as server-sent events, five times a second at most, whatever the run
does; a browser that hangs costs its own thread, no other, and is dropped after seconds.
"""

import socket
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Event, Lock, Thread
from time import monotonic, sleep
from typing import Any

from federation.live.access import HEADERS, HOST, METHODS, Denied, new_token, opened
from federation.live.assets import INDEX, asset
from federation.live.stream import Source, events

PATIENCE = 5.0
"""Seconds a browser may take to send a request, or to take what it is sent."""
MOST_CONNECTIONS = 24
DRAIN = 1.0
"""Seconds that the end waits for pages to hear of it."""
LOOK = 0.5
"""Seconds between two looks at what could be computed beside the run."""
_STEP = 0.002
_WAKE = 1.0
_SEND_BUFFER = 1 << 16


class LiveServer(ThreadingHTTPServer):
    """Serves one source until closed.

    Parameters
    ----------
    source : Source
        What is shown.
    port : int
        To listen on; 0 for any. A port that is taken gives way to any free one.

    Raises
    ------
    OSError
        When there is no port at all.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, source: Source, port: int = 0) -> None:
        self.source = source
        self.token = new_token()
        self._slots = BoundedSemaphore(MOST_CONNECTIONS)
        self._streams = 0
        self._lock = Lock()
        try:
            super().__init__((HOST, port), Page)
        except OSError:
            if not port:
                raise
            super().__init__((HOST, 0), Page)
        self._closed = Event()
        self._serving = [
            Thread(target=self._serve, daemon=True, name="live"),
            Thread(target=self._work, daemon=True, name="live-figures"),
        ]

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """Return what to open in a browser."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def start(self) -> "LiveServer":
        """Begin to serve."""
        for thread in self._serving:
            thread.start()
        return self

    def close(self, drain: float = DRAIN) -> None:
        """Let pages that are open hear of the end, within a bound, and stop."""
        deadline = monotonic() + drain
        while self._streams and monotonic() < deadline:
            sleep(_STEP)
        self._closed.set()
        with suppress(OSError):  # nothing is polled: a connection of our own ends the wait
            socket.create_connection((HOST, self.port), _WAKE).close()
        self._serving[0].join(_WAKE)
        self.server_close()

    def _serve(self) -> None:
        """Wait for requests, without a look in between."""
        while not self._closed.is_set():
            self.handle_request()

    def _work(self) -> None:
        """Compute what is shown beside the run, while somebody looks and until all is known."""
        while not self._closed.is_set() and not self.source.complete:
            if self._streams:
                self.source.advance()
            self.source.feed.pause(LOOK)
            if self.source.feed.ended:
                self._closed.wait(_STEP)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if one is free; else hang up."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and free the thread's place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that hung up is no matter of the run."""

    def streaming(self, change: int) -> None:
        """Count pages that listen."""
        with self._lock:
            self._streams += change


class Page(BaseHTTPRequestHandler):
    """Answers one request."""

    server: LiveServer
    timeout = PATIENCE
    server_version = "live"
    sys_version = ""

    def setup(self) -> None:
        """Bound what may lie between us and a browser that does not read."""
        super().setup()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def handle_one_request(self) -> None:
        """Read one request within the bound and answer it, whatever its method."""
        self.raw_requestline = self.rfile.readline(65537)
        self.close_connection = True
        if not self.raw_requestline or not self.parse_request():
            return
        with suppress(OSError):
            self._answer()

    def _answer(self) -> None:
        try:
            name = opened(
                self.command, self.path, dict(self._headers()), self.server.token, self.server.port
            )
        except Denied as no:
            self._send(no.status, no.status.phrase.encode(), "text/plain; charset=utf-8")
            return
        if name == "events":
            self._stream()
            return
        found = asset(name or INDEX)
        if name == "state":
            found = (self.server.source.state().encode(), "application/json")
        if found is None:
            self._send(HTTPStatus.NOT_FOUND, b"Not Found", "text/plain; charset=utf-8")
        else:
            self._send(HTTPStatus.OK, *found)

    def _headers(self) -> dict[str, str]:
        """Return the headers that count; one that is given twice is none."""
        found = {}
        for name in ("Host", "Origin"):
            values = self.headers.get_all(name) or []
            if values:
                found[name] = values[0] if len(values) == 1 else ""
        return found

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self._head(status, kind, {"Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        allowed = {"Allow": ", ".join(METHODS)} if status == HTTPStatus.METHOD_NOT_ALLOWED else {}
        for key, value in {"Content-Type": kind, **HEADERS, **allowed, **more}.items():
            self.send_header(key, value)
        self.end_headers()

    def _stream(self) -> None:
        self._head(HTTPStatus.OK, "text/event-stream", {})
        if self.command == "HEAD":
            return
        after = self.headers.get("Last-Event-ID", "")
        number = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else -1  # noqa: PLR2004
        self.server.streaming(1)
        try:
            for text in events(self.server.source, number):
                self.wfile.write(text.encode())
        finally:
            self.server.streaming(-1)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that is no HTTP, in one line and with the headers of every answer."""
        self.command = self.command or METHODS[0]
        with suppress(OSError):
            status = HTTPStatus(code)
            self._send(status, status.phrase.encode(), "text/plain; charset=utf-8")

    def log_message(self, format: str, *args: Any) -> None:
        """Keep out of the run's standard error."""
