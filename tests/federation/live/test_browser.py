"""The page in a real browser: live, finished, failed, played back; wide and narrow; a hostile one."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.browser import AVAILABLE, MISSING, Page
from tests.browser import browser as chromium

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not AVAILABLE, reason=MISSING)]
MARKET = "simulate --dataset carrada --strategy reputation --market payload --rounds 8"
SMALL = "--episode-length 8 --clients 6 --users 5 --channels 6"


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as page:
        yield page


def until(true: Callable[[], object], seconds: float = 30) -> None:
    """Ask again and again until it is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@contextmanager
def started(words: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a command; yield its process and the address it prints."""
    quiet = ["--quiet"] if words.startswith("simulate") else []
    job = subprocess.Popen(
        [sys.executable, "-P", "-m", "federation.cli", *words.split(), *quiet],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    try:
        assert job.stderr is not None
        line = job.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)
        assert found, line + job.stderr.read()
        yield job, found[0]
    finally:
        job.kill()
        job.wait(30)


def state(browser: Page) -> str:
    return str(browser.run("return document.getElementById('state').textContent"))


def text(browser: Page) -> str:
    return str(browser.run("return document.body.innerText"))


def fits(browser: Page) -> bool:
    return bool(browser.run("return document.documentElement.scrollWidth <= innerWidth"))


def test_a_run_is_watched_to_its_end(browser: Page, tmp_path: Path) -> None:
    browser.show(1280)
    with started("simulate --live --strategy dp-gd --rounds 100 --seeds 1 --out out", tmp_path) as (
        job,
        address,
    ):
        browser.open(address)
        until(lambda: "accuracy" in text(browser))
        assert job.wait(120) == 0
        until(lambda: state(browser) == "finished")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    shown = text(browser)
    assert f"{100 * result['runs'][0]['final']['accuracy']:.1f} %" in shown
    assert "round 100 of 100" in shown
    assert "Play it back: ./run_federation.sh live out" in shown
    assert browser.messages() == []


def test_an_interrupted_and_a_killed_run_are_shown_as_such(browser: Page, tmp_path: Path) -> None:
    for number, way, word in ((1, signal.SIGINT, "interrupted"), (2, signal.SIGKILL, "no answer")):
        words = f"simulate --live --rounds 100000 --seeds 1 --out out{number}"
        with started(words, tmp_path) as (job, address):
            browser.open(address)
            until(lambda: "accuracy" in text(browser))
            job.send_signal(way)
            job.wait(60)
            until(lambda word=word: state(browser) == word)


def test_a_market_is_played_back_wide_and_narrow_light_and_dark(
    browser: Page, tmp_path: Path
) -> None:
    made = [sys.executable, "-P", "-m", "federation.cli", *MARKET.split(), *SMALL.split()]
    subprocess.run(
        [*made, "--quiet", "--seeds", "1", "--out", str(tmp_path / "out")],
        cwd=ROOT, check=True, timeout=240,
    )  # fmt: skip
    ledger = [json.loads(line) for line in (tmp_path / "out/ledger.jsonl").read_text().splitlines()]
    with started("live out", tmp_path) as (job, address):
        for width in (1280, 390):
            for dark in (False, True):
                browser.show(width, dark=dark)
                browser.open(address)
                until(lambda: "round 8 of 8" in text(browser))
                for title in ("Who sells", "Reputations", "Payments", "Devices", "The twin's grid"):
                    assert title in text(browser)
                assert fits(browser)
        move = "const s = document.getElementById('slider'); s.value = PLACE; s.dispatchEvent(new Event('input'))"
        for place in (0, 4):
            browser.run(move.replace("PLACE", str(place)))
            until(lambda place=place: f"round {place + 1} of 8" in text(browser))
            won = browser.run(
                "return [...document.querySelectorAll('tr.won td:first-child')].map((c) => c.textContent)"
            )
            assert sorted(won) == sorted(ledger[place]["promised"])
        assert browser.messages() == []
        job.send_signal(signal.SIGINT)
        assert job.wait(30) == 0


def test_a_hostile_page_reads_nothing(browser: Page, tmp_path: Path) -> None:
    """A page of another origin that even knows the address: no read, no frame, no script."""
    with (
        started("simulate --live --rounds 100000 --seeds 1 --out out", tmp_path) as (_, address),
        hostile() as evil,
    ):
        browser.open(evil)
        script = """
            const target = "TARGET";
            window.seen = {};
            fetch(target + "state").then((r) => r.text()).then((t) => { seen.fetch = t; }, () => { seen.fetch = "denied"; });
            fetch(target + "state", { mode: "no-cors" }).then((r) => { seen.opaque = r.type; }, () => { seen.opaque = "denied"; });
            const script = document.createElement("script");
            script.onload = () => { seen.script = "ran"; };
            script.onerror = () => { seen.script = "denied"; };
            script.src = target + "format.js";
            document.head.append(script);
            const events = new EventSource(target + "events");
            events.addEventListener("head", () => { seen.events = "read"; });
            events.onerror = () => { seen.events = "denied"; };
            const frame = document.createElement("iframe");
            frame.onload = () => { try { seen.frame = frame.contentDocument === null ? "denied" : frame.contentDocument.body.innerText || "denied"; } catch { seen.frame = "denied"; } };
            frame.src = target;
            document.body.append(frame);
        """
        browser.run(script.replace("TARGET", address))
        until(lambda: len(browser.run("return Object.keys(seen)")) == 5)
        assert set(browser.run("return Object.values(seen)")) == {"denied"}
        browser.messages()  # the browser says what it refused


@contextmanager
def hostile() -> Iterator[str]:
    """Serve an empty page from another origin."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><body></body>")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Empty)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
