"""A run's progress and result as framed lines in its log: how they reach who sent the run.

Flower keeps a server app's result in memory and gives the submitter nothing but its log. A frame
is one line, ``@federation KIND PART/PARTS DIGEST BASE64``; what is larger goes in parts. It begins
its line: further in, it is something that somebody said and that was logged, a client for instance.
"""

import base64
import binascii
import json
import re
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from server.federation import FederatedRun
from server.loop import RoundRecord
from server.market import MarketOutcome
from server.market_report import market_entry
from server.report import card_of, floors_of, run_entry, versions
from strategies.settings import Settings, SettingsError

ROUND, RESULT = "round", "result"
LINE_BYTES = 12_000
MAX_BYTES = 64 << 20
_FRAME = re.compile(r"@federation (round|result) (\d{1,6})/(\d{1,6}) ([0-9a-f]{16}) ([\w+/=]+)")


class FrameError(ValueError):
    """Frames that do not add up to what was sent."""


def frame_lines(kind: str, value: Mapping[str, Any]) -> list[str]:
    """Return the lines of a frame."""
    text = json.dumps(value, separators=(",", ":"), default=_plain)
    packed = zlib.compress(text.encode(), 9)
    digest = sha256(packed).hexdigest()[:16]
    text = base64.b64encode(packed).decode()
    parts = [text[start : start + LINE_BYTES] for start in range(0, len(text), LINE_BYTES)]
    return [
        f"@federation {kind} {number}/{len(parts)} {digest} {part}"
        for number, part in enumerate(parts, start=1)
    ]


@dataclass
class FrameReader:
    """Takes a log apart into frames and other lines.

    Parameters
    ----------
    on_frame : callable
        Told of kind and value of each whole frame.
    on_line : callable
        Told of every other line.
    """

    on_frame: Callable[[str, dict[str, Any]], None]
    on_line: Callable[[str], None] = lambda _: None
    _rest: str = ""
    _parts: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)

    def feed(self, text: str) -> None:
        """Take the next piece of a log, which may end within a line.

        Raises
        ------
        FrameError
            For a frame that was damaged or is too large.
        """
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > MAX_BYTES:
            raise FrameError("a line of the run's log does not end")
        for line in lines:
            found = _FRAME.fullmatch(line.rstrip("\r"))
            if found is None:
                self.on_line(line)
            else:
                self._take(*found.groups())

    def _take(self, kind: str, number: str, total: str, digest: str, part: str) -> None:
        parts = self._parts.setdefault((kind, digest), {})
        parts[int(number)] = part
        if sum(map(len, parts.values())) > MAX_BYTES:
            raise FrameError("the run's result is too large")
        if len(parts) == int(total):
            del self._parts[kind, digest]
            self.on_frame(kind, _unpacked("".join(parts[at] for at in sorted(parts)), digest))


def emit(kind: str, value: Mapping[str, Any]) -> None:
    """Print a frame into this process's log."""
    for line in frame_lines(kind, value):
        sys.stdout.write(line + "\n")


def emit_round(record: RoundRecord) -> None:
    """Print a round's frame."""
    emit(ROUND, _round_value(record))


def emit_result(run: FederatedRun | MarketOutcome) -> None:
    """Print a finished run's frame."""
    emit(RESULT, result_value(run))


def result_value(run: FederatedRun | MarketOutcome) -> dict[str, Any]:
    """Return a finished run as JSON values; of a ledger's URL nothing."""
    settings = {**run.settings.as_dict(), "ledger": ""}
    if isinstance(run, MarketOutcome):
        ledger = run.ledger.text()
        entry = market_entry(run)
        found = {"kind": "market", "settings": settings, "entry": entry, "ledger": ledger}
        return found | {"versions": versions()}
    weights = np.ascontiguousarray(run.weights, "<f8").tobytes()
    return {
        "kind": "model",
        "settings": settings,
        "weights": base64.b64encode(weights).decode(),
        "rounds": [_round_value(record) for record in run.rounds],
        "sizes": list(run.sizes),
        "seconds": run.seconds,
        "attackers": list(run.attackers),
        "entry": run_entry(run),
        "card": card_of(run),
        "floors": floors_of(run.settings),
        "versions": versions(),
    }


def run_from_value(value: Mapping[str, Any]) -> FederatedRun:
    """Return the run that :func:`result_value` describes.

    Raises
    ------
    FrameError
        When it describes none.
    """
    try:
        weights = np.frombuffer(base64.b64decode(value["weights"], validate=True), "<f8")
        rounds = [round_from_value(record) for record in value["rounds"]]
        return FederatedRun(
            Settings.from_mapping(value["settings"], "result"),
            weights,
            rounds,
            tuple(int(size) for size in value["sizes"]),
            float(value["seconds"]),
            tuple(str(who) for who in value["attackers"]),
        )
    except (KeyError, TypeError, ValueError, SettingsError) as fault:
        raise FrameError(f"the run's result cannot be read ({fault})") from fault


def round_from_value(value: Mapping[str, Any]) -> RoundRecord:
    """Return the record of a round's frame."""
    return RoundRecord(
        int(value["round"]),
        dict(value["metrics"]),
        {str(who): int(size) for who, size in value["sizes"].items()},
        [dict(verdict) for verdict in value["verdicts"]],
        float(value["seconds"]),
        tuple(str(who) for who in value["uploaded"]),
        dict(value["details"]),
    )


def _plain(value: Any) -> Any:
    """Return what JSON has no word for: sets in order, numbers of numpy."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _round_value(record: RoundRecord) -> dict[str, Any]:
    return {
        "round": record.round,
        "metrics": record.metrics,
        "sizes": record.sizes,
        "verdicts": record.verdicts,
        "seconds": record.seconds,
        "uploaded": list(record.uploaded),
        "details": record.details,
    }


def _unpacked(text: str, digest: str) -> dict[str, Any]:
    try:
        packed = base64.b64decode(text, validate=True)
        if sha256(packed).hexdigest()[:16] != digest:
            raise FrameError("the run's result was damaged on its way")
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(packed, MAX_BYTES)
        if not unpacking.eof:
            raise FrameError("the run's result is too large")
        value = json.loads(content)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as fault:
        if isinstance(fault, FrameError):
            raise
        raise FrameError(f"the run's result cannot be read ({fault})") from fault
    if not isinstance(value, dict):
        raise FrameError("the run's result is no object")
    return value
