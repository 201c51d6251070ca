"""LikelihoodSelection: only clinics whose noised history is that of an honest one take part.

The outermost layer of a federation of clinics. It reads every checked reply as a direction,
judges all clinics by all they uploaded (:mod:`strategies.trust`), and passes inward what is left:
models no longer than an honest one, their weights multiplied by the posterior of being honest,
so that any strategy inside aggregates and any layer that adds noise knows the weights.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from strategies.trust import Detector, Judgement
from strategies.trust.lens import UpdateLens
from strategies.trust.reliability import Reliability
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.market_messages import Name
from strategies.wrappers.narrowed_grid import NarrowedGrid, altered_nodes, rejected_nodes
from strategies.wrappers.protocol import MODEL, UPLOAD_NUMBER
from strategies.wrappers.vectors import CheckedContent, to_array, to_vector

FloatArray = NDArray[np.float64]
LEAST_WEIGHT = 1e-6
"""A posterior below it drops the reply: as a weight it would change nothing but rounding."""
WEIGHT = "num-examples"


@dataclass(frozen=True)
class TrustRound:
    """What the layer thought in one round, by the names of clinics.

    Attributes
    ----------
    reputations : dict
        R of every clinic shown, before the round.
    trusted : tuple of str
        Who had R >= theta; they were let in unless their budget was spent.
    honest : dict
        p of everybody who uploaded.
    reasons : dict
        Why somebody is below one half.
    breaches : tuple of str
        Who was asked and sent nothing usable.
    """

    reputations: dict[str, float] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    honest: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    breaches: tuple[str, ...] = ()


class LikelihoodSelection(StrategyWrapper):
    """Wrap any strategy so that it merges and asks only clinics that are likely honest.

    Parameters
    ----------
    inner : Strategy
        Any Flower strategy, wrapped or not.
    detector : Detector
        Judges the clinics; it is this layer's own.
    lens : UpdateLens
        Reads models as directions.
    name : callable
        Lasting name of a node; histories belong to names.
    limit : int
        Uploads of a clinic after which it is not asked again; 0: none.
    second_chance : bool
        Whether clinics in doubt are asked on, at the weight of their posterior.
    """

    def __init__(
        self,
        inner: Strategy,
        detector: Detector,
        lens: UpdateLens,
        name: Name = str,
        limit: int = 0,
        *,
        second_chance: bool = True,
    ) -> None:
        super().__init__(inner)
        self.detector = detector
        self.lens = lens
        self.name = name
        self.limit = limit
        self.second_chance = second_chance
        self.last = TrustRound()
        self.reliability = Reliability()
        self._uploads: dict[str, int] = {}
        self._asked: tuple[int, ...] = ()
        self._kept: frozenset[int] = frozenset()
        self._broadcast: FloatArray = np.zeros(detector.dimension)
        self._present: Callable[[], Iterable[int]] = tuple
        self._altered: Callable[[], Iterable[int]] = tuple
        self._rejected: Callable[[], Iterable[int]] = tuple

    def reputations(self, names: Sequence[str]) -> FloatArray:
        """Return R of clinics: what their uploads say, times how reliably they come."""
        found: FloatArray = self.detector.standing(names).reputation * self.reliability.of(names)
        return found

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Show the inner strategy only the trusted whose budget is not spent, and their R."""
        nodes = list(grid.get_node_ids())
        names = [self.name(node) for node in nodes]
        reputation = [float(value) for value in self.reputations(names)]
        threshold = self.detector.settings.threshold - 1e-9
        passed = [value >= threshold for value in reputation]
        doubtful = self._doubtful(names)
        able = [
            node
            for node, name, ok, unsure in zip(nodes, names, passed, doubtful, strict=True)
            if (ok or unsure) and not self._spent(name)
        ]
        self.last = TrustRound(
            dict(zip(names, reputation, strict=True)),
            tuple(name for name, ok in zip(names, passed, strict=True) if ok),
        )
        self._asked, self._kept, self._present = (), frozenset(), grid.get_node_ids
        self._altered = partial(altered_nodes, grid)
        self._rejected = partial(rejected_nodes, grid)
        self._broadcast = to_vector(arrays[MODEL])
        if not able:
            return []
        view = NarrowedGrid(grid, able, dict(zip(nodes, reputation, strict=True)))
        requests = list(self.inner.configure_train(server_round, arrays, config, view))
        self._asked = tuple(request.metadata.dst_node_id for request in requests)
        self._number(requests)
        return requests

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Judge what came, and let the inner strategy merge what is likely honest."""
        usable = [reply for reply in replies if reply.has_content()]
        self._note_breaches({reply.metadata.src_node_id for reply in usable})
        kept = self._judged(server_round, usable) if usable else []
        self._kept = frozenset(reply.metadata.src_node_id for reply in kept)
        arrays, metrics = self.inner.aggregate_train(server_round, kept)
        metrics = MetricRecord() if metrics is None else metrics
        metrics["trusted"] = len(self.last.trusted)
        metrics["dropped"] = len(usable) - len(kept)
        metrics["breaches"] = len(self.last.breaches)
        return arrays, metrics

    def merged_nodes(self) -> frozenset[int] | None:
        """Return the nodes whose replies went into the last merge."""
        inside = super().merged_nodes()
        return self._kept if inside is None else self._kept & inside

    def round_details(self) -> dict[str, Any]:
        """Return reputations, posteriors and reasons, and who was trusted."""
        last = self.last
        return {
            "reputations": last.reputations,
            "trusted": list(last.trusted),
            "honest": last.honest,
            "reasons": last.reasons,
            "breaches": list(last.breaches),
        }

    def state(self) -> dict[str, Any]:
        """Return all that clinics uploaded, how often they were asked, and what they broke."""
        return {
            "detector": self.detector.state(),
            "uploads": dict(self._uploads),
            "reliability": self.reliability.state(),
        }

    def restore(self, state: Any) -> None:
        """Put back what :meth:`state` returned."""
        self.detector.restore(state["detector"])
        self._uploads = {str(name): int(count) for name, count in state["uploads"].items()}
        self.reliability.restore(state["reliability"])

    def _doubtful(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Return of whom the evidence does not settle whether they are honest, shape (n,).

        They may go on uploading, at the weight of their posterior, 0 while a gate shuts them:
        whoever was unlucky in round 1 could never show it otherwise. They kept their deals.
        """
        if not self.second_chance:
            return np.zeros(len(names), np.bool_)
        return np.asarray(self.detector.unsettled(names) & (self.reliability.of(names) == 1.0))

    def _spent(self, name: str) -> bool:
        return bool(self.limit) and self._uploads.get(name, 0) >= self.limit

    def _number(self, requests: Sequence[Message]) -> None:
        """Count the uploads asked for and, where noise depends on it, tell each its number.

        Flower gives all requests of a round one record: those of another number get their own.
        """
        numbered: dict[tuple[int, int], RecordDict] = {}
        for request in requests:
            name = self.name(request.metadata.dst_node_id)
            number = self._uploads[name] = self._uploads.get(name, 0) + 1
            if self.lens.unequal:
                key = (id(request.content), number)
                if key not in numbered:
                    numbered[key] = _with_number(request.content, number)
                request.content = numbered[key]

    def _note_breaches(self, usable: set[int]) -> None:
        """Hold it against clinics that were asked, are still there, and sent nothing usable.

        Whoever left the grid meanwhile broke nothing: its budget may be spent.
        """
        present = set(self._present())
        present -= set(self._altered())  # the path broke those, not who sent them
        failed = [node for node in self._asked if node not in usable and node in present]
        broke = tuple(self.name(node) for node in failed)
        hostile = {self.name(node) for node in set(failed) & set(self._rejected())}
        self.reliability.note([self.name(node) for node in usable], broke, hostile)
        self.last = replace(self.last, breaches=broke)

    def _judged(self, server_round: int, replies: Sequence[Message]) -> list[Message]:
        names = [self.name(reply.metadata.src_node_id) for reply in replies]
        models = np.array([to_vector(_arrays(reply)[MODEL]) for reply in replies])
        sizes = np.array([_weight(reply) for reply in replies])
        numbers = np.array([self._uploads.get(name, 1) for name in names])
        noise = self.lens.noise_of(sizes, numbers)
        directions = self.lens.directions(models, self._broadcast, sizes)
        judged = self.detector.update(server_round, names, directions, sizes, noise)
        kept = self.detector.clipped(directions, sizes, noise)
        shortened = (kept != directions).any(axis=1)
        models[shortened] = self.lens.models(kept, self._broadcast, sizes)[shortened]
        self.last = _spoken(self.last, judged)
        passed = []
        for place, reply in enumerate(replies):
            weight = float(judged.honest[place])
            if weight >= LEAST_WEIGHT:
                vector = models[place] if shortened[place] else None
                passed.append(_weighted(reply, weight * sizes[place], vector))
        return passed

    def describe(self) -> str:
        """Return what judges, in one line."""
        how = type(self.detector).__name__
        limit = f", {self.limit} uploads each" if self.limit else ""
        return f"LikelihoodSelection: {how}, R >= {self.detector.settings.threshold:g}{limit}"


def _spoken(before: TrustRound, judged: Judgement) -> TrustRound:
    told = zip(judged.identities, judged.reasons, strict=True)
    return replace(
        before,
        honest=dict(zip(judged.identities, map(float, judged.honest), strict=True)),
        reasons={name: str(reason) for name, reason in told if reason},
    )


def _with_number(content: RecordDict, number: int) -> RecordDict:
    found = RecordDict()
    for key, record in content.items():
        if isinstance(record, ConfigRecord):
            found[key] = ConfigRecord({**record, UPLOAD_NUMBER: number})
        else:
            found[key] = record
    return found


def _weighted(reply: Message, weight: float, vector: FloatArray | None) -> Message:
    """Give a reply another weight, and another model unless ``vector`` is None."""
    parts: dict[str, ArrayRecord | MetricRecord | ConfigRecord] = {}
    for key, record in reply.content.items():
        if isinstance(record, MetricRecord):
            parts[key] = weighed = record.copy()
            weighed[WEIGHT] = weight
        elif isinstance(record, ArrayRecord) and vector is not None:
            parts[key] = ArrayRecord({MODEL: to_array(vector)})
        else:
            parts[key] = record
    reply.content = CheckedContent(parts)
    return reply


def _arrays(reply: Message) -> ArrayRecord:
    return next(iter(reply.content.array_records.values()))


def _weight(reply: Message) -> float:
    metrics = next(iter(reply.content.metric_records.values()))
    return float(cast(float, metrics[WEIGHT]))
