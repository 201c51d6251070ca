"""The live view of a run under way: a server around a feed that never fails the run."""

import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from federation.live.feed import FAILED, FINISHED, INTERRUPTED
from federation.live.rows import Tally
from federation.live.server import LiveServer
from federation.live.stream import Source
from federation.live.view import View, secret_free, tell
from server.loop import RoundRecord


class Serving(View):
    """Shows what it is told until the block it stands around ends, and how it ended.

    Parameters
    ----------
    source : callable
        Makes what is shown.
    port : int
        Asked for; 0 for any.
    out : Path
        Where the run's files go.
    """

    def __init__(self, source: Callable[[], Source], port: int, out: Path) -> None:
        self._make, self._port, self._out = source, port, out
        self._source: Source | None = None
        self._server: LiveServer | None = None
        self._tally = Tally()

    def __enter__(self) -> "Serving":
        """Listen and say where, or say why there is nothing to see."""
        try:
            self._source = self._make()
            self._server = LiveServer(self._source, self._port).start()
        except Exception as fault:  # noqa: BLE001 - a view must not fail what it shows
            self._give_up(fault)
        else:
            taken = f" (port {self._port} is taken)" if self._port != self._server.port else ""
            tell(f"live view: {self._server.address}{taken if self._port else ''}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show how it ended and stop serving."""
        if self._source is None or self._server is None:
            return
        state, message = outcome(fault)
        again = f"./run_federation.sh live {shlex.quote(str(self._out))}"
        self._source.feed.end(state, message, again if state == FINISHED else "")
        with suppress(Exception):  # what was shown is over, and must not change its outcome
            self._server.close()

    def round(self, record: RoundRecord) -> None:
        """Append a round to the feed; a market has nothing to show before its first."""
        if not record.round and not record.metrics:
            return
        self._try(lambda source: source.feed.add(self._tally.of_record(record)))

    def say(self, message: str) -> None:
        """Show a message beside the rounds."""
        self._try(lambda source: source.feed.say(message))

    def finished(self, result: Mapping[str, Any]) -> None:
        """Count a finished run of a comparison."""
        self._try(lambda source: source.cells.finished(result) if source.cells else None)

    def failed(self, strategy: str, cell: Mapping[str, Any]) -> None:
        """Count a run of a comparison that failed."""
        self._try(lambda source: source.cells.failed(strategy, cell) if source.cells else None)

    def _try(self, act: Callable[[Source], None]) -> None:
        if self._source is None:
            return
        try:
            act(self._source)
        except Exception as fault:  # noqa: BLE001 - a view must not fail what it shows
            self._source.feed.end(FAILED, "the view stopped; the run goes on")
            self._give_up(fault)

    def _give_up(self, fault: Exception) -> None:
        self._source = None
        if self._server is not None:
            with suppress(Exception):
                self._server.close()
            self._server = None
        why = secret_free(f"{type(fault).__name__}: {fault}")
        tell(f"live view: not shown, the run goes on ({why})")


def outcome(fault: BaseException | None) -> tuple[str, str]:
    """Return how a run ended and what to say of it, from the exception that ended it."""
    if fault is None:
        return FINISHED, ""
    if isinstance(fault, KeyboardInterrupt) or type(fault).__name__ == "Interrupted":
        return INTERRUPTED, secret_free(str(fault)) or "interrupted"
    return FAILED, secret_free(str(fault) or type(fault).__name__)
