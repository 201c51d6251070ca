"""NarrowedGrid: the same Flower grid with fewer nodes to see.

Configuring goes outside in: each layer that chooses hands the next one a grid that shows only
whom it chose, so that any Flower strategy inside works unmodified.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from flwr.app import Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run

_NOTHING: Mapping[int, float] = MappingProxyType({})


class GridView(Grid):
    """A Grid that passes everything on to another; on its own it changes nothing.

    Parameters
    ----------
    grid : Grid
        The grid behind it.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def set_run(self, run: Run) -> None:
        """Pass on the run."""
        self.grid.set_run(run)

    @property
    def run(self) -> Run:
        """Return the run of the grid behind."""
        return self.grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message as the grid behind does."""
        return self.grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes of the grid behind."""
        return self.grid.get_node_ids()

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Return the node infos behind :meth:`get_node_ids`."""
        wanted = set(self.get_node_ids())
        return [node for node in self.grid.get_nodes() if node.node_id in wanted]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Push through the grid behind."""
        return self.grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Pull through the grid behind."""
        return self.grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send through the grid behind."""
        return self.grid.send_and_receive(messages, timeout=timeout)


class NarrowedGrid(GridView):
    """A view of a grid that shows only some of its nodes.

    Parameters
    ----------
    grid : Grid
        The grid behind it.
    nodes : iterable of int
        Who is left, in this order; those that have gone meanwhile are not shown.
    standing : mapping of int to float, optional
        Reputation by node, for layers further in that weigh by it (:func:`standing_of`).
    """

    def __init__(
        self, grid: Grid, nodes: Iterable[int], standing: Mapping[int, float] | None = None
    ) -> None:
        super().__init__(grid)
        self.nodes = tuple(nodes)
        self.standing = standing

    def get_node_ids(self) -> list[int]:
        """Return the nodes that are left and still there."""
        present = set(self.grid.get_node_ids())
        return [node for node in self.nodes if node in present]


def standing_of(grid: Grid) -> Mapping[int, float]:
    """Return the reputations that an outer layer handed inward, empty if none did."""
    while isinstance(grid, GridView):
        standing = getattr(grid, "standing", None)
        if standing is not None:
            return MappingProxyType(dict(standing))
        grid = grid.grid
    return _NOTHING


def note_abandoned(grid: Grid, reason: str) -> None:
    """Leave the reason why a strategy gave up a round where the round's verdicts are kept."""
    note = getattr(_behind(grid), "note_abandoned", None)
    if note is not None:
        note(reason)


def note_liar(grid: Grid, node: int, kind: str, reason: str) -> None:
    """Leave what a node did where the round's verdicts are kept; ``kind`` is a message type."""
    note = getattr(_behind(grid), "note_liar", None)
    if note is not None:
        note(node, kind, reason)


def repeating_nodes(grid: Grid) -> frozenset[int]:
    """Return the nodes that answered a request of this round again, if that is known."""
    return frozenset(getattr(_behind(grid), "repeating", ()))


def refusals(grid: Grid) -> list[tuple[str, str]]:
    """Return who declined something in this round, and why, if that is known."""
    verdicts = getattr(_behind(grid), "verdicts", ())
    return [(v.identity, v.reason) for v in verdicts if v.kind == "refused"]


def altered_nodes(grid: Grid) -> frozenset[int]:
    """Return the nodes whose replies of this round were altered on their way, if that is known."""
    return frozenset(getattr(_behind(grid), "altered", ()))


def rejected_nodes(grid: Grid) -> frozenset[int]:
    """Return the nodes that sent in this round what no honest client sends, if that is known."""
    return frozenset(getattr(_behind(grid), "rejected", ()))


def _behind(grid: Grid) -> Grid:
    while isinstance(grid, GridView):
        grid = grid.grid
    return grid
