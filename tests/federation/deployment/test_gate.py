"""The gate: who gets in, what is held, and what never leaves loopback."""

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
from flwr.proto.fleet_pb2 import PullMessagesResponse
from flwr.proto.message_pb2 import Message, PullObjectResponse

from federation.deployment import gate as module
from federation.deployment.errors import DeploymentError
from federation.deployment.gate import Gate, GuestList
from federation.deployment.key_folder import TOKEN_FILE, read_token

KEY, GONE, TOKEN = b"-----key-----", b"-----gone-----", "t0ken"
EMPTY = PullMessagesResponse().SerializeToString()
FULL = PullMessagesResponse(messages_list=[Message()]).SerializeToString()
PULL = "/v1/fleet/pull-messages"


class Upstream:
    """A SuperLink that gives prepared answers and counts how often it was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.answers, self.asked, self.headers = list(answers), 0, httpx.Headers()

    def build_request(self, method: str, url: str, **more: Any) -> httpx.Request:
        return httpx.Request(method, url, **more)

    async def send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        self.asked += 1
        self.headers = request.headers
        content = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer = httpx.Response(200, stream=httpx.ByteStream(content), request=request)
        if not stream:
            await answer.aread()
        return answer


def visit(
    path: str,
    headers: dict[str, str] | None = None,
    upstream: Upstream | None = None,
    *,
    leaves: bool = False,
    guests: GuestList | None = None,
) -> tuple[int, bytes]:
    """Return status and body of one request; status 0 when the gate says nothing."""
    guests = guests or GuestList(TOKEN, {KEY: "ann"}, {GONE: "bob"}, {KEY: 42})
    app = Gate("http://link", guests, {"flwr": "1.41.0", "app": "0"}, False)
    app._client = upstream or Upstream(b"answer")
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "path": path, "method": "POST", "headers": raw}
    sent: list[dict[str, Any]] = []
    events = [{"type": "http.request", "body": b"ask"}]

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop()
        if not leaves:
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    asyncio.run(app(scope, receive, send))
    status = next((event["status"] for event in sent if "status" in event), 0)
    return status, b"".join(event.get("body", b"") for event in sent)


def signed(key: bytes) -> dict[str, str]:
    return {"flwr-public-key": b64encode(key).decode()}


def test_registered_key_passes_to_the_superlink() -> None:
    upstream = Upstream(b"answer")
    assert visit("/v1/fleet/get-run", signed(KEY), upstream) == (200, b"answer")
    assert upstream.asked == 1


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "not registered"),
        (signed(b"-----other-----"), "not registered"),
        ({"flwr-public-key": "no base64!"}, "not registered"),
        (signed(GONE), "revoked"),
    ],
)
def test_other_keys_do_not(headers: dict[str, str], words: str) -> None:
    upstream = Upstream(b"answer")
    status, body = visit("/v1/fleet/get-run", headers, upstream)
    assert (status, upstream.asked) == (401, 0)
    assert words in json.loads(body)["detail"]


def test_flower_shows_the_refusal_to_the_client() -> None:
    from flwr.supercore.error import FlowerError

    error = FlowerError.from_json(visit("/v1/fleet/activate-node")[1].decode())
    assert error is not None
    assert "not registered" in error.message


@pytest.mark.parametrize("path", ["/v1/fleet/register-node", "/v1/fleet/unregister-node"])
def test_nobody_registers_himself(path: str) -> None:
    assert visit(path, signed(KEY))[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/v1/runtime/acquire-task", "/docs", "/openapi.json", "/", "/v1/fleet", "//v1/fleet/x",
        "/v1/fleet/../control/start-run", "/v1/fleet/./register-node", "/v1/fleet/x?y", "/v1/fleet/",
        "/v1/fleet/../runtime/acquire-task", "/v1/fleet//register-node", "/v1/fleet/get-run\n",
    ],
)  # fmt: skip
def test_what_is_not_for_outside_is_not_there(path: str) -> None:
    upstream = Upstream(b"answer")
    headers = signed(KEY) | {"authorization": f"Bearer {TOKEN}"}
    assert visit(path, headers, upstream)[0] == 404
    assert upstream.asked == 0


def test_no_web_page_gets_through_an_insecure_gate() -> None:
    """A page in a browser on the server's machine could otherwise send runs, which is code."""
    guests = GuestList(open=True)
    assert visit("/v1/control/start-run", guests=guests)[0] == 200
    headers = {"origin": "http://evil.example"}
    assert visit("/v1/control/start-run", headers, guests=guests)[0] == 403


def test_a_server_without_a_token_lets_nobody_send_runs() -> None:
    guests = GuestList("", {KEY: "ann"})
    assert visit("/v1/control/start-run", {"authorization": "Bearer "}, guests=guests)[0] == 401


@pytest.mark.parametrize("text", ["", "\n", "short", "with spaces " * 4, "\udcff"])
def test_a_token_that_was_cut_off_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / TOKEN_FILE).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DeploymentError, match="no token"):
        read_token(tmp_path)


@pytest.mark.parametrize("given", [None, "Bearer ", "Bearer t0keN", TOKEN + "x", "Basic t0ken"])
def test_runs_are_sent_with_the_token_only(given: str | None) -> None:
    headers = signed(KEY) | ({} if given is None else {"authorization": given})
    assert visit("/v1/control/start-run", headers)[0] == 401


def test_the_token_opens_control_and_goes_no_further() -> None:
    upstream = Upstream(b"answer")
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert visit("/v1/control/start-run", headers, upstream)[0] == 200
    assert "authorization" not in upstream.headers
    assert visit("/v1/fleet/get-run", headers)[0] == 401


def test_a_pull_is_held_until_there_is_a_message() -> None:
    upstream = Upstream(EMPTY, EMPTY, EMPTY, FULL)
    assert visit(PULL, signed(KEY), upstream) == (200, FULL)
    assert upstream.asked == 4


def test_a_pull_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HOLD_SECONDS", 0.05)
    assert visit(PULL, signed(KEY), Upstream(EMPTY)) == (200, EMPTY)


def test_a_node_that_leaves_takes_no_message_with_it() -> None:
    upstream = Upstream(EMPTY, FULL)
    assert visit(PULL, signed(KEY), upstream, leaves=True) == (0, b"")
    assert upstream.asked == 1


def test_a_part_on_its_way_is_waited_for_and_a_missing_one_is_not() -> None:
    soon = PullObjectResponse(object_found=True).SerializeToString()
    there = PullObjectResponse(
        object_found=True, object_available=True, object_content=b"x"
    ).SerializeToString()
    never = PullObjectResponse().SerializeToString()
    path, upstream = "/v1/fleet/pull-object", Upstream(soon, soon, there)
    assert visit(path, signed(KEY), upstream) == (200, there)
    assert upstream.asked == 3
    assert visit(path, signed(KEY), Upstream(never)) == (200, never)


def test_a_body_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 2)
    assert visit("/v1/fleet/get-run", signed(KEY))[0] == 413


def test_anybody_may_ask_who_he_is() -> None:
    said = [
        json.loads(visit("/federation", headers)[1]) for headers in ({}, signed(KEY), signed(GONE))
    ]
    assert [one["key"] for one in said] == ["none", "registered", "revoked"]
    assert [one.get("node_id") for one in said] == [None, "42", None]
    assert TOKEN not in str(said)


def test_an_insecure_gate_lets_everybody_in_but_not_to_the_tasks() -> None:
    guests = GuestList(open=True)
    assert visit("/v1/fleet/register-node", guests=guests)[0] == 200
    assert visit("/v1/control/start-run", guests=guests)[0] == 200
    assert visit("/v1/runtime/acquire-task", guests=guests)[0] == 404
