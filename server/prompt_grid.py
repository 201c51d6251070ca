"""PromptGrid: the grid of a deployed run, which asks for replies soon and often.

Flower's own ``send_and_receive`` sleeps 3 s between two looks at its replies. This one begins with
milliseconds and backs off. A node that restarted while it had a request is asked again: what the
SuperLink handed to its former process is lost, and the reply would be waited for in vain.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from logging import INFO
from time import monotonic, sleep

from flwr.app import Message, RecordDict
from flwr.common.logger import log
from flwr.serverapp import Grid

from server.prompt_pull import pull_promptly
from strategies.wrappers.narrowed_grid import GridView

FIRST_WAIT, WAIT_GROWTH, LONGEST_WAIT = 0.005, 1.3, 0.25
LOOK_SECONDS = 2.0
"""How often it is asked whether a node restarted."""
MAX_ASKED_AGAIN = 5


@dataclass
class _Asked:
    """A request on its way: who was asked, what answers it, and how often it was sent."""

    request: Message
    sent: int = 1


class PromptGrid(GridView):
    """A Flower grid of separate machines, with a poll that backs off from milliseconds.

    Parameters
    ----------
    grid : Grid
        Flower's.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid)
        self._seen: dict[int, str] = {}

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Push, then pull until every reply is there or the time is up."""
        requests = list(messages)
        if not requests:
            return []
        self._seen = self._activations()
        ids = list(self.grid.push_messages(requests))
        waiting = {key: _Asked(request) for key, request in zip(ids, requests, strict=True) if key}
        replies: list[Message] = []
        end = None if timeout is None else monotonic() + timeout
        wait, looked = FIRST_WAIT, monotonic()
        while waiting and (end is None or monotonic() < end):
            for key, reply in pull_promptly(self.grid, waiting):
                asked = waiting.pop(key, None)
                if asked is None or reply is None:
                    continue
                # A request that was sent again has a new id; who asked knows the first.
                first = asked.request.metadata.message_id
                reply.metadata.__dict__["_reply_to_message_id"] = first
                replies.append(reply)
                wait = FIRST_WAIT
            if not waiting:
                break
            if monotonic() - looked >= LOOK_SECONDS:
                looked = monotonic()
                self._ask_again(waiting)
            sleep(wait if end is None else max(0.0, min(wait, end - monotonic())))
            wait = min(wait * WAIT_GROWTH, LONGEST_WAIT)
        return replies

    def _ask_again(self, waiting: dict[str, _Asked]) -> None:
        now = self._activations()
        restarted = {
            node for node, since in now.items() if self._seen.setdefault(node, since) != since
        }
        self._seen |= {node: now[node] for node in restarted}
        for key, asked in list(waiting.items()):
            node = asked.request.metadata.dst_node_id
            if node not in restarted or asked.sent > MAX_ASKED_AGAIN:
                continue
            log(INFO, "node %d restarted: it is asked again", node)
            again = _copy_of(asked.request)
            (fresh,) = self.grid.push_messages([again])
            if fresh:
                del waiting[key]
                waiting[fresh] = _Asked(asked.request, asked.sent + 1)

    def _activations(self) -> dict[int, str]:
        return {node.node_id: node.last_activated_at for node in self.grid.get_nodes()}


def _copy_of(request: Message) -> Message:
    content = RecordDict({key: record.copy() for key, record in request.content.items()})
    kind, group = request.metadata.message_type, request.metadata.group_id
    node, ttl = request.metadata.dst_node_id, request.metadata.ttl
    return Message(content, node, kind, ttl=ttl, group_id=group)
