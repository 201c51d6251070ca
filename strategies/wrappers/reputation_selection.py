"""ReputationSelection: only devices that users have reason to trust take part.

Ismail et al., "Enhancing Trust and Security in the Vehicular Metaverse", section III. The
outermost layer: it narrows the grid to N' = {i : R_i >= theta}, sees what was delivered, and
turns the users' complaints about it into blame (Algorithm 1) and new reputations (eqs. 1-4).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from strategies.auction import tie_keys
from strategies.reputation import (
    NEGATIVE,
    POSITIVE,
    ReputationLedger,
    ReputationSettings,
    blame,
    blame_everyone,
    events,
)
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.market_messages import Name
from strategies.wrappers.narrowed_grid import NarrowedGrid, altered_nodes
from strategies.wrappers.ratings import rating_of
from strategies.wrappers.traceable import Delivered, Traceable, nothing_delivered

BoolArray = NDArray[np.bool_]
PATH_TOLERANCE = 3
"""Altered deliveries within Y rounds after which a device is not asked: its path is broken."""


@dataclass(frozen=True)
class SelectionSettings:
    """How reputations are formed and used.

    Attributes
    ----------
    reputation : ReputationSettings
        Constants of eqs. (1)-(4), theta among them.
    users : int
        M, the denominator of eq. (4).
    seed : int
        Of the hashes that break ties.
    filtered : bool
        Algorithm 1; without it a complaint is blamed on all devices at the cube.
    pair_rule : {"reputation", "coin"}
        How Algorithm 1 decides between two devices.
    top_k : int
        At most so many of the trusted take part, the best first; 0: all of them.
    """

    reputation: ReputationSettings
    users: int
    seed: int = 0
    filtered: bool = True
    pair_rule: Literal["reputation", "coin"] = "reputation"
    top_k: int = 0


@dataclass
class SelectionRound:
    """What the layer did in one round, by the names of devices.

    Attributes
    ----------
    reputations : dict
        R of every device known, before the round.
    trusted : tuple of str
        Who was let in.
    blamed : tuple of (int, str)
        Cube and device.
    breaches : tuple of str
        Devices that were asked to deliver and whose delivery could not be used.
    altered : tuple of str
        Devices whose delivery was altered on its way: the path broke the deal, not they.
    """

    reputations: dict[str, float]
    trusted: tuple[str, ...] = ()
    blamed: tuple[tuple[int, str], ...] = ()
    breaches: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()


class ReputationSelection(StrategyWrapper):
    """Wrap any strategy so that only the trusted take part.

    A device that was asked and did not deliver anything usable broke the deal in sight of the
    server: the slot counts as a negative of every user. A delivery that was altered on its way, as
    its signature shows, is no evidence about the device; but after ``PATH_TOLERANCE`` of them
    within Y rounds nobody on that path is asked until they are forgotten, so that nothing is won
    by breaking one's own signature. Around a strategy that cannot say who
    is behind what it broadcast (:class:`Traceable`), and without ratings, every other device
    stays at the base rate alpha.

    Parameters
    ----------
    inner : Strategy
        Any Flower strategy, wrapped or not.
    settings : SelectionSettings
        Constants and users.
    name : callable
        Lasting name of a node; reputations belong to names.
    """

    def __init__(self, inner: Strategy, settings: SelectionSettings, name: Name = str) -> None:
        super().__init__(inner)
        self.settings = settings
        self.name = name
        self.ledger = ReputationLedger(0, settings.users, settings.reputation)
        self.last = SelectionRound({})
        self._rows: dict[str, int] = {}
        self._asked: tuple[int, ...] = ()
        self._paths: dict[str, list[int]] = {}
        self._altered: Callable[[], Iterable[int]] = tuple
        self._delivered = nothing_delivered(1)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Show the inner strategy only those with R >= theta, and what their R is."""
        nodes = list(grid.get_node_ids())
        self._admit(nodes)
        reputation = self.ledger.reputation()
        standing = {node: float(reputation[self._row(node)]) for node in nodes}
        whole = [node for node in nodes if self._path_holds(node, server_round)]
        trusted = self._choose(whole, standing, server_round)
        self._altered = partial(altered_nodes, grid)
        self.last = SelectionRound(
            {name: float(reputation[row]) for name, row in self._rows.items()},
            tuple(self.name(node) for node in trusted),
        )
        self._asked, self._delivered = (), nothing_delivered(1)
        if not trusted:
            return []
        view = NarrowedGrid(grid, trusted, standing)
        requests = list(self.inner.configure_train(server_round, arrays, config, view))
        self._asked = tuple(request.metadata.dst_node_id for request in requests)
        return requests

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Let the inner strategy merge, then note who delivered what."""
        replies = list(replies)
        arrays, metrics = self.inner.aggregate_train(server_round, replies)
        source = _traceable(self.inner)
        usable = {reply.metadata.src_node_id for reply in replies if reply.has_content()}
        if source is not None:
            self._delivered = source.delivered()
            usable = set(self._delivered.nodes)
        altered = set(self._altered()) & set(self._asked) - usable
        failed = [node for node in self._asked if node not in usable and node not in altered]
        self.last.breaches = tuple(self.name(node) for node in failed)
        self.last.altered = tuple(self.name(node) for node in self._asked if node in altered)
        for name in self.last.altered:
            self._paths.setdefault(name, []).append(server_round)
        metrics = MetricRecord() if metrics is None else metrics
        if altered:
            metrics["altered"] = len(altered)
        metrics["trusted"] = len(self.last.trusted)
        metrics["breaches"] = len(failed)
        return arrays, metrics

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Turn complaints into blame and blame into reputations; one slot of evidence a round."""
        replies = list(replies)
        metrics = self.inner.aggregate_evaluate(server_round, replies)
        visits, complaints = self._ratings(replies)
        blamed = self._blame(server_round, complaints)
        codes = events(visits, complaints, self._delivered.covers, blamed)
        self._record(codes)
        cubes, devices = np.nonzero(blamed)
        nodes = self._delivered.nodes
        self.last.blamed = tuple(
            (int(cube), self.name(nodes[device]))
            for cube, device in zip(cubes, devices, strict=True)
        )
        metrics = MetricRecord() if metrics is None else metrics
        metrics["blamed"] = len(self.last.blamed)
        return metrics

    def reputations(self) -> dict[str, float]:
        """Return R of every device by name, after all rounds so far."""
        reputation = self.ledger.reputation()
        return {name: float(reputation[row]) for name, row in self._rows.items()}

    def state(self) -> dict[str, Any]:
        """Return the evidence in the window, and whose it is."""
        return {"names": list(self._rows), "paths": self._paths, **self.ledger.state()}

    def restore(self, state: Any) -> None:
        """Put back what :meth:`state` returned: reputations belong to names, not to nodes."""
        self._rows = {str(name): row for row, name in enumerate(state["names"])}
        self.ledger = ReputationLedger(
            len(self._rows), self.settings.users, self.settings.reputation
        )
        self.ledger.restore(state)
        self._paths = {str(name): list(map(int, kept)) for name, kept in state["paths"].items()}

    def evidence(self) -> dict[str, list[tuple[int, int]]]:
        """Return users for and against each device in the window, oldest slot first, by name."""
        kept = self.ledger.state()
        return {
            name: [
                (int(good), int(bad))
                for good, bad in zip(
                    kept["positive"][:, row], kept["negative"][:, row], strict=True
                )
            ]
            for name, row in self._rows.items()
        }

    def inherit(self, evidence: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        """Begin with what earlier runs showed of devices; their newest slots are the same one."""
        window, users = self.settings.reputation.window, self.settings.users
        slots = min(window, max(map(len, evidence.values()), default=0))
        counts = np.zeros((2, slots, len(evidence)), np.int64)
        for row, kept in enumerate(evidence.values()):
            recent = np.array(list(kept)[-slots:], np.int64).reshape(-1, 2)
            counts[:, slots - len(recent) :, row] = np.minimum(recent.T, users)
        names = list(evidence)
        self.restore({"names": names, "paths": {}, "positive": counts[0], "negative": counts[1]})

    def _path_holds(self, node: int, server_round: int) -> bool:
        since = server_round - self.settings.reputation.window
        found = [round_ for round_ in self._paths.get(self.name(node), ()) if round_ > since]
        return len(found) < PATH_TOLERANCE

    def _admit(self, nodes: Sequence[int]) -> None:
        for node in nodes:
            self._rows.setdefault(self.name(node), len(self._rows))
        if len(self._rows) > self.ledger.devices:
            self.ledger.grow(len(self._rows))

    def _row(self, node: int) -> int:
        return self._rows[self.name(node)]

    def _choose(
        self, nodes: Sequence[int], standing: dict[int, float], server_round: int
    ) -> list[int]:
        """Return N', or the best of them, in the order of ``nodes``."""
        passed = self.settings.reputation.trusts([standing[node] for node in nodes])
        trusted = [node for node, is_trusted in zip(nodes, passed, strict=True) if is_trusted]
        if not self.settings.top_k or len(trusted) <= self.settings.top_k:
            return trusted
        ties = self._ties("top-k", server_round, trusted)
        key = {node: (-standing[node], tie) for node, tie in zip(trusted, ties, strict=True)}
        best = set(sorted(trusted, key=key.__getitem__)[: self.settings.top_k])
        return [node for node in trusted if node in best]

    def _ties(self, purpose: str, server_round: int, nodes: Sequence[int]) -> NDArray[np.uint64]:
        names = [self.name(node) for node in nodes]
        return tie_keys(self.settings.seed, purpose, server_round - 1, names)

    def _ratings(self, replies: Sequence[Message]) -> tuple[BoolArray, BoolArray]:
        """Return visits and complaints about them, each of shape (users that rated, K)."""
        cubes = len(self._delivered.covers)
        visits, complaints = [], []
        for reply in replies:
            rating = rating_of(reply)
            if rating is not None:
                visits.append(_bits(rating[0], cubes))
                complaints.append(_bits(rating[1], cubes))
        shape = (len(visits), cubes)
        return (
            np.array(visits, np.bool_).reshape(shape),
            np.array(complaints, np.bool_).reshape(shape),
        )

    def _blame(self, server_round: int, complaints: BoolArray) -> BoolArray:
        """Return who is blamed for which cube, shape (K, n)."""
        found: Delivered = self._delivered
        complained = np.asarray(complaints.any(axis=0))
        if not found.nodes or not complained.any():
            return np.zeros(found.covers.shape, np.bool_)
        if not self.settings.filtered:
            return blame_everyone(found.covers, complained)
        standing = [self.last.reputations[self.name(node)] for node in found.nodes]
        ties = self._ties("blame", server_round, found.nodes)
        return blame(
            found.similarity, found.covers, complained, standing, ties, self.settings.pair_rule
        )

    def _record(self, codes: NDArray[np.uint8]) -> None:
        positive = np.zeros(self.ledger.devices, np.int64)
        negative = np.zeros(self.ledger.devices, np.int64)
        rows = [self._row(node) for node in self._delivered.nodes]
        positive[rows] = np.count_nonzero(codes == POSITIVE, axis=1)
        negative[rows] = np.count_nonzero(codes == NEGATIVE, axis=1)
        broke = [self._rows[name] for name in self.last.breaches]
        negative[broke] = self.settings.users
        self.ledger.record_counts(positive, negative)

    def round_details(self) -> dict[str, Any]:
        """Return reputations before the last round and who was let in."""
        return {"reputations": self.last.reputations, "trusted": list(self.last.trusted)}

    def describe(self) -> str:
        """Return the constants in one line."""
        s, r = self.settings, self.settings.reputation
        how = "Algorithm 1" if s.filtered else "no Algorithm 1"
        top = f", best {s.top_k}" if s.top_k else ""
        return (
            f"ReputationSelection: R >= {r.threshold:g}{top}, alpha {r.base_rate:g}, "
            f"omega {r.positive_weight:g}/{r.negative_weight:g}, z {r.fading:g}, "
            f"Y {r.window}, {s.users} users, {how}"
        )


def _traceable(strategy: Strategy) -> Traceable | None:
    """Return the outermost layer that knows who is behind what was broadcast."""
    while not isinstance(strategy, Traceable):
        if not isinstance(strategy, StrategyWrapper):
            return None
        strategy = strategy.inner
    return strategy


def _bits(bits: int, cubes: int) -> list[bool]:
    return [bool(bits >> cube & 1) for cube in range(cubes)]
