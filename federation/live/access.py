"""Who may read the page: only who knows the token, by the loopback address, and only to read.

Another user of the machine does not know the token. A hostile page in the reader's own browser
neither: it may not read answers (no CORS header), embed them (``Cross-Origin-Resource-Policy``)
or frame them, and by DNS rebinding it comes with its own name in ``Host``, which is refused.
"""

import secrets
from collections.abc import Mapping
from hmac import compare_digest
from http import HTTPStatus

HOST = "127.0.0.1"
METHODS = ("GET", "HEAD")
TOKEN_BYTES = 24
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every answer, refusals included."""


class Denied(Exception):
    """A request that gets nothing; ``status`` says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def opened(method: str, path: str, headers: Mapping[str, str], token: str, port: int) -> str:
    """Return the name of what a request asks for, without the query.

    Parameters
    ----------
    method, path : str
        Of the request line.
    headers : mapping
        By name; looked up as an email message does, whatever the case.
    token : str
        First part of every good path.
    port : int
        That is listened on.

    Raises
    ------
    Denied
        421 for another host, 403 for another origin, 405 for another method, 404 for another token.
    """
    if headers.get("Host", "").lower() not in (f"{HOST}:{port}", f"localhost:{port}"):
        raise Denied(HTTPStatus.MISDIRECTED_REQUEST)
    own = (f"http://{HOST}:{port}", f"http://localhost:{port}")
    if headers.get("Origin", own[0]).lower() not in own:
        raise Denied(HTTPStatus.FORBIDDEN)
    if method not in METHODS:
        raise Denied(HTTPStatus.METHOD_NOT_ALLOWED)
    place = path.partition("?")[0]
    root, slash, name = place.removeprefix("/").partition("/")
    if not slash or not compare_digest(root.encode(), token.encode()):
        raise Denied(HTTPStatus.NOT_FOUND)
    return name
