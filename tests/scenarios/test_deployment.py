"""Three SuperNodes on loopback with TLS and keys, by the four commands; faults and their outcomes.

One server and its clients serve the whole module; the tests run in their order.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from time import monotonic

import pytest

from federation.deployment.bundle import build_bundle, code_of
from federation.deployment.control import Control
from federation.deployment.key_folder import read_token
from tests.scenarios.machines import ROOT, Desk, below, descendants, still_there

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

POLICY = """
[privacy]
mechanisms = ["global-dp", "dp-gd"]

[run]
max-rounds = 6
max-seconds = 10

[code]
bundles = ["own"]
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("a deployment"))
    made.good("keys", "--host", "localhost", "--clients", "4")
    made.good("shards", "--clients", "3", "--out", "shards", "--quiet")
    (made.directory / "policy.toml").write_text(POLICY)
    try:
        made.start("server", "server", "--listen", f"127.0.0.1:{made.port}")
        made.wait_for("server", "ready")
        for number in range(3):
            start_client(made, number)
        for number in range(3):
            made.wait_for(f"client-{number}", "is connected")
        yield made
    finally:
        made.clear()


def start_client(desk: Desk, number: int, name: str = "", *more: str) -> None:
    name = name or f"client-{number}"
    desk.start(
        name, "client", "--keys", f"keys/clients/clinic-{number}", "--state", name,
        "--server", f"localhost:{desk.port}", "--data", f"shards/clinic-0{number % 3}.csv",
        "--policy", "policy.toml", "--seeded-noise", *more,
    )  # fmt: skip


def submit(desk: Desk, *words: str) -> list[str]:
    server = f"localhost:{desk.port}"
    return ["submit", "--server", server, "--clients", "3", "--wait", "60", *words]


def requests_of(desk: Desk, number: int) -> list[dict[str, str]]:
    text = (desk.directory / f"client-{number}" / "requests.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_final_weights_are_those_of_the_same_run_in_one_process(desk: Desk) -> None:
    printed = desk.good(*submit(desk, "--rounds", "2", "--out", "deployed", "--json"))
    deployed = json.loads(printed)
    assert deployed == json.loads((desk.directory / "deployed/result.json").read_text())
    desk.good("simulate", "--clients", "3", "--rounds", "2", "--seeds", "1", "--out", "here")
    here = json.loads((desk.directory / "here/result.json").read_text())
    assert set(here) == set(deployed)
    (theirs,), (ours,) = deployed["runs"], here["runs"]
    assert theirs["final"]["weights_sha256"] == ours["final"]["weights_sha256"]
    assert any("seeded noise: not private" in text for text in theirs["privacy"]["warnings"])
    assert deployed["baselines"] == here["baselines"]
    ours, theirs = (
        {path.name for path in (desk.directory / folder).iterdir()}
        for folder in ("here", "deployed")
    )
    assert {"result.json", "model.npz", "accuracy.png", "results.db"} <= ours == theirs


def test_a_model_from_separate_machines_predicts(desk: Desk) -> None:
    data = (ROOT / "datasets/bcwd/breast-cancer-wisconsin.data").read_text().splitlines()[:3]
    (desk.directory / "new.data").write_text("\n".join(data) + "\n")
    assert "benign" in desk.good("predict", "--model", "deployed", "new.data")


def test_a_run_outside_the_policy_is_refused_and_recorded(desk: Desk) -> None:
    done = desk.run(*submit(desk, "--rounds", "7", "--out", "long"))
    assert done.returncode == 1
    assert "outside this client's policy: 7 rounds are more than 6" in done.stderr
    assert not (desk.directory / "long").exists()
    done = desk.run(*submit(desk, "--strategy", "fedavg", "--rounds", "2", "--out", "plain"))
    assert "privacy none is not among global-dp, dp-gd" in done.stderr
    for number in range(3):
        refused = [entry for entry in requests_of(desk, number) if entry["answer"] == "refused"]
        assert len(refused) == 2
        log = desk.directory / f"client-{number}" / "requests.jsonl"
        assert log.stat().st_mode & 0o777 == 0o600


def test_a_bundle_without_the_noise_mod_is_refused_before_its_code_runs(
    desk: Desk, tmp_path: Path
) -> None:
    copy, trace = tmp_path / "copy", tmp_path / "trace"
    for path in (*code_of(ROOT), ROOT / "pyproject.toml"):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    app = copy / "clients/app.py"
    bare = app.read_text().replace("        clip_then_noise,\n", "")
    assert bare != app.read_text()
    app.write_text(f"open({str(trace)!r}, 'w').close()\n" + bare)
    bundle = build_bundle(copy)
    keys = desk.directory / "keys/submitter"
    control = Control(f"localhost:{desk.port}", keys / "ca.crt", read_token(keys))
    run = control.start_run(bundle.content, bundle.sha256, {"clients": 3, "rounds": 2})
    list(control.logs(run))
    status = control.status(run)
    control.close()
    assert status.finished
    assert not status.completed
    assert f"bundle {bundle.sha256[:12]} is not on this client's list" in status.details
    assert not trace.exists()
    for number in range(3):
        assert requests_of(desk, number)[-1]["bundle"] == bundle.sha256
        assert not (desk.directory / f"client-{number}/bundles" / bundle.sha256).exists()


def test_a_client_that_is_killed_mid_round_comes_back_and_the_run_goes_on(desk: Desk) -> None:
    began = monotonic()
    victim = desk.running["client-1"].pid

    def kill() -> None:
        os.kill(below(victim, "flower-supernode"), signal.SIGKILL)

    with _in_a_round(desk, "killed", kill):
        desk.good(*submit(desk, "--rounds", "3", "--out", "killed"))
    rounds = json.loads((desk.directory / "killed/result.json").read_text())["runs"][0]["rounds"]
    # Its reply is cut off and counted, or it is back so soon that it is asked again.
    lost = [v for row in rounds for v in row.get("verdicts", []) if v["message_type"] == "train"]
    assert all(row["replies"] >= 2 for row in rounds[1:])
    assert lost or all(row["replies"] == 3 for row in rounds[1:])
    desk.wait_for("client-1", "is connected", times=2)
    assert monotonic() - began < 180


def test_a_client_that_hangs_is_cut_off_and_counted(desk: Desk) -> None:
    victim = desk.running["client-2"].pid

    def freeze() -> None:
        os.kill(below(victim, "worker.py"), signal.SIGSTOP)

    with _in_a_round(desk, "hung", freeze):
        desk.good(*submit(desk, "--rounds", "3", "--out", "hung"))
    rounds = json.loads((desk.directory / "hung/result.json").read_text())["runs"][0]["rounds"]
    late = [v["reason"] for row in rounds for v in row.get("verdicts", []) if v["kind"] == "failed"]
    assert late
    assert all("no answer within the 10 s this client allows" in reason for reason in late)
    assert all(row["replies"] >= 2 for row in rounds[1:])


def test_a_second_client_with_the_same_key_is_told_so(desk: Desk) -> None:
    start_client(desk, 0, "double", "--attempts", "1")
    assert desk.running["double"].wait(60) == 1
    assert "another client is connected with this key" in desk.said("double")
    del desk.running["double"]


def test_a_key_that_is_revoked_goes_at_once_and_is_told_so(desk: Desk) -> None:
    start_client(desk, 3)
    desk.wait_for("client-3", "is connected")
    assert "revoked clinic-3" in desk.good("keys", "--revoke", "clinic-3")
    desk.wait_for("client-3", "the server has revoked this client's key", seconds=60)
    desk.stop("client-3")


def test_keys_of_another_federation_are_of_no_use(desk: Desk) -> None:
    desk.good("keys", "--out", "others", "--host", "localhost", "--clients", "1")
    stranger = desk.directory / "others/clients/clinic-0"
    words = ["client", "--keys", str(stranger), "--server", f"localhost:{desk.port}"]
    wrong = desk.run(*words, "--attempts", "1", "--state", "stranger")
    assert wrong.returncode == 1
    assert "not from the authority in --keys" in wrong.stderr
    shutil.copyfile(desk.directory / "keys/server/ca.crt", stranger / "ca.crt")
    unknown = desk.run(*words, "--attempts", "1", "--state", "stranger")
    assert unknown.returncode == 1
    assert "the server does not know this client's key" in unknown.stderr
    others = ["--server", f"localhost:{desk.port}", "--keys", "others/submitter"]
    shutil.copyfile(
        desk.directory / "keys/server/ca.crt", desk.directory / "others/submitter/ca.crt"
    )
    orders = desk.run("submit", *others, "--out", "theft")
    assert orders.returncode == 2
    assert "the token does not entitle to send runs here" in orders.stderr


def test_missing_clients_are_named_within_the_bound(desk: Desk) -> None:
    done = desk.run("submit", "--server", f"localhost:{desk.port}", "--clients", "5", "--wait", "1")
    assert done.returncode == 1
    assert "3 of 5 clients are connected after 1 s" in done.stderr


def test_doctor_finds_nothing_wrong_and_then_what_is(desk: Desk) -> None:
    own = desk.directory / "keys/clients/clinic-0"
    words = ["doctor", "--keys", str(own), "--server", f"localhost:{desk.port}"]
    assert "this client is registered there, connected" in desk.good(*words)
    (own / "client.key").chmod(0o644)
    done = desk.run(*words)
    (own / "client.key").chmod(0o600)
    assert done.returncode == 1
    assert f"WRONG   {own / 'client.key'} can be read by others" in done.stdout


def test_no_secret_is_in_logs_or_results_and_nothing_is_open_to_others(desk: Desk) -> None:
    secrets = [path.read_bytes().strip() for path in desk.directory.rglob("*.token")]
    keys = [*desk.directory.rglob("*.key"), *desk.directory.rglob("*.secret")]
    for path in keys:
        lines = path.read_bytes().splitlines()
        secrets.append(lines[len(lines) // 2].strip())
    assert len(secrets) > 10
    assert all(len(secret) > 30 for secret in secrets)
    private = {".key", ".token", ".secret"}
    for path in desk.directory.rglob("*"):
        if path.is_file() and path.suffix not in private:
            found = path.read_bytes()
            assert not any(secret in found for secret in secrets), path
    for state in ("server-state", "client-0", "client-1"):
        for path in (desk.directory / state).rglob("*"):
            assert not path.stat().st_mode & 0o077, path


def test_stopping_leaves_nothing_and_a_killed_command_neither(desk: Desk) -> None:
    desk.stop("client-0")
    for name in ("client-1", "server"):
        process = desk.running.pop(name)
        family = descendants(process.pid)
        assert family
        process.kill()
        process.wait()
        assert not still_there(family, seconds=15)
    desk.stop("client-2")


class _in_a_round:  # noqa: N801 - reads as what it does
    """Do something once a run of a desk is in its second round, seen by a client's record."""

    def __init__(self, desk: Desk, name: str, deed: object) -> None:
        self.desk, self.deed, self.done = desk, deed, False
        self.before = self._trains()

    def __enter__(self) -> None:
        self._look()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        assert self.done, "the run ended before it was disturbed"

    def _look(self) -> None:
        if self._trains() > self.before:
            self.done = True
            self.deed()  # type: ignore[operator]
        self.timer = Timer(0.05, lambda: None if self.done else self._look())
        self.timer.daemon = True
        self.timer.start()

    def _trains(self) -> int:
        entries = requests_of(self.desk, 0)
        return sum(e["message"] == "train" and e["answer"] == "given" for e in entries)


def test_no_key_is_in_the_repository() -> None:
    marks = [b"-----BEGIN " + kind + b" KEY-----" for kind in (b"OPENSSH PRIVATE", b"PRIVATE")]
    for room in ("clients", "datasets", "docs", "federation", "server", "strategies", "tests"):
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and path.suffix not in (".pyc", ".png"):
                assert not any(mark in path.read_bytes() for mark in marks), path
