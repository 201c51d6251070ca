"""What a market did, round by round, as plain values: who offered, won, was paid, was blamed.

Nothing in it depends on clocks or memory addresses: the same seed writes the same bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.payload import Payload, encode
from datasets.carrada.scene import Scene
from server.loop import RoundRecord
from strategies.twin.fusion import Twin
from strategies.twin.table import object_table
from strategies.wrappers.digital_twin import DigitalTwin
from strategies.wrappers.knapsack_auction import AuctionRound, KnapsackAuction
from strategies.wrappers.payload_medium import PayloadMedium, scene_of_payload
from strategies.wrappers.reputation_selection import ReputationSelection, SelectionRound

_ENOUGH = 3


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One round of a payload market in which a complaint was traced, for a picture.

    Attributes
    ----------
    round : int
        Which.
    scenes : dict
        What each device delivered.
    twin : Twin
        What was broadcast.
    complained : int
        Cubes that users complained of, as bits.
    blamed : tuple of (int, str)
        Cube and device.
    gap : float
        By how much the blamed delivery is less like the others than they are among themselves.
    """

    round: int
    scenes: dict[str, Scene]
    twin: Twin
    complained: int
    blamed: tuple[tuple[int, str], ...]
    gap: float


def snapshot_state(shot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as plain values and bytes: its scenes as the payloads they came in."""
    payloads = {who: encode(scene) for who, scene in shot.scenes.items()}
    twin = shot.twin
    return {
        "round": shot.round,
        "scenes": {who: [found.mask_png, found.metadata] for who, found in payloads.items()},
        "twin": [twin.objects, twin.covered, twin.source],
        "complained": shot.complained,
        "blamed": [list(pair) for pair in shot.blamed],
        "gap": shot.gap,
    }


def snapshot_of(state: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot that :func:`snapshot_state` described."""
    return Snapshot(
        int(state["round"]),
        {who: scene_of_payload(Payload(*parts)) for who, parts in state["scenes"].items()},
        Twin(*state["twin"]),
        int(state["complained"]),
        tuple((int(cube), str(who)) for cube, who in state["blamed"]),
        float(state["gap"]),
    )


@dataclass
class MarketLedger:
    """Rows of a run, one for each round.

    Parameters
    ----------
    twin : DigitalTwin
        The innermost layer.
    auction : KnapsackAuction, optional
        The layer that buys.
    selection : ReputationSelection, optional
        The layer that trusts.
    rows : list of dict
        What :meth:`note` added.
    snapshot : Snapshot, optional
        The clearest round for a picture.
    """

    twin: DigitalTwin
    auction: KnapsackAuction | None = None
    selection: ReputationSelection | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    snapshot: Snapshot | None = None

    def note(self, record: RoundRecord) -> None:
        """Add the row of a round that has just ended."""
        sold = self.auction.last if self.auction else AuctionRound()
        rated = self.selection.last if self.selection else SelectionRound({})
        name = self.twin.name
        self.rows.append(
            {
                "round": record.round,
                "reputations": rated.reputations,
                "trusted": list(rated.trusted),
                "offers": {
                    who: [offer.price, offer.value, offer.channels]
                    for who, offer in sold.offers.items()
                },
                "promised": sold.promised,
                "delivered": [name(node) for node in self.twin.delivered().nodes],
                **self._shown(),
                "paid": sold.paid,
                "overbooked": list(sold.overbooked),
                "ratings": {name(node): list(bits) for node, bits in self.twin.ratings.items()},
                "blamed": [list(pair) for pair in rated.blamed],
                "breaches": list(rated.breaches),
                "verdicts": record.verdicts,
            }
        )
        self._consider(record.round, rated)

    def _shown(self) -> dict[str, Any]:
        """Return what each device delivered: its cubes as bits; of payloads also the objects."""
        name, found = self.twin.name, self.twin.delivered()
        powers = 1 << np.arange(found.covers.shape[0], dtype=np.int64)
        bits = (powers @ found.covers).tolist()
        shown: dict[str, Any] = {
            "covers": {name(node): int(n) for node, n in zip(found.nodes, bits, strict=True)}
        }
        if isinstance(self.twin.medium, PayloadMedium):
            shown["objects"] = {
                name(node): _rounded(object_table(scene.objects))
                for node, scene in self.twin.deliveries.items()
            }
            if found.nodes:
                shown["twin"] = _rounded(self.twin.medium.twin.table())
        return shown

    def text(self) -> str:
        """Return the ledger as JSON lines."""
        return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in self.rows)

    def state(self) -> dict[str, Any]:
        """Return what later rounds go by; the rows are kept with their rounds."""
        return {"snapshot": None if self.snapshot is None else snapshot_state(self.snapshot)}

    def restore(self, state: Any) -> None:
        """Put back what :meth:`state` returned."""
        kept = state["snapshot"]
        self.snapshot = None if kept is None else snapshot_of(kept)

    def _consider(self, number: int, rated: SelectionRound) -> None:
        """Keep the round whose blame rests on the clearest evidence."""
        if not rated.blamed or not isinstance(self.twin.medium, PayloadMedium):
            return
        gap = max(self._gap(cube, who) for cube, who in rated.blamed)
        if self.snapshot is not None and gap <= self.snapshot.gap:
            return
        complained = 0
        for _, bits in self.twin.ratings.values():
            complained |= bits
        scenes = {self.twin.name(node): scene for node, scene in self.twin.deliveries.items()}
        self.snapshot = Snapshot(
            number, scenes, self.twin.medium.twin, complained, rated.blamed, gap
        )

    def _gap(self, cube: int, who: str) -> float:
        found = self.twin.delivered()
        at = np.flatnonzero(found.covers[cube])
        if len(at) < _ENOUGH:
            return 0.0
        alike: NDArray[np.float64] = found.similarity[cube][np.ix_(at, at)]
        mean = (alike.sum(axis=1) - np.diag(alike)) / (len(at) - 1)
        own = [self.twin.name(found.nodes[place]) == who for place in at]
        return float(np.delete(mean, np.flatnonzero(own)).mean() - mean[own].mean())


def _rounded(table: NDArray[np.float64]) -> list[list[float]]:
    """Return label, range (m), azimuth (rad) and speed (m/s) of objects, to millimetres."""
    rows: list[list[float]] = table[:, :4].round(3).tolist()
    return rows
