"""The gate: the only thing of a server that the network reaches.

Flower 1.41 serves SuperNodes, submitters and its own app processes on one port, and authenticates
only the SuperNodes: whoever reaches that port may register keys, send runs and fetch tasks. So the
SuperLink listens on loopback, and this TLS proxy lets through what belongs outside:

    /v1/fleet/...     with a registered public key; the SuperLink checks the signature
    /v1/control/...   with the submitter's token
    /federation       who is asking and what time it is, for doctor and for messages that help

A node's pull that finds nothing is held here until a message is there: the SuperNode, which would
sleep 3 s after an empty answer and 1 s over a part that is still on its way, gets both within
milliseconds (docs/deployment.md).
"""

import asyncio
import json
import re
import secrets
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

HOLD_SECONDS = 20.0
"""Longest a pull is held; below the 30 s that a SuperNode waits for an answer."""
FIRST_WAIT, WAIT_GROWTH, LONGEST_WAIT = 0.01, 1.25, 0.25
MOST_POLLS_A_SECOND = 200.0
"""Over all held pulls, so that many idle nodes do not occupy the SuperLink."""
MAX_BODY = 64 << 20
UPSTREAM_SECONDS = 60.0

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_NODE_REFUSED, _CONTROL_REFUSED = 2004, 36
"""Flower's codes FLEET_NODE_ACTIVATION_FAILED and ACCOUNT_AUTHENTICATION_FAILED."""
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade", b"host",
    b"content-length", b"authorization", b"proxy-authorization", b"trailer", b"accept-encoding",
}  # fmt: skip
_CALL = re.compile(r"/v1/(?:fleet|control)/[a-z]+(?:-[a-z]+)*")
"""What a path must be, whole: ``/v1/fleet/../control/...`` would become another call upstream."""
_SELF_SERVICE = ("/v1/fleet/register-node", "/v1/fleet/unregister-node")


@dataclass
class GuestList:
    """Who may come in; the registrar keeps it up to date.

    Parameters
    ----------
    token : str
        Of who may send runs; empty entitles nobody.
    keys : dict
        Registered public keys (PEM) and their clients' names.
    revoked : dict
        Public keys that were taken off.
    online : dict
        Node ids by public key, of those that are connected.
    open : bool
        No keys at all: an insecure server on loopback, on which everybody may do everything.
    """

    token: str = ""
    keys: dict[bytes, str] = field(default_factory=dict)
    revoked: dict[bytes, str] = field(default_factory=dict)
    online: dict[bytes, int] = field(default_factory=dict)
    open: bool = False

    def standing(self, key: bytes) -> str:
        """Return what a public key is here: none, unknown, registered or revoked."""
        if not key:
            return "none"
        if key in self.revoked:
            return "revoked"
        return "registered" if key in self.keys else "unknown"


class Gate:
    """An ASGI application that passes requests on to a SuperLink.

    Parameters
    ----------
    upstream : str
        URL of the SuperLink on loopback.
    guests : GuestList
        Who may come in.
    about : mapping
        What everybody may know: versions.
    verify : str or bool
        Path of the CA that signed the SuperLink's certificate; False without TLS.
    """

    def __init__(
        self, upstream: str, guests: GuestList, about: Mapping[str, str], verify: str | bool
    ) -> None:
        self.upstream, self.guests, self.about, self.verify = upstream, guests, about, verify
        self._waiting = 0
        self._client: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the start and end of the server."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        path, headers = str(scope["path"]), dict(scope["headers"])
        if path == "/federation":
            await _answer(send, 200, self._about(headers))
            return
        refusal = self._refusal(str(scope["method"]), path, headers)
        if refusal is not None:
            status, code, why = refusal
            await _answer(send, status, {"code": code, "detail": why})
            return
        body = await _body(receive)
        if body is None:
            await _answer(send, 413, {"code": 0, "detail": f"more than {MAX_BODY} bytes"})
            return
        await self._pass_on(scope, headers, body, receive, send)

    def _refusal(
        self, method: str, path: str, headers: Mapping[bytes, bytes]
    ) -> tuple[int, int, str] | None:
        if method != "POST" or not _CALL.fullmatch(path):
            return 404, 0, "nothing here"
        if b"origin" in headers:  # a web page in somebody's browser on this machine
            return 403, 0, "not for browsers"
        if self.guests.open:
            return None
        if path.startswith("/v1/control/"):
            given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
            token = self.guests.token.encode()
            if not token or not secrets.compare_digest(given, token):
                return 401, _CONTROL_REFUSED, "the token does not entitle to send runs here"
            return None
        if path in _SELF_SERVICE:
            return 403, _NODE_REFUSED, "clients do not register themselves here"
        standing = self.guests.standing(_key_of(headers))
        if standing == "revoked":
            return 401, _NODE_REFUSED, "this client's key was revoked by the server"
        if standing != "registered":
            return 401, _NODE_REFUSED, "this client's key is not registered with the server"
        return None

    def _about(self, headers: Mapping[bytes, bytes]) -> dict[str, Any]:
        key = _key_of(headers)
        said = {"now": datetime.now(UTC).isoformat(), "key": self.guests.standing(key)}
        if said["key"] == "registered":
            said["node_id"] = str(self.guests.online.get(key, ""))
        return {**self.about, **said}

    async def _pass_on(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        body: bytes,
        receive: Receive,
        send: Send,
    ) -> None:
        kept = [(key, value) for key, value in headers.items() if key not in _HOP_BY_HOP]
        url = self.upstream + str(scope["path"])
        request = self._client.build_request(scope["method"], url, headers=kept, content=body)
        there = _HELD.get(str(scope["path"]))
        if there is not None:
            await self._held(request, there, receive, send)
            return
        answer = await self._client.send(request, stream=True)
        try:
            await _start(send, answer.status_code, answer.headers.raw)
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()

    async def _held(
        self, request: Any, there: Callable[[bytes], bool], receive: Receive, send: Send
    ) -> None:
        """Ask again until what is asked for is there, the time is up or the node has gone."""
        gone = asyncio.ensure_future(receive())
        until, wait = monotonic() + HOLD_SECONDS, FIRST_WAIT
        self._waiting += 1
        try:
            while True:
                answer = await self._client.send(request)
                if answer.status_code != 200 or monotonic() >= until or there(answer.content):  # noqa: PLR2004
                    break
                wait = min(wait * WAIT_GROWTH, LONGEST_WAIT)
                pause = max(wait, self._waiting / MOST_POLLS_A_SECOND)
                done, _ = await asyncio.wait({gone}, timeout=pause)
                if done:
                    return
        finally:
            self._waiting -= 1
            gone.cancel()
        await _start(send, answer.status_code, answer.headers.raw)
        await send({"type": "http.response.body", "body": answer.content})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._connected():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        import httpx

        verify: Any = self.verify
        if isinstance(verify, str):
            import ssl

            verify = ssl.create_default_context(cafile=verify)
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=64)
        async with httpx.AsyncClient(
            verify=verify, timeout=UPSTREAM_SECONDS, limits=limits, trust_env=False
        ) as client:
            self._client = client
            yield


def _key_of(headers: Mapping[bytes, bytes]) -> bytes:
    try:
        return b64decode(headers.get(b"flwr-public-key", b""), validate=True)
    except ValueError:
        return b"unreadable"


def _has_message(content: bytes) -> bool:
    from flwr.proto.fleet_pb2 import PullMessagesResponse

    found = PullMessagesResponse()
    found.ParseFromString(content)
    return bool(found.messages_list) or found.HasField("reconnect")


def _has_object(content: bytes) -> bool:
    """Return whether an object has come, or never will: it is announced before it is there."""
    from flwr.proto.message_pb2 import PullObjectResponse

    found = PullObjectResponse()
    found.ParseFromString(content)
    return found.object_available or not found.object_found


_HELD = {"/v1/fleet/pull-messages": _has_message, "/v1/fleet/pull-object": _has_object}


async def _body(receive: Receive) -> bytes | None:
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return b""
        size += len(event.get("body", b""))
        if size > MAX_BODY:
            return None
        parts.append(event.get("body", b""))
        if not event.get("more_body"):
            return b"".join(parts)


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    kept = [(key.lower(), value) for key, value in headers if key.lower() not in _HOP_BY_HOP]
    await send({"type": "http.response.start", "status": status, "headers": kept})


async def _answer(send: Send, status: int, content: Mapping[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
