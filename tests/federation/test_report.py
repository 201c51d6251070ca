"""report.html: every number is result.json's, nothing is fetched or run, and it is read by all."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from federation.cli import main
from federation.report.charts import Chart, Line, draw
from federation.report.page import MAX_PAGE_BYTES, page_of, read_result
from tests.browser import AVAILABLE, MISSING, browser

LOOSE = re.compile(r"\u2212?\d+(\.\d+)?")
KINDS = ("simulate", "compare", "market", "market-run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with one result of each kind."""
    home = tmp_path_factory.mktemp("reports")
    tiny = ["--rounds", "3", "--clients", "6", "--quiet"]
    market = ["--dataset", "carrada", "--clients", "6", "--users", "4", "--channels", "6"]
    market += ["--rounds", "20", "--episode-length", "10", "--quiet"]
    grid = ["--strategies", "global-dp,fedavg,dp-gd", "--attacks", "none,sign-flip"]
    jobs = {
        "simulate": ["simulate", *tiny, "--seeds", "3"],
        "compare": ["compare", *grid, "--sweep", "epsilon=2,20", "--seeds", "3", *tiny,
                    "--workers", "1"],
        "market": ["compare", *market, "--strategies", "no-reputation,reputation", "--attacks",
                   "none,mixed", "--seeds", "3", "--workers", "1"],
        "market-run": ["simulate", *market],
    }  # fmt: skip
    for name, words in jobs.items():
        assert main([*words, "--out", str(home / name)]) == 0
    return home


class Numbers(HTMLParser):
    """Collects every number that names its place, and every other element."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str], str]] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._open: dict[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if tag == "data":
            self._open = values

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.found.append((self._open, data))
            self._open = None


def parsed(text: str) -> Numbers:
    numbers = Numbers()
    numbers.feed(text)
    return numbers


def at(result: Any, pointer: str) -> Any:
    """Resolve a JSON pointer (RFC 6901)."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        result = result[int(name)] if isinstance(result, list) else result[name]
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_the_page_is_that_of_result_json(folder: Path, kind: str) -> None:
    result = json.loads((folder / kind / "result.json").read_text())
    found = parsed((folder / kind / "report.html").read_text()).found
    assert len(found) > {"market-run": 10}.get(kind, 20)
    scales: Counter[int] = Counter()
    for attributes, text in found:
        value = at(result, attributes["data-at"])
        assert json.loads(attributes["value"]) == value
        if value is None:
            assert text in ("\u2013", "unbounded")
            continue
        shown = float(text.replace("\u2212", "-"))
        digits = len(text.partition(".")[2])
        fits = [
            power
            for power in (0, 2, -6)
            if shown == pytest.approx(value * 10.0**power, abs=0.51 * 10.0**-digits, rel=6e-3)
        ]
        assert fits, (attributes, text)
        scales[fits[-1]] += 1
    assert sum(scales.values()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_means_of_the_leaderboard_are_all_there_and_scaled_to_percent(
    folder: Path, kind: str
) -> None:
    result = json.loads((folder / kind / "result.json").read_text())
    texts = {
        a["data-at"]: text for a, text in parsed((folder / kind / "report.html").read_text()).found
    }
    metric, scale, digits = ("accuracy", 100, 1) if "market" not in kind else (
        "adjusted_welfare", 1e-6, 2)  # fmt: skip
    places = [n for n, row in enumerate(result["summary"]) if row["metric"] == metric]
    assert places
    for place in places:
        row = result["summary"][place]
        text = texts[f"/summary/{place}/mean"].replace("\u2212", "-")
        assert text == f"{scale * row['mean']:.{digits}f}"
        if row["n"] > 1:
            low = texts[f"/summary/{place}/ci95_low"].replace("\u2212", "-")
            assert float(low) == pytest.approx(scale * row["ci95_low"], abs=0.51 * 10.0**-digits)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fetched_and_nothing_runs(folder: Path, kind: str) -> None:
    text = (folder / kind / "report.html").read_text()
    bare = text.replace("http://www.w3.org/2000/svg", "").replace(
        "http://www.w3.org/1999/xlink", ""
    )
    assert "//" not in re.sub(r"/\*.*?\*/", "", bare)
    tags = parsed(text).tags
    assert not {"script", "img", "iframe", "object", "embed"} & {tag for tag, _ in tags}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert len(text.encode()) < MAX_PAGE_BYTES


@pytest.mark.parametrize("kind", KINDS)
def test_a_screen_reader_finds_its_way(folder: Path, kind: str) -> None:
    text = (folder / kind / "report.html").read_text()
    tags = parsed(text).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    for attributes in (a for tag, a in tags if tag == "svg"):
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"]) > 20
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    targets = {a["aria-labelledby"] for tag, a in tags if tag == "section"}
    assert targets <= set(ids)
    assert dict(tags)["html"] == {"lang": "en"}


def test_the_page_has_the_parts_that_its_result_calls_for(folder: Path) -> None:
    parts = {kind: set(re.findall(r'<h2 id="(\w+)"', (folder / kind / "report.html").read_text()))
             for kind in KINDS}  # fmt: skip
    every = {"glance", "board", "repeat"}
    assert parts == {
        "simulate": every | {"learning", "privacy"},
        "compare": every | {"heat", "curves", "learning", "privacy"},
        "market": every | {"heat", "reputation", "sales"},
        "market-run": every | {"reputation", "sales"},
    }
    text = (folder / "compare" / "report.html").read_text()
    for words in ("no noise, no attack, steps of global-dp (baseline)", "centralised linear SVM (baseline)",
                  "majority class (floor)", "untrained (floor)", "nominal ε (logarithmic",
                  "held-out accuracy (%)"):  # fmt: skip
        assert words in text


def test_who_adds_no_noise_is_said_and_whose_a_warning_is(folder: Path) -> None:
    """The best without privacy is no news: beside it stands the best with."""
    result = json.loads((folder / "compare" / "result.json").read_text())
    for row in result["summary"]:
        mean = {"fedavg": 0.9, "dp-gd": 0.8}.get(row["strategy"], 0.7)
        row |= {"mean": mean, "ci95_low": mean - 0.01, "ci95_high": mean + 0.01}
    page = page_of(result)
    assert "Best of those with noise (the one above has none): dp-gd" in page
    assert "Toughest: fedavg (without noise)" in page
    assert "Warning: global-dp, dp-gd: seeded noise: not private" in page
    assert "no noise: epsilon is unbounded" not in page


def test_a_run_with_fresh_noise_does_not_promise_the_same_numbers(folder: Path) -> None:
    result = json.loads((folder / "simulate" / "result.json").read_text())
    assert "gives the same numbers" in page_of(result)
    (run,) = result["runs"]
    run["privacy"]["warnings"] = [t for t in run["privacy"]["warnings"] if "seeded" not in t]
    assert "the numbers differ each time" in page_of(result)


def test_a_run_under_attack_with_parts_of_another_says_so(tmp_path: Path) -> None:
    words = "simulate --strategy fedavg --aggregation krum --byzantine 2 --attack alie --rounds 2"
    assert main([*words.split(), "--attackers", "2", "--quiet", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "<h1>fedavg (krum) on BCWD</h1>" in page
    assert "2 of 20 attack (alie)" in page


def test_the_command_repeats_the_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = json.loads((folder / "compare" / "result.json").read_text())
    words = first["command"].split()[1:]
    assert main([*words, "--quiet", "--workers", "1", "--out", "again"]) == 0
    again = Path("again/report.html").read_bytes()
    assert again == (folder / "compare" / "report.html").read_bytes()


def test_the_same_result_makes_the_same_page_and_report_writes_it_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = folder / "market" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert main(["report", str(page.parent)]) == 0
    assert page.read_bytes() == before
    assert str(page) in capsys.readouterr().out


def test_what_a_user_named_is_text_not_markup(folder: Path) -> None:
    evil = "<script>alert(1)</script>\"'&"
    text = (folder / "compare" / "result.json").read_text()
    result = json.loads(text.replace('"global-dp"', json.dumps(evil)))
    result["command"] = evil
    result["failed"] = [{"reason": evil, "seed": 1, "strategy": evil, "cell": {}}]
    page = page_of(result)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "1 runs failed" not in page
    assert "1 run failed" in page


@pytest.mark.slow
def test_a_large_grid_stays_small(folder: Path) -> None:
    """The market's page with as many traced runs as 6 strategies x 10 attacks have."""
    result = json.loads((folder / "market" / "result.json").read_text())
    runs, summary = [], []
    for strategy in range(6):
        for attack in range(10):
            for run in result["runs"]:
                if run["swept"]["attack"] == "mixed" and run["strategy"] == "reputation":
                    swept = {"attack": f"a{attack}"}
                    cell = run["cell"] | swept
                    runs.append(run | {"strategy": f"s{strategy}", "swept": swept, "cell": cell})
            for row in result["summary"]:
                if row["cell"]["attack"] == "mixed" and row["strategy"] == "reputation":
                    cell = row["cell"] | {"attack": f"a{attack}"}
                    summary.append(row | {"strategy": f"s{strategy}", "cell": cell})
    curves = {str(n): [0.5 + n / 1e3 + r / 1e4 for r in range(100)] for n in range(40)}
    for run in runs:
        if "trace" in run:
            run["trace"] |= {"rounds": list(range(100)), "reputations": curves}
    page = page_of(result | {"runs": runs, "summary": summary, "cells": []})
    assert len(page.encode()) < MAX_PAGE_BYTES
    assert "further runs are in result.json" in page


def test_the_log_axis_has_a_tick_at_every_epsilon_and_colours_follow_the_page() -> None:
    line = Line("a", [1.0, 5.0, 20.0], [80.0, None, 90.0], style=0)
    svg = draw(Chart("x", "what & why", "ε", "%", [line], log=True, points=True))
    assert svg.startswith('<svg role="img" aria-label="what &amp; why"')
    for tick in ("1", "5", "20"):
        assert f">{tick}</text>" in svg
    assert "var(--c0)" in svg
    assert "currentColor" in svg
    assert not re.search("0072b2|#123456|#e5e5e5", svg, re.IGNORECASE)


MISTAKES = {
    "no directory": (None, "no such directory"),
    "no result": ({}, "no result.json there"),
    "no json": ({"result.json": "{"}, "is none of simulate or compare (JSONDecodeError)"),
    "a list": ({"result.json": "[1]"}, "is none of simulate or compare (TypeError)"),
    "of something else": ({"result.json": '{"settings": {}}'}, "(KeyError)"),
    "no runs": (
        {"result.json": '{"settings": {}, "runs": [], "summary": []}'},
        "has no finished run",
    ),
    "cut short": (
        {"result.json": '{"settings": {}, "runs": [{"strategy": "a", "cell": {}}], "summary": []}'},
        "is none of simulate or compare",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_directory_without_a_result_is_refused_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, reason = MISTAKES[name]
    out = tmp_path / "out"
    if files is not None:
        out.mkdir()
        for file, text in files.items():
            (out / file).write_text(text)
    assert main(["report", str(out)]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert not (out / "report.html").exists()


def test_a_result_of_reproduce_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"runs": [], "summary": [], "seeds": [1]}))
    with pytest.raises(ValueError, match="no finished run"):
        read_result(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not AVAILABLE, reason=MISSING)
def test_a_browser_shows_it_without_an_error_in_every_width_and_light(folder: Path) -> None:
    with browser() as page:
        for kind in KINDS:
            page.open((folder / kind / "report.html").as_uri())
            for width in (1280, 390):
                for dark in (False, True):
                    page.show(width, dark=dark)
                    assert page.run("return document.documentElement.scrollWidth") <= width
                    colours = page.run(
                        "const s = getComputedStyle(document.body);return [s.color, s.backgroundColor]"
                    )
                    ink, back = (sum(map(int, re.findall(r"\d+", c)[:3])) for c in colours)
                    assert (ink > back) is dark
            boxes = page.run(
                "return [...document.querySelectorAll('figure svg')].map("
                "s => [s.getBoundingClientRect().width, s.getBoundingClientRect().height])"
            )
            assert all(min(box) > 150 for box in boxes)
            assert page.messages() == []
