"""A headless Chromium for tests, over the W3C WebDriver protocol: no package beside Debian's two.

with Browser(tmp_path) as browser:
    browser.open(address)
    browser.run("return document.title")
"""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def missing() -> str:
    """Return why there is no browser to test with, or nothing."""
    found = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {' and no '.join(found)} on this machine (.ci/browser installs them)" * bool(found)


class Browser:
    """One session; profile and driver end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> "Browser":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver") or "chromedriver", f"--port={self.port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.until(self._answers, 30)
            options = {
                "args": [*FLAGS, f"--user-data-dir={self.folder / 'profile'}"],
                "binary": shutil.which("chromium"),
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self.session = f"/session/{made['sessionId']}"
        except BaseException:
            self.driver.kill()
            self.driver.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self.call("DELETE", self.session)
        self.driver.terminate()
        self.driver.wait(20)

    def open(self, address: str) -> None:
        self.call("POST", f"{self.session}/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script returns in the page."""
        body = {"script": script, "args": list(arguments)}
        return self.call("POST", f"{self.session}/execute/sync", body)

    def ask(self, script: str) -> Any:
        """Return what a script that returns a promise comes to."""
        text = f"const done = arguments[0]; (async () => {{ {script} }})().then(done)"
        return self.call("POST", f"{self.session}/execute/async", {"script": text, "args": []})

    def until(self, true: Callable[[], Any], seconds: float = 20) -> Any:
        """Return the first true value of a function that is asked again and again."""
        deadline = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.05)
        return found

    def see(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Set the size of the page and its colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", size)
        self.devtools("Emulation.setScrollbarsHidden", {"hidden": True})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def picture(self, path: Path, *, whole: bool = True) -> Path:
        """Write a screenshot, of the whole page or of what is seen without scrolling."""
        shot = self.devtools("Page.captureScreenshot", {"captureBeyondViewport": whole})
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def complaints(self) -> list[str]:
        """Return what the browser wrote to its console since the last call."""
        found = self.call("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in found]

    def devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        body = {"cmd": command, "params": parameters}
        return self.call("POST", f"{self.session}/goog/cdp/execute", body)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the value of one WebDriver command."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        assert not (isinstance(value, dict) and "error" in value), value
        return value

    def _answers(self) -> bool:
        with suppress(OSError):
            return bool(self.call("GET", "/status")["ready"])
        return False
