"""Links between the pages, and into the code, lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES

PAGES_WITH_LINKS = (*PAGES, PAGES[0].parent / "datasets" / "bcwd" / "README.md")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES_WITH_LINKS, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    broken = [link for link in links_of(page.read_text(encoding="utf-8")) if not _there(page, link)]
    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    readme = PAGES[0]
    linked = {(readme.parent / link).resolve() for link in links_of(readme.read_text())}
    assert [page.name for page in PAGES[1:] if page.resolve() not in linked] == []


def test_a_broken_link_is_noticed() -> None:
    readme = PAGES[0]
    assert links_of("[a](docs/nowhere.md) `x`\n```\n[b](c)\n```\n") == ["docs/nowhere.md"]
    assert not _there(readme, "docs/nowhere.md")
    assert not _there(readme, "docs/privacy.md#no-such-heading")
    assert _there(readme, "docs/privacy.md#symbols")


def links_of(text: str) -> list[str]:
    found = _LINK.findall(_FENCE.sub("", text))
    return [link for link in found if not link.startswith(("http://", "https://", "mailto:"))]


def _there(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
