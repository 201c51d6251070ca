"""What a server's registrar and a submitter ask of a SuperLink, with Flower's own HTTP client.

``flwr`` on the command line would do the same for seconds of start-up a call, and has no way to
bring along the gate's token. The client class is an internal of Flower 1.41: the scenario tests
are its contract.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    StreamLogsRequest,
    UnregisterNodeRequest,
)
from flwr.supercore.control.control_http_client import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext

from federation.deployment.errors import DeploymentError


@dataclass(frozen=True)
class RunStatus:
    """How a run stands: ``finished`` with ``completed`` or not, and what Flower says of it."""

    finished: bool
    completed: bool
    details: str


class Control:
    """A connection to the Control API of a SuperLink.

    Parameters
    ----------
    address : str
        ``host:port``.
    authority : Path or None
        The CA's certificate; None without TLS.
    token : str
        Of who may send runs; empty where none is needed.
    """

    def __init__(self, address: str, authority: Path | None, token: str = "") -> None:
        interceptors: list[Any] = [RuntimeVersionHttpInterceptor(component_name="flwr CLI")]
        if token:
            interceptors.append(_Bearer(token))
        self._client = ControlHttpClient.from_server_address(
            address,
            authority is None,
            None if authority is None else authority.read_bytes(),
            interceptors,
        )

    def nodes(self) -> dict[bytes, tuple[int, str]]:
        """Return node id and status of every node by public key, without those taken off."""
        found = self._client.ListNodes(ListNodesRequest()).nodes_info
        return {
            bytes(node.public_key): (node.node_id, node.status)
            for node in found
            if node.status != "unregistered"
        }

    def register(self, public_key: bytes, name: str) -> None:
        """Let a key in."""
        self._client.RegisterNode(RegisterNodeRequest(public_key=public_key, name=name))

    def unregister(self, node_id: int) -> None:
        """Take a node off."""
        self._client.UnregisterNode(UnregisterNodeRequest(node_id=node_id))

    def start_run(self, bundle: bytes, sha256: str, config: Mapping[str, Any]) -> int:
        """Send a run and return its number."""
        request = StartRunRequest(
            fab=fab_to_proto(Fab(sha256, bundle, {})),
            override_config=user_config_to_proto(dict(config)),
        )
        answer = self._client.StartRun(request)
        if not answer.HasField("run_id"):
            raise DeploymentError("the server did not take the run; its log says why")
        return int(answer.run_id)

    def stop_run(self, run_id: int) -> None:
        """Stop a run; one that has ended is left as it is."""
        self._client.StopRun(StopRunRequest(run_id=run_id))

    def status(self, run_id: int) -> RunStatus:
        """Return how a run stands."""
        answer = self._client.ListRuns(ListRunsRequest(run_id=run_id))
        status = answer.run_dict[run_id].status
        done = status.status == "finished"
        return RunStatus(done, done and status.sub_status == "completed", status.details)

    def logs(self, run_id: int, after: float = 0.0) -> Iterator[tuple[str, float]]:
        """Yield what a run prints, with the time to go on from, until it has ended."""
        request = StreamLogsRequest(run_id=run_id, after_timestamp=after)
        for part in self._client.StreamLogs(request):
            yield part.log_output, part.latest_timestamp

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


@dataclass(frozen=True)
class _Bearer:
    token: str

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        """Add the token to a request."""
        context.request.headers["authorization"] = f"Bearer {self.token}"
        return call_next(context)
