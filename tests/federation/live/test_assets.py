"""The page's files: whole, offline, and the vendored library as its README says."""

import hashlib
import re

import pytest

from federation.live.assets import FILES, STATIC, asset


@pytest.mark.parametrize("name", FILES)
def test_every_listed_file_is_there_with_a_type(name: str) -> None:
    found = asset(name)
    assert found is not None
    content, kind = found
    assert content == (STATIC / name).read_bytes()
    assert kind.split(";")[0] in {"text/html", "text/css", "text/javascript", "image/svg+xml"}


def test_no_file_of_the_page_is_forgotten() -> None:
    there = {str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()}
    assert there - {"uplot/LICENSE", "uplot/README.md"} == set(FILES)


@pytest.mark.parametrize(
    "name", ["", "../assets.py", "uplot/README.md", "/etc/passwd", "live.css/"]
)
def test_nothing_else_is_served(name: str) -> None:
    assert asset(name) is None


def test_the_vendored_library_is_the_one_its_readme_names() -> None:
    sums = dict(
        re.findall(r"`(uPlot\S+)` \| `([0-9a-f]{64})`", (STATIC / "uplot/README.md").read_text())
    )
    assert set(sums) == {"uPlot.iife.min.js", "uPlot.min.css"}
    for name, expected in sums.items():
        assert hashlib.sha256((STATIC / "uplot" / name).read_bytes()).hexdigest() == expected


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("uplot")])
def test_own_files_need_no_network_and_break_no_policy(name: str) -> None:
    text = (STATIC / name).read_text()
    allowed = text.replace("http://www.w3.org/2000/svg", "")
    assert "://" not in allowed
    for forbidden in ("innerHTML", "eval(", "insertAdjacentHTML", "document.write", " onclick="):
        assert forbidden not in text
    assert "style=" not in text  # the policy has no unsafe-inline
    assert len(text) < 20_000
