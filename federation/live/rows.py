"""One round as the page shows it, from a run under way or from what a finished one left behind.

Both go through :meth:`Tally.row`, so that a playback shows what the live view showed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from flwr.app import MessageType

from server.loop import RoundRecord

MOST_UNUSED = 30
"""Unused replies of a round that are listed."""
SHOWN = (
    "reputations",
    "trusted",
    "offers",
    "promised",
    "delivered",
    "paid",
    "ratings",
    "blamed",
    "covers",
    "objects",
    "twin",
)
"""What layers tell of a round and the page knows how to draw."""
_SENT = ("rejected",)
"""Verdicts on uploads that did reach the server."""
_NUMBER = int | float


class Tally:
    """What adds up over rounds: uploads, wins and payments by participant."""

    def __init__(self) -> None:
        self._uploads: Counter[str] = Counter()
        self._wins: Counter[str] = Counter()
        self._paid: Counter[str] = Counter()

    def row(
        self,
        number: int,
        metrics: Mapping[str, Any],
        merged: Sequence[str] | None,
        uploaded: Sequence[str] | None,
        verdicts: Sequence[Mapping[str, str]],
        seconds: float,
        details: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the row of a round, to be called once a round and in order.

        Parameters
        ----------
        number : int
            The round, 0 before the first.
        metrics : mapping
            Figures of the round by name.
        merged : sequence of str, optional
            Identities whose upload was used; None when that is not known.
        uploaded : sequence of str, optional
            Identities whose upload held up, used or not; None when that is not known.
        verdicts : sequence of mapping
            Replies that were not used.
        seconds : float
            Wall time of the round.
        details : mapping
            What the layers did, by lasting names; see :data:`SHOWN`.

        Returns
        -------
        dict
            ``uploads`` counts what the server received of each, used or not: what is spent is
            spent.
        """
        details = {name: _shortened(details[name]) for name in SHOWN if name in details}
        sent = {v["identity"] for v in verdicts if _was_sent(v)}
        self._uploads.update(map(short, sent.union(uploaded or ())))
        self._wins.update(details.get("delivered", ()) if "paid" in details else ())
        self._paid.update(details.get("paid", {}))
        row: dict[str, Any] = {
            "round": number,
            "metrics": {k: v for k, v in metrics.items() if isinstance(v, _NUMBER) or v is None},
            "seconds": seconds,
            "unused": list(verdicts[:MOST_UNUSED]),
            "unused_count": len(verdicts),
        }
        row |= details
        if merged is not None:
            row["merged"] = [short(name) for name in merged]
        if uploaded is not None:
            row["uploads"] = dict(sorted(self._uploads.items()))
        if "paid" in details:
            row |= {"wins": dict(self._wins), "paid_total": dict(self._paid)}
        return row

    def of_record(self, record: RoundRecord) -> dict[str, Any]:
        """Return the row of a round that has just ended."""
        return self.row(
            record.round,
            record.metrics,
            list(record.sizes),
            record.uploaded,
            record.verdicts,
            record.seconds,
            record.details,
        )


def short(identity: str) -> str:
    """Return the name of a participant as the ledgers have it: its partition where simulated."""
    return identity.removeprefix("partition:")


def _shortened(value: Any) -> Any:
    """Return what a layer tells with the names of the ledgers; clinics go by identity in some."""
    if isinstance(value, Mapping):
        return {short(name): item for name, item in value.items()}
    if isinstance(value, str):
        return short(value)
    return [_shortened(item) for item in value] if isinstance(value, list | tuple) else value


def _was_sent(verdict: Mapping[str, str]) -> bool:
    return verdict["message_type"] == MessageType.TRAIN and verdict["kind"] in _SENT
