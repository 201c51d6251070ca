"""From a feed to server-sent events: what a page is told, in which order, how often."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from federation.live.cells import Cells
from federation.live.epsilon import EpsilonMeter
from federation.live.feed import Feed
from server.report import finite

PERIOD = 0.2
"""Seconds between two looks at the feed."""
BOARD_PERIOD = 0.5
"""Seconds between two looks at a comparison's board."""
BATCH = 100
"""Rounds of one event."""
SILENCE = 10.0
"""Seconds after which a comment is sent, to notice a browser that has gone."""


@dataclass
class Source:
    """What a server shows.

    Parameters
    ----------
    feed : Feed
        The run, or the comparison.
    meter : EpsilonMeter, optional
        Of what clinics have spent.
    cells : Cells, optional
        Of a comparison.
    complete : bool
        Whether all is known that is computed beside the run.
    """

    feed: Feed
    meter: EpsilonMeter | None = None
    cells: Cells | None = None
    complete: bool = False

    def board(self) -> dict[str, Any] | None:
        """Return the state of a comparison, None of a run."""
        return None if self.cells is None else self.cells.board(self.feed.ended)

    def spent(self) -> dict[str, float | None]:
        """Return eps by number of uploads, as far as known."""
        known = {} if self.meter is None else self.meter.known()
        return {str(count): finite(value) for count, value in sorted(known.items())}

    def advance(self) -> None:
        """Work on what is computed beside the run, in a thread of its own: it can take a while."""
        over = self.feed.ended
        try:
            known = self.meter is None or self.meter.advance(self.feed)
        except Exception:  # noqa: BLE001 - figures that cannot be had are not shown
            self.meter, known = None, True
        self.complete = over and known

    def state(self) -> str:
        """Return everything at once, as JSON: what the events add up to."""
        parts = {
            "head": _dump(self.feed.head),
            "rounds": "[" + ",".join(row.text for row in self.feed.rows()) + "]",
            "epsilon": _dump(self.spent()),
            "board": _dump(self.board()),
            "status": _dump(self.feed.status),
        }
        return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"


def events(source: Source, after: int) -> Iterator[str]:
    """Yield the events of one page, from the round after ``after`` to the end.

    ``head`` first, then ``rounds``, ``board``, ``status`` and ``epsilon`` as they change, and
    ``end`` when there is no more to come.
    """
    feed = source.feed
    yield _event("head", _dump(feed.head))
    told: dict[str, str] = {}
    spoke, looked = monotonic(), 0.0
    while True:
        complete = source.complete
        over = feed.ended  # before the rounds: the end is told after the last of them
        while batch := feed.after(after, BATCH):
            after = batch[-1].number
            yield _event("rounds", "[" + ",".join(row.text for row in batch) + "]", after)
            spoke = monotonic()
        texts = [("status", _dump(feed.status))]
        if source.cells and (over or monotonic() - looked >= BOARD_PERIOD):
            looked = monotonic()
            texts.append(("board", _dump(source.board())))
        texts.append(("epsilon", _dump(source.spent())))
        for name, text in texts:
            if told.get(name) != text:
                told[name] = text
                yield _event(name, text)
                spoke = monotonic()
        if complete:
            yield _event("end", "null")
            return
        if monotonic() - spoke > SILENCE:
            yield ": still here\n\n"
            spoke = monotonic()
        if over:
            sleep(PERIOD / 100)
        else:
            feed.pause(PERIOD)


def _event(name: str, data: str, number: int | None = None) -> str:
    # JSON has no line breaks of its own, so that one data line holds it.
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {data}\n\n"


def _dump(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
