"""Every command and every piece of Python in the documentation runs, and prints what it says."""

from pathlib import Path

import pytest

from tests.docs.conftest import Desk
from tests.docs.pages import PAGES, RUN, Block, blocks_of, parse

SLOW = [
    pytest.param(block, id=block.place, marks=[getattr(pytest.mark, block.mark), pytest.mark.slow])
    for page in PAGES
    for block in blocks_of(page)
    if block.mark
]

LONG = {
    "secure-aggregation.md",
    "market.md",
    "compare.md",
    "guarantees.md",
    "learning-carrada.md",
    "data.md",
    "own-strategy.md",
}
"""Pages whose blocks take a quarter of a minute or more: left out of the fast tests."""
WHOLE = [
    pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.name in LONG else [])
    for page in PAGES
    if blocks_of(page)
]


def test_pages_that_are_long_are_there() -> None:
    assert {page.name for page in PAGES} >= LONG


@pytest.mark.parametrize("page", WHOLE)
def test_blocks_of_a_page_run_in_order(page: Path, desk: Desk) -> None:
    printed = ""
    for block in blocks_of(page):
        if block.has("file"):
            (desk.directory / block.argument("file")).write_text(block.text)
        elif block.has("prints"):
            _expect(block, printed)
        elif block.language in RUN and not block.has("skip") and not block.mark:
            printed = desk.run(block)


@pytest.mark.parametrize("block", SLOW)
def test_slow_block_runs(block: Block, desk: Desk) -> None:
    desk.run(block)


def test_skips_state_a_reason_and_only_run_blocks_are_marked() -> None:
    for page in PAGES:
        for block in blocks_of(page):
            if block.has("skip") or block.mark:
                assert block.language in RUN, block.place
            if block.has("skip"):
                assert len(block.argument("skip").split()) > 3, block.place


def test_a_page_is_parsed_as_written() -> None:
    text = "a\n<!-- test: replace 30 => 2 -->\n```bash\nrun 30\n```\n\n<!-- test: prints -->\n```text\nb\n```\n"
    first, second = parse(text, "p.md")
    assert (first.place, first.language, first.text) == ("p.md:3", "bash", "run 2\n")
    assert second.has("prints")
    assert second.text == "b\n"


@pytest.mark.parametrize("directive", ["skipp, x y", "skip", "replace 31 => 2", "replace 30 2"])
def test_a_directive_that_would_do_nothing_is_refused(directive: str) -> None:
    with pytest.raises(ValueError, match=r"p\.md:2"):
        parse(f"<!-- test: {directive} -->\n```bash\nrun 30\n```\n", "p.md")


def test_output_that_differs_is_noticed() -> None:
    (block,) = parse("<!-- test: prints -->\n```text\naccuracy 0.845\n```\n", "p.md")
    _expect(block, "first\n  accuracy   0.845 \n")
    with pytest.raises(AssertionError, match=r"p\.md:2"):
        _expect(block, "accuracy 0.846\n")


def _expect(block: Block, printed: str) -> None:
    """Hold each line of a block to be printed, in order; blanks and rules do not count."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in (" ".join(line.split()) for line in block.text.splitlines()):
        if not line.strip("\u2500 "):
            continue
        assert line in lines, f"{block.place}: not printed (in this order): {line}\n{printed}"
