"""A worker: warm between messages, bounded in each, and told apart from the runner."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from federation.deployment import calls
from federation.deployment.calls import CallFailed, Worker

APP = """
import os, sys, time
from flwr.app import ConfigRecord, Message, RecordDict
calls = 0
def app(message, context):
    global calls
    calls += 1
    print("printing must not get between the answers")
    kind = message.metadata.message_type
    if kind == "query.raise":
        raise ValueError("as asked")
    if kind == "query.die":
        os._exit(3)
    if kind == "query.hang":
        time.sleep(600)
    context.state["n"] = ConfigRecord({"calls": calls, "pid": os.getpid()})
    return Message(RecordDict({"n": ConfigRecord({"calls": calls})}), reply_to=message)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    (tmp_path / "module.py").write_text(APP)
    made = Worker(tmp_path, "module:app", tmp_path / "app.log", dict(os.environ))
    yield made
    made.end()


def ask(worker: Worker, kind: str, seconds: float = 60.0) -> tuple[Message, Context]:
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 7, 5, 3
    message = Message(RecordDict({"c": ConfigRecord()}), dst_node_id=3, message_type=kind)
    message.metadata.__dict__["_message_id"] = "1"
    return worker.call(message, Context(7, 3, {}, RecordDict(), {}), 5, seconds)


def test_one_process_answers_message_after_message(worker: Worker, tmp_path: Path) -> None:
    answers = [ask(worker, "query.x") for _ in range(3)]
    assert [dict(reply.content["n"])["calls"] for reply, _ in answers] == [1, 2, 3]
    pids = {dict(context.state["n"])["pid"] for _, context in answers}
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert answers[0][0].metadata.reply_to_message_id == "1"
    assert (tmp_path / "app.log").read_text().count("printing") == 3
    assert (tmp_path / "app.log").stat().st_mode & 0o777 == 0o600


def test_what_an_app_raises_is_told_and_the_next_message_is_answered(worker: Worker) -> None:
    with pytest.raises(CallFailed, match="ValueError: as asked"):
        ask(worker, "query.raise")
    assert dict(ask(worker, "query.x")[0].content["n"])["calls"] == 2


def test_an_app_that_dies_or_hangs_is_ended(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match=r"no answer within the 0\.2 s"):
        ask(worker, "query.hang", seconds=0.2)
    assert not worker.alive
    other = Worker(tmp_path, "module:app", tmp_path / "app.log", dict(os.environ))
    with pytest.raises(CallFailed, match="ended without an answer"):
        ask(other, "query.die")
    assert not other.alive


def test_an_app_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    broken = Worker(tmp_path, "nowhere:app", tmp_path / "app.log", dict(os.environ))
    with pytest.raises(CallFailed, match="No module named 'nowhere'"):
        ask(broken, "query.x")
    broken.end()


def test_loading_does_not_count_as_answering(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calls.LOADING_SECONDS > 60
    ask(worker, "query.x", seconds=60.0)
    monkeypatch.setattr(calls, "LOADING_SECONDS", 0.0)
    ask(worker, "query.x")
