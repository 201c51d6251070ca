"""RepeatingGrid: what the server sees of a node that pushes its reply twice.

A ClientApp returns one reply a request; the SuperNode below it is the attacker's own program.
Only ``--attack duplicate-reply`` puts this around the grid.
"""

from collections.abc import Callable, Iterable

from flwr.app import Message
from flwr.serverapp import Grid

from strategies.wrappers.narrowed_grid import GridView


class RepeatingGrid(GridView):
    """A Grid on which some nodes answer every request twice.

    Parameters
    ----------
    grid : Grid
        The grid behind it.
    repeats : callable
        Whether a request's reply comes twice.
    """

    def __init__(self, grid: Grid, repeats: Callable[[Message], bool]) -> None:
        super().__init__(grid)
        self._repeats = repeats

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Return the replies, some of them twice."""
        requests = list(messages)
        replies = list(self.grid.send_and_receive(requests, timeout=timeout))
        twice = {m.metadata.message_id for m in requests if self._repeats(m)}
        return replies + [r for r in replies if r.metadata.reply_to_message_id in twice]
