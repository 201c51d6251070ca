"""Headless Chromium by its own driver, over plain HTTP on the loopback: no further package."""

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AVAILABLE = CHROMIUM is not None and DRIVER is not None
MISSING = "no chromium and chromedriver here: apt-get install chromium chromium-driver"
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


@dataclass
class Page:
    """A tab of the browser."""

    session: str

    def open(self, url: str) -> None:
        _call(f"{self.session}/url", {"url": url})

    def run(self, script: str) -> Any:
        """Return what a script returns."""
        return _call(f"{self.session}/execute/sync", {"script": script, "args": []})

    def show(self, width: int, *, dark: bool = False, height: int = 900) -> None:
        """Set the window's width, and light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._chrome("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._chrome("Emulation.setEmulatedMedia", {"features": [scheme]})

    def messages(self) -> list[str]:
        """Return what the console said since the last call: errors, refused requests, warnings."""
        return [entry["message"] for entry in _call(f"{self.session}/se/log", {"type": "browser"})]

    def picture(self, path: Path, most: int = 16_000) -> None:
        """Write the whole page as PNG."""
        size = self.run("return [document.documentElement.scrollWidth, document.body.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1] + 60, most), "scale": 1}
        found = self._chrome(
            "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
        )
        path.write_bytes(base64.b64decode(found["data"]))

    def _chrome(self, command: str, parameters: dict[str, Any]) -> Any:
        return _call(f"{self.session}/goog/cdp/execute", {"cmd": command, "params": parameters})


@contextmanager
def browser() -> Iterator[Page]:
    """Start a browser, and end it with all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "driver.log")
        with log.open("w") as stream:
            driver = subprocess.Popen([str(DRIVER), "--port=0"], stdout=stream, stderr=stream)
        try:
            address = f"http://127.0.0.1:{_port(log)}"
            flags = [*_FLAGS, f"--user-data-dir={folder}/profile"]
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": CHROMIUM, "args": flags},
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            body = {"capabilities": {"alwaysMatch": wanted}}
            session = f"{address}/session/{_call(f'{address}/session', body)['sessionId']}"
            try:
                yield Page(session)
            finally:
                _call(session, None, "DELETE")
        finally:
            driver.terminate()
            driver.wait(20)


def _port(log: Path) -> int:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = re.search(r"started successfully on port (\d+)", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


def _call(url: str, body: dict[str, Any] | None, method: str = "POST") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)  # noqa: S310 - our own driver
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)["value"]
