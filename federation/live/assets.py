"""The files of the page: a fixed list, so that no request can name another."""

from functools import lru_cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".js": "text/javascript; charset=utf-8",
}
INDEX = "index.html"
FILES = (
    INDEX,
    "icon.svg",
    "live.css",
    "app.js",
    "charts.js",
    "format.js",
    "history.js",
    "people.js",
    "twin.js",
    "board.js",
    "uplot/uPlot.iife.min.js",
    "uplot/uPlot.min.css",
)


@lru_cache(maxsize=len(FILES))
def asset(name: str) -> tuple[bytes, str] | None:
    """Return content and type of a file of the page, None for any other name."""
    if name not in FILES:
        return None
    path = STATIC / name
    return path.read_bytes(), _TYPES[path.suffix]
