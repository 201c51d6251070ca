"""A server killed three times in one run, on separate machines: the same weights, equal ledgers."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from federation.deployment.serve import DATABASE_FILE
from server.state.accounts import uploads_of
from server.state.store import StateStore
from strategies.privacy.ledger_store import LedgerStore
from tests.scenarios.machines import Desk, descendants, still_there

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KILLED_AFTER = (1, 6, 11)[: int(os.environ.get("FEDERATION_SERVER_KILLS", "1"))]
"""Rounds after which the server is killed; docs/durability.md reports all three."""
ROUNDS, CLIENTS = 20, 3


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    made.good("keys", "--host", "localhost", "--clients", str(CLIENTS))
    made.good("shards", "--clients", str(CLIENTS), "--out", "shards", "--quiet")
    try:
        start_server(made)
        for number in range(CLIENTS):
            made.start(
                f"client-{number}", "client", "--keys", f"keys/clients/clinic-{number}",
                "--state", f"client-{number}", "--server", f"localhost:{made.port}",
                "--data", f"shards/clinic-0{number}.csv", "--seeded-noise",
            )  # fmt: skip
        yield made
    finally:
        made.clear()


def start_server(desk: Desk) -> None:
    desk.start("server", "server", "--listen", f"127.0.0.1:{desk.port}")
    desk.wait_for("server", "ready")


def kill_server(desk: Desk) -> None:
    process = desk.running.pop("server")
    family = {process.pid, *descendants(process.pid)}
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert not still_there(family, seconds=30), "a killed server left processes"


def last_round(desk: Desk) -> int:
    place = desk.directory / "server-state" / DATABASE_FILE
    if not place.exists():
        return -1
    store = StateStore(place)
    found = store.newest()
    store.close()
    return -1 if found is None or found.round is None else found.round


def submit(*more: str) -> list[str]:
    return ["submit", "--clients", str(CLIENTS), "--rounds", str(ROUNDS), "--out", "out", *more]


def test_a_server_killed_three_times_ends_with_the_same_weights_and_equal_ledgers(
    desk: Desk,
) -> None:
    words = [*submit(), "--server", f"localhost:{desk.port}"]
    for kill, after in enumerate(KILLED_AFTER):
        desk.start("submit", *words, *(["--resume"] if kill else []))
        until = monotonic() + 240
        while last_round(desk) < after:
            assert monotonic() < until, desk.said("submit") + desk.logs()
            sleep(0.05)
        kill_server(desk)
        os.kill(desk.running["submit"].pid, signal.SIGKILL)  # it would wait for the server
        desk.running.pop("submit").wait(10)
        assert last_round(desk) < ROUNDS
        start_server(desk)
    desk.good(*words, "--resume")
    desk.good(
        "simulate", "--clients", str(CLIENTS), "--rounds", str(ROUNDS), "--seeds", "1",
        "--out", "here",
    )  # fmt: skip
    found = [
        json.loads((desk.directory / name / "result.json").read_text())["runs"][0]
        for name in ("out", "here")
    ]
    assert found[0]["final"]["weights_sha256"] == found[1]["final"]["weights_sha256"]
    assert [row["replies"] for row in found[0]["rounds"]] == [0, *[CLIENTS] * ROUNDS]
    for number in range(CLIENTS):
        path = desk.directory / f"client-{number}" / "ledger.db"
        assert path.stat().st_mode & 0o777 == 0o600
        ledger = LedgerStore(f"sqlite:///{path}")
        (name,) = ledger.names()
        assert ledger.load(name).uploads() == ROUNDS
    store = StateStore(desk.directory / "server-state" / DATABASE_FILE)
    with store.reading() as connection:
        charged = uploads_of(connection)
    assert sorted(len(costs) for costs in charged.values()) == [ROUNDS] * CLIENTS
    assert all(identity.startswith("key:") for identity in charged)
