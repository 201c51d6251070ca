"""Seconds a round on separate machines: stock Flower beside ours, on one server, in one run.

    .venv/bin/python -m benchmarks.rounds [--rounds 5] [--clients 3]

Both run the same clinics on the same SuperLink with TLS and keys. ``stock`` is the bundle with
Flower's own grid and an evaluation phase every round, on plain SuperNodes that connect to the
SuperLink itself; ``ours`` is what ``client`` and ``submit`` do, through the gate. ``ours, both
phases`` has the evaluation phase as well, so that a phase can be compared with a phase.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from federation.backends.inprocess import run_config
from federation.deployment.bundle import Bundle, build_bundle, code_of
from federation.deployment.control import Control
from federation.deployment.files import private_directory
from federation.deployment.key_folder import create, read_token
from federation.deployment.processes import Family, free_port
from federation.deployment.serve import Server, running
from federation.deployment.submit import follow
from federation.deployment.surroundings import ROOT, environment_of, program
from server.loop import RoundRecord
from strategies.presets import compose
from strategies.settings import Settings

PHASES = {"stock": 2, "ours, both phases": 2, "ours": 1}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=3)
    options = parser.parse_args(arguments)
    settings = compose("global-dp", {"clients": options.clients, "rounds": options.rounds})
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, seconds in measure(Path(scratch), settings):
            median = statistics.median(seconds)
            row: dict[str, Any] = {"case": name, "seconds_a_round": round(median, 2)}
            row["seconds_a_phase"] = round(median / PHASES[name], 2)
            row["rounds"] = [round(value, 2) for value in seconds]
            rows.append(row)
            print(json.dumps(row), flush=True)
    return 0 if len(rows) == len(PHASES) else 1


def measure(scratch: Path, settings: Settings) -> Iterator[tuple[str, list[float]]]:
    """Yield the seconds of each round, case by case."""
    stock = tuple(f"stock-{number}" for number in range(settings.clients))
    own = tuple(f"own-{number}" for number in range(settings.clients))
    create(scratch / "keys", ("localhost",), (*own, *stock), 30)
    server = Server("127.0.0.1", free_port(), scratch / "keys/server", scratch / "server")
    with running(server) as said:
        inner = json.loads((scratch / "server/server.json").read_text())["superlink_port"]
        control = Control(
            f"127.0.0.1:{server.port}",
            scratch / "keys/server/ca.crt",
            read_token(scratch / "keys/server"),
        )
        with stock_nodes(scratch, stock, inner):
            yield "stock", timed(control, stock_bundle(scratch), settings)
        with own_nodes(scratch, own, server.port):
            both = altered(
                scratch / "both",
                "server/federation.py",
                "rated = not deployed",
                "rated = True",
            )
            yield "ours, both phases", timed(control, both, settings)
            yield "ours", timed(control, build_bundle(), settings)
        control.close()
        said["check"]()


def timed(control: Control, bundle: Bundle, settings: Settings) -> list[float]:
    """Return the seconds of each round of one run."""
    seconds: list[float] = []

    def note(record: RoundRecord) -> None:
        if record.round:
            seconds.append(record.seconds)

    until = monotonic() + 90
    while sum(s == "online" for _, s in control.nodes().values()) != settings.clients:
        if monotonic() > until:
            raise TimeoutError("the clients did not connect")
        sleep(0.5)
    run_id = control.start_run(bundle.content, bundle.sha256, run_config(settings))
    follow(control, run_id, note, lambda line: print(line, file=sys.stderr))
    return seconds


def stock_bundle(scratch: Path) -> Bundle:
    """Return the bundle with Flower's own grid and an evaluation phase every round."""
    copy = scratch / "stock"
    altered(copy, "server/app.py", "grid = PromptGrid(grid)", "pass")
    return altered(copy, "server/federation.py", "rated = not deployed", "rated = True")


def altered(copy: Path, path: str, old: str, new: str) -> Bundle:
    """Return the bundle of this project with one piece of code replaced."""
    if not copy.exists():
        for source in (*code_of(ROOT), ROOT / "pyproject.toml"):
            target = copy / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    text = (copy / path).read_text()
    if old not in text:
        raise ValueError(f"{path} has no {old!r}: this benchmark has to follow")
    (copy / path).write_text(text.replace(old, new))
    return build_bundle(copy)


@contextlib.contextmanager
def stock_nodes(scratch: Path, names: tuple[str, ...], port: int) -> Iterator[None]:
    """Run plain SuperNodes, each with an app process of Flower's own."""
    family = Family(private_directory(scratch / "stock-logs"))
    try:
        for number, name in enumerate(names):
            keys = scratch / "keys/clients" / name
            command = [program("flower-supernode"), "--superlink", f"127.0.0.1:{port}"]
            command += ["--root-certificates", str(keys / "ca.crt")]
            command += ["--auth-supernode-private-key", str(keys / "client.key")]
            command += ["--host", "127.0.0.1", "--port", str(free_port())]
            own = f"partition-id={number} deployed=true auth-key='{keys / 'client.key'}'"
            command += ["--node-config", own]
            home = private_directory(scratch / f"home-{name}")
            family.start(name, command, environment_of(home), home)
        yield
    finally:
        family.stop()


@contextlib.contextmanager
def own_nodes(scratch: Path, names: tuple[str, ...], port: int) -> Iterator[None]:
    """Run clients as ``client`` does."""
    family = Family(private_directory(scratch / "own-logs"))
    try:
        for name in names:
            home = private_directory(scratch / f"home-{name}")
            command = [sys.executable, "-P", "-m", "federation.cli", "client"]
            command += ["--keys", str(scratch / "keys/clients" / name), "--state", str(home)]
            command += ["--server", f"localhost:{port}"]
            family.start(name, command, environment_of(home), home)
        yield
    finally:
        family.stop()


if __name__ == "__main__":
    sys.exit(main())
