"""The client's own runner: nothing of a run's code is executed before this has agreed.

A SuperNode with ``--isolation process`` runs no app itself; it waits for an executor to fetch its
tasks. This is that executor. For every message it checks the bundle's hash against the client's
list and the request against the client's policy, records what it refuses, and only then hands
the message to a worker process that holds the bundle's code.
"""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
from flwr.app import Context, Error, Message
from flwr.common.constant import ErrorCode, SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullAppMessagesRequest, PullTaskInputRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.runtime import RuntimeHttpClient

from federation.deployment.calls import BadBundle, CallFailed, Worker, unpack
from federation.deployment.consent import Consent, Refused
from federation.deployment.files import PRIVATE_FILE, read_json
from federation.deployment.policy import Policy
from federation.deployment.processes import MARK
from federation.deployment.surroundings import environment_of

FIRST_WAIT, WAIT_GROWTH, LONGEST_WAIT = 0.01, 1.2, 0.15
MESSAGE_SECONDS = 30.0
LOST_SECONDS = 20.0
REQUEST_LOG = "requests.jsonl"
_ACQUIRE = frozenset({"/flwr.proto.Runtime/AcquireTask"})


class Runner:
    """Fetches tasks from a SuperNode on loopback and answers them.

    Parameters
    ----------
    address : str
        ``host:port`` of the SuperNode's own port.
    secret : bytes
        What entitles to fetch its tasks.
    consent : Consent
        What this client agrees to.
    state : Path
        The client's state directory.
    """

    def __init__(self, address: str, secret: bytes, consent: Consent, state: Path) -> None:
        self.address, self.consent, self.state = address, consent, state
        self._tasks = _client(
            address, SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=_ACQUIRE)
        )
        self._worker: Worker | None = None
        self._of: tuple[str, int] = ("", 0)

    def run(self, ended: Callable[[], bool] = lambda: False) -> None:
        """Answer tasks until told to end or the SuperNode has gone."""
        wait, heard = FIRST_WAIT, monotonic()
        wanted = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
        try:
            while not ended():
                try:
                    task = self._tasks.AcquireTask(wanted)
                    heard = monotonic()
                except httpx.TransportError:
                    if monotonic() - heard > LOST_SECONDS:
                        return
                    sleep(0.1)
                    continue
                if task.HasField("task") and task.token:
                    self._answer(task.token)
                    wait = FIRST_WAIT
                sleep(wait)
                wait = min(wait * WAIT_GROWTH, LONGEST_WAIT)
        finally:
            if self._worker is not None:
                self._worker.end()

    def _answer(self, token: str) -> None:
        from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
        from flwr.supernode.runtime.run_clientapp import push_message, push_task_output

        client = _client(self.address, RuntimeTokenHttpInterceptor(token))
        beat = HeartbeatSender(make_task_heartbeat_fn_http(client))
        beat.start()
        context, done, details = None, SubStatus.FAILED, "no message"
        try:
            task_id, message, context, bundle = _pull(client)
            reply, context, details = self._reply(task_id, message, context, bundle)
            done = SubStatus.COMPLETED if not details else SubStatus.FAILED
            push_message(client, reply, context)
        except (httpx.HTTPError, RuntimeError, ValueError) as fault:
            details = f"{type(fault).__name__}: {fault}"
            _say(f"a task was not answered: {details}")
        finally:
            push_task_output(client=client, context=context, sub_status=done, details=details)
            beat.stop()
            client.close()

    def _reply(
        self, task_id: int, message: Message, context: Context, bundle: bytes
    ) -> tuple[Message, Context, str]:
        from clients.messages import refuse
        from clients.seal_mod import seal_reply  # a refusal is signed as any other reply

        kind, digest = message.metadata.message_type, sha256(bundle).hexdigest()
        asked = {"run": context.run_id, "message": kind, "bundle": digest}
        try:
            self.consent.to_bundle(digest)
            self.consent.to_request(message, context)
            folder, reference = unpack(bundle, digest, self.state / "bundles")
            worker = self._worker_for(folder, reference, context.run_id)
            reply, context = worker.call(message, context, task_id, self.consent.policy.max_seconds)
        except (Refused, BadBundle) as no:
            self._record({**asked, "answer": "refused", "why": str(no)})
            _say(f"refused {kind} of run {context.run_id}: {no}")
            why = str(no)
            return seal_reply(message, context, lambda asked, _: refuse(asked, why)), context, ""
        except CallFailed as fault:
            self._record({**asked, "answer": "failed", "why": str(fault)})
            _say(f"{kind} of run {context.run_id} failed: {fault}")
            error = Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, str(fault))
            return Message(error, reply_to=message), context, str(fault)
        self._record({**asked, "answer": "given"})
        return reply, context, ""

    def _worker_for(self, folder: Path, reference: str, run_id: int) -> Worker:
        if self._worker is not None and (
            not self._worker.alive or self._of != (folder.name, run_id)
        ):
            self._worker.end()
            self._worker = None
        if self._worker is None:
            import os

            environment = environment_of(self.state / "flower")
            environment[MARK] = os.environ.get(MARK, "")
            log = self.state / "logs" / "app.log"
            self._worker = Worker(folder, reference, log, environment)
            self._of = (folder.name, run_id)
        return self._worker

    def _record(self, entry: dict[str, Any]) -> None:
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **entry})
        path = self.state / REQUEST_LOG
        with path.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        path.chmod(PRIVATE_FILE)


def _client(address: str, *interceptors: Any) -> RuntimeHttpClient:
    from flwr.supercore.retry import make_simple_http_retry_invoker

    invoker = make_simple_http_retry_invoker()
    invoker.max_tries = 5
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=True,  # loopback, and guarded by a secret
        root_certificates=None,
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"),
            *interceptors,
        ],
        retry_invoker=invoker,
    )


def _pull(client: RuntimeHttpClient) -> tuple[int, Message, Context, bytes]:
    """Return a task's number, message, context and bundle; a task exists before its message."""
    from flwr.common.serde import context_from_proto
    from flwr.proto.node_pb2 import Node
    from flwr.supercore.inflatable.inflatable_protobuf_utils import (
        make_confirm_message_received_fn_protobuf,
        make_pull_object_fn_protobuf,
    )
    from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree
    from flwr.supercore.task_identity import TaskIdentity

    found = client.PullTaskInput(PullTaskInputRequest())
    context = context_from_proto(found.context)
    TaskIdentity.task_id, TaskIdentity.run_id = found.task_id, found.run.run_id
    TaskIdentity.node_id = context.node_id
    until = monotonic() + MESSAGE_SECONDS
    while not (answer := client.PullMessages(PullAppMessagesRequest())).messages_list:
        if monotonic() > until:
            raise RuntimeError("the SuperNode has no message for its task")
        sleep(FIRST_WAIT)
    tree, node = answer.message_object_trees[0], Node(node_id=context.node_id)
    message = pull_and_inflate_object_from_tree(
        tree,
        make_pull_object_fn_protobuf(client.PullObject, node, context.run_id),
        make_confirm_message_received_fn_protobuf(
            client.ConfirmMessageReceived, node, context.run_id
        ),
        return_type=Message,
        initial_backoff=FIRST_WAIT,
        backoff_cap=LONGEST_WAIT,
        max_tries_per_object=None,
        max_time=MESSAGE_SECONDS,
    )
    message.metadata.__dict__["_message_id"] = tree.object_id
    return int(found.task_id), message, context, bytes(found.fab.content)


def _say(line: str) -> None:
    print(f"{datetime.now(UTC).isoformat(timespec='seconds')} {line}", flush=True)


def main() -> None:
    """Run a runner as the client command starts it: address and state directory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("state", type=Path)
    options = parser.parse_args()
    settings = read_json(options.state / "runner.json", "the runner's settings")
    policy = Policy(**{key: _tupled(value) for key, value in settings["policy"].items()})
    consent = Consent(policy, tuple(settings["bundles"]), options.state / "spent.db")
    secret = (options.state / "runner.secret").read_bytes()
    Runner(options.address, secret, consent, options.state).run()
    sys.exit(1)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
    main()
