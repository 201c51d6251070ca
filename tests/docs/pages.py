"""Pages of the documentation as lists of fenced blocks, with directions for the tests.

HTML comments right above a fence tell the tests what to do with it; readers never see them:

    <!-- test: skip, REASON -->          not run
    <!-- test: replace OLD => NEW -->    run with OLD replaced, for smaller numbers or paths
    <!-- test: slow --> or ray           run only under that pytest mark, by itself
    <!-- test: file NAME -->             written to NAME in the page's directory
    <!-- test: prints -->                each line is in the output of the run block before it
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
RUN = ("bash", "python")
MARKS = ("slow", "ray")
DIRECTIVES = ("skip", "replace", "file", "prints", *MARKS)

_COMMENT = re.compile(r"<!-- test: (.*?) -->")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language and text as run, and its directives."""

    place: str
    language: str
    text: str
    directives: tuple[tuple[str, str], ...]

    def has(self, name: str) -> bool:
        return any(known == name for known, _ in self.directives)

    def argument(self, name: str) -> str:
        return next(argument for known, argument in self.directives if known == name)

    @property
    def mark(self) -> str:
        return next((mark for mark in MARKS if self.has(mark)), "")


def blocks_of(page: Path) -> list[Block]:
    """Return every fenced block of a page, in order."""
    return parse(page.read_text(encoding="utf-8"), page.name)


def parse(text: str, name: str) -> list[Block]:
    found = []
    for match in _FENCE.finditer(text):
        place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
        directives = _above(text[: match.start()], place)
        found.append(
            Block(place, match[1], _replaced(match[2], directives, place), tuple(directives))
        )
    return found


def _above(text: str, place: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in reversed(text.rstrip("\n").splitlines()):
        comment = _COMMENT.fullmatch(line.strip())
        if comment is None:
            break
        word, _, argument = comment[1].partition(" ")
        word = word.rstrip(",")
        if word not in DIRECTIVES or (word in ("skip", "replace", "file") and not argument):
            raise ValueError(f"{place}: unknown test directive {comment[1]!r}")
        found.append((word, argument.strip()))
    return found[::-1]


def _replaced(text: str, directives: list[tuple[str, str]], place: str) -> str:
    for word, argument in directives:
        if word == "replace":
            old, arrow, new = argument.partition(" => ")
            if not arrow or old not in text:
                raise ValueError(f"{place}: nothing to replace for {argument!r}")
            text = text.replace(old, new)
    return text
