"""The four commands across network namespaces: server and clients with addresses of their own."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.machines import Desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
CLIENTS = 2
SERVER = "10.213.7.1"


@pytest.fixture
def network() -> Iterator[list[str]]:
    """Make a namespace for the server and one for each client, on one bridge; or skip."""
    if shutil.which("ip") is None:
        pytest.skip("no ip(8) on this machine")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    tag = secrets.token_hex(2)
    names = [f"fed{tag}{letter}" for letter in "sab"[: CLIENTS + 1]]
    bridge = f"fedbr{tag}"
    try:
        try:
            _ip("link", "add", bridge, "type", "bridge")
            _ip("link", "set", bridge, "up")
            for number, name in enumerate(names, start=1):
                _ip("netns", "add", name)
                _ip(
                    "link",
                    "add",
                    f"v{tag}{number}",
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "eth0",
                    "netns",
                    name,
                )
                _ip("link", "set", f"v{tag}{number}", "master", bridge, "up")
                _ip("-n", name, "addr", "add", f"10.213.7.{number}/24", "dev", "eth0")
                _ip("-n", name, "link", "set", "eth0", "up")
                _ip("-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as fault:
            pytest.skip(f"no network namespaces here: {fault.stderr.strip()}")
        yield names
    finally:
        for name in names:
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "del", bridge)


def test_machines_with_addresses_of_their_own_give_the_same_weights(
    network: list[str], tmp_path: Path
) -> None:
    desk = Desk(tmp_path)
    inside = [["ip", "netns", "exec", name] for name in network]
    desk.good("keys", "--host", SERVER, "--clients", str(CLIENTS))
    desk.good("shards", "--clients", str(CLIENTS), "--out", "shards", "--quiet")
    try:
        desk.start("server", "server", "--listen", f"{SERVER}:9092", prefix=inside[0])
        desk.wait_for("server", "ready")
        for number in range(CLIENTS):
            desk.start(
                f"client-{number}", "client", "--keys", f"keys/clients/clinic-{number}",
                "--state", f"client-{number}", "--server", f"{SERVER}:9092", "--seeded-noise",
                "--data", f"shards/clinic-0{number}.csv", "--bundle", "own",
                prefix=inside[number + 1],
            )  # fmt: skip
        for number in range(CLIENTS):
            desk.wait_for(f"client-{number}", "is connected")
        words = ["--clients", str(CLIENTS), "--rounds", "2"]
        submit = ["submit", "--server", f"{SERVER}:9092", *words, "--out", "apart", "--quiet"]
        done = subprocess.run(
            [*inside[1], *desk.command(*submit)], cwd=tmp_path, capture_output=True, text=True,
            timeout=150, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:] + desk.logs()
        # The SuperLink is on the server's loopback: a client reaches the gate and nothing else.
        inner = json.loads((tmp_path / "server-state/server.json").read_text())["superlink_port"]
        probe = f"import socket; socket.create_connection(('{SERVER}', {inner}), 3)"
        closed = subprocess.run(
            [*inside[1], *desk.command()[:1], "-c", probe], capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip
        assert "ConnectionRefusedError" in closed.stderr
    finally:
        desk.clear()
    desk.good("simulate", *words, "--seeds", "1", "--out", "here", "--quiet")
    weights = [
        json.loads((tmp_path / folder / "result.json").read_text())["runs"][0]["final"]
        for folder in ("apart", "here")
    ]
    assert weights[0]["weights_sha256"] == weights[1]["weights_sha256"]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20)
