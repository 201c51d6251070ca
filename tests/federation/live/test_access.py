"""Who gets anything: each condition alone refuses."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.live.access import Denied, new_token, opened

TOKEN, PORT = "tok-en_123", 4321
GOOD = {"Host": f"127.0.0.1:{PORT}"}


def ask(method: str = "GET", path: str = f"/{TOKEN}/", **headers: str) -> str:
    return opened(method, path, GOOD | headers, TOKEN, PORT)


def test_the_token_opens() -> None:
    assert ask() == ""
    assert ask("HEAD", f"/{TOKEN}/events?x=/y") == "events"
    assert ask(Host=f"LOCALHOST:{PORT}") == ""
    assert ask(Origin=f"http://127.0.0.1:{PORT}") == ""


@pytest.mark.parametrize(
    "host", ["", "evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}",
             f"127.0.0.1:{PORT}.evil.example", f"127.0.0.1:{PORT}@evil.example"],
)  # fmt: skip
def test_another_host_is_refused_whatever_the_token(host: str) -> None:
    with pytest.raises(Denied) as no:
        ask(Host=host)
    assert no.value.status == HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.parametrize("origin", ["null", "http://evil.example", f"https://127.0.0.1:{PORT}", ""])
def test_another_origin_is_refused(origin: str) -> None:
    with pytest.raises(Denied) as no:
        ask(Origin=origin)
    assert no.value.status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "CONNECT"])
def test_reading_is_all_one_can_do(method: str) -> None:
    with pytest.raises(Denied) as no:
        ask(method)
    assert no.value.status == HTTPStatus.METHOD_NOT_ALLOWED


@given(st.text(max_size=40))
def test_no_other_path_opens(path: str) -> None:
    if path.removeprefix("/").startswith(f"{TOKEN}/"):
        return
    with pytest.raises(Denied) as no:
        ask(path=path)
    assert no.value.status == HTTPStatus.NOT_FOUND


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) == 32 for token in tokens)  # 24 random bytes
