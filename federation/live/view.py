"""What a run tells the live view; without ``--live`` nothing is loaded and nothing is told."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federation.flags import UsageError

if TYPE_CHECKING:
    from federation.live.stream import Source
    from server.loop import RoundRecord
    from strategies.settings import Settings

MOST_PORTS = 65535
_URL = re.compile(r"\b([a-z][a-z0-9+.-]*)://\S+", re.IGNORECASE)


class View:
    """Takes what happens; this one takes nothing."""

    def round(self, record: "RoundRecord") -> None:
        """Take a round that has just ended."""

    def say(self, message: str) -> None:
        """Say what is being done now."""

    def finished(self, result: Mapping[str, Any]) -> None:
        """Take a finished run of a comparison: its entry in result.json."""

    def failed(self, strategy: str, cell: Mapping[str, Any]) -> None:
        """Take a run of a comparison that failed."""


def add_live_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--live`` and ``--live-port``."""
    group = parser.add_argument_group("live view")
    group.add_argument(
        "--live",
        action="store_true",
        help="show the run on a local page while it goes; its address is printed",
    )
    add_port(group)


def add_port(group: Any) -> None:
    """Add ``--live-port``."""
    group.add_argument(
        "--live-port",
        metavar="N",
        help="port of the page (default: any free one; also taken when N is in use)",
    )


def port_from(options: argparse.Namespace) -> int:
    """Return the port that ``--live-port`` asks for, 0 for any.

    Raises
    ------
    UsageError
        For anything but a port, and for a port without ``--live``.
    """
    text = getattr(options, "live_port", None)
    if text is None:
        return 0
    if not getattr(options, "live", True):
        raise UsageError("--live-port needs --live: add it, or leave the port out")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MOST_PORTS:
        raise UsageError(f"--live-port must be a port from 1 to {MOST_PORTS}, got {text!r}")
    return int(text)


@contextmanager
def watching(
    options: argparse.Namespace, out: Path, source: Callable[[], "Source"]
) -> Iterator[View]:
    """Serve the page of a run while the block goes on, if ``--live`` asks for it.

    Parameters
    ----------
    options : Namespace
        Of the command.
    out : Path
        Where the run's files go, for the command that plays it back.
    source : callable
        Makes what is shown; called only with ``--live``.

    Yields
    ------
    View
        To be told of what happens. Whatever goes wrong in it, the run goes on.
    """
    port = port_from(options)
    if not getattr(options, "live", False):
        yield View()
        return
    from federation.live.serving import Serving

    with Serving(source, port, out) as view:
        yield view


def secret_free(text: str) -> str:
    """Return a message in one line without what a URL may hide: of each only its kind."""
    return _URL.sub(r"\1://...", " ".join(text.split()))


def tell(line: str) -> None:
    """Print a line for the user on standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def comparison_source(
    planned: Sequence[tuple[str, Mapping[str, Any]]],
    kept: Sequence[Mapping[str, Any]],
    settings: "Settings",
    workers: int | None,
) -> "Callable[[], Source]":
    """Return the maker of what is shown of a comparison.

    Parameters
    ----------
    planned : sequence of (str, mapping)
        Strategy and swept values of every run.
    kept : sequence of mapping
        Entries of runs that were finished before.
    settings : Settings
        Of the first run.
    workers : int, optional
        Runs under way at once; all available cores when None.
    """

    def make() -> "Source":
        from federation.live.cells import Cells
        from federation.live.feed import Feed
        from federation.live.heads import LIVE, head_of_comparison
        from federation.live.stream import Source
        from federation.parallel import available_cores

        cells = Cells(planned, workers or available_cores())
        for entry in kept:
            cells.finished(entry)
        return Source(Feed(head_of_comparison(settings, len(planned), LIVE)), None, cells)

    return make


def run_source(settings: "Settings") -> "Callable[[], Source]":
    """Return the maker of what is shown of one run."""

    def make() -> "Source":
        from federation.live.epsilon import meter_of
        from federation.live.feed import Feed
        from federation.live.heads import head_of_run
        from federation.live.stream import Source

        feed = Feed(head_of_run(settings))
        return Source(feed, meter_of(settings))

    return make
