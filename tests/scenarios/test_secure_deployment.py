"""Secure aggregation between separate machines on loopback, with the keys the clients are known by."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.machines import Desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(540)]
N = 4


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("secure"))
    made.good("keys", "--host", "localhost", "--clients", str(N))
    made.good("shards", "--clients", str(N), "--out", "shards", "--quiet")
    try:
        made.start("server", "server", "--listen", f"127.0.0.1:{made.port}")
        made.wait_for("server", "ready")
        for number in range(N):
            made.start(
                f"client-{number}", "client", "--keys", f"keys/clients/clinic-{number}",
                "--state", f"client-{number}", "--server", f"localhost:{made.port}",
                "--data", f"shards/clinic-0{number}.csv", "--seeded-noise",
            )  # fmt: skip
        for number in range(N):
            made.wait_for(f"client-{number}", "is connected")
        yield made
    finally:
        made.clear()


def submit(desk: Desk, *words: str) -> list[str]:
    server = f"localhost:{desk.port}"
    return ["submit", "--server", server, "--clients", str(N), "--wait", "60", *words]


RUN = ("--strategy", "shared-noise", "--rounds", "2", "--epsilon", "1")


def test_a_shared_noise_run_is_that_of_one_process(desk: Desk) -> None:
    words = submit(desk, *RUN, "--out", "deployed", "--json")
    deployed = json.loads(desk.good(*words, timeout=250.0))
    here = ("simulate", *RUN, "--clients", str(N), "--seeds", "1", "--out", "here", "--json")
    (ours,) = json.loads(desk.good(*here))["runs"]
    (theirs,) = deployed["runs"]
    assert theirs["final"]["weights_sha256"] == ours["final"]["weights_sha256"]
    assert [row.get("verdicts") for row in theirs["rounds"]] == [[]] * 3
    assert theirs["records"]["smallest_shard"] is None


def test_keys_that_a_peer_did_not_sign_stop_the_round(desk: Desk) -> None:
    """One clinic holds another public key of its peer: it shares nothing, the others go on."""
    path = Path(desk.directory / "keys/clients/clinic-1/peers.json")
    peers = json.loads(path.read_text())
    good = path.read_text()
    peers["2"] = peers["3"]
    path.write_text(json.dumps(peers))
    try:
        desk.good(*submit(desk, *RUN, "--out", "doubted"), timeout=250.0)
    finally:
        path.write_text(good)
    (run,) = json.loads((desk.directory / "doubted/result.json").read_text())["runs"]
    for row in run["rounds"][1:]:
        assert any("clinic 2 are not signed" in v["reason"] for v in row["verdicts"])
        assert row["secagg-survivors"] == N - 1
