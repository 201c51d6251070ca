"""The round loop: configure, train, merge, evaluate, record; bounded in every wait.

Flower's own ``Strategy.start`` begins at round 1, keeps no record of who failed and cannot be
resumed; this loop drives the same six strategy methods.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, MessageType, MetricRecord
from flwr.serverapp.strategy import Strategy

from server.checked_grid import CheckedGrid
from server.errors import BudgetExhausted, RunFailed
from server.role_grid import PROVIDERS, RATERS, RoleGrid
from server.state.keeper import NOTHING_KEPT, Keeper, Progress
from server.verdicts import Verdict
from strategies.wrappers.base import StrategyWrapper, innermost, round_details
from strategies.wrappers.byzantine import ByzantineRule, unmerged_reason
from strategies.wrappers.protocol import EXHAUSTED
from strategies.wrappers.secure_messages import KEYS

TRUST = ("reputations", "trusted", "honest", "reasons", "breaches")
"""What of a round's details result.json keeps."""

Evaluate = Callable[[ArrayRecord], dict[str, Any]]
"""Judges a broadcast model on the server's held-out set."""


@dataclass
class RoundRecord:
    """What one round did.

    ``sizes`` are the records behind each merged reply, by identity; ``uploaded`` whoever's reply
    held up, merged or not; ``verdicts`` the replies that were not used; ``details`` what the layers
    did, as :meth:`strategies.wrappers.base.StrategyWrapper.round_details` says: who offered, won,
    was paid, was trusted. Whoever is told of rounds may read them; result.json has its own form.
    """

    round: int
    metrics: dict[str, Any]
    sizes: dict[str, int] = field(default_factory=dict)
    verdicts: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    uploaded: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the flat form of result.json and rounds.csv."""
        row = {"round": self.round, **self.metrics, "replies": len(self.sizes)}
        return row | {"verdicts": self.verdicts, "seconds": self.seconds}

    @property
    def trust(self) -> dict[str, Any]:
        """Return what was thought of whom, and who won; empty where clinics are not selected."""
        if "trusted" not in self.details:
            return {}
        found = {name: self.details[name] for name in TRUST if name in self.details}
        return found | {"winners": list(self.details.get("promised", self.uploaded))}


OnRound = Callable[[RoundRecord], None]


def run_rounds(
    strategy: Strategy,
    grid: CheckedGrid,
    initial: ArrayRecord,
    rounds: int,
    evaluate: Evaluate,
    on_round: OnRound,
    keeper: Keeper = NOTHING_KEPT,
    progress: Progress | None = None,
    *,
    every_round_rated: bool = True,
) -> tuple[ArrayRecord, list[RoundRecord]]:
    """Run ``rounds`` rounds and return the last broadcast model with one record a round.

    A round without a usable reply leaves the model as it was: no noise, no ledger entry. Round 0
    has the verdicts on who was left out at enrolment. Each
    round is kept after it was told of; the rounds of ``progress`` are told of again, not run.
    Without ``every_round_rated`` clients rate the last broadcast only: one phase a round less where
    nothing of the ratings comes back.

    Raises
    ------
    RunFailed
        When no round had a usable reply, and at once when every client declines, with the
        commonest reason; ``BudgetExhausted`` when that is their privacy budget.
    """
    begun = perf_counter() - (progress.seconds if progress else 0.0)
    if progress is None:
        arrays, records = initial, [RoundRecord(0, evaluate(initial))]
        records[0].verdicts = [asdict(verdict) for verdict in grid.take_verdicts()]
        on_round(records[0])
        keeper.keep(arrays, records[0], perf_counter() - begun)
    else:
        arrays, records = progress.arrays, list(progress.records)
        for record in records:
            on_round(record)
    for number in range(len(records), rounds + 1):
        started = perf_counter()
        rated = every_round_rated or number == rounds
        arrays, record = _one_round(strategy, grid, arrays, number, rated=rated)
        record.metrics |= evaluate(arrays)
        record.details = _details(strategy, record)
        record.seconds = perf_counter() - started
        if not record.sizes and _all_refused(record):
            raise _refused(record)
        records.append(record)
        on_round(record)
        keeper.keep(arrays, record, perf_counter() - begun)
    if not any(record.sizes for record in records):
        raise RunFailed(_nobody(records[-1]))
    return arrays, records


def _one_round(
    strategy: Strategy, grid: CheckedGrid, arrays: ArrayRecord, number: int, *, rated: bool
) -> tuple[ArrayRecord, RoundRecord]:
    grid.take_verdicts()
    providers, raters = RoleGrid(grid, PROVIDERS), RoleGrid(grid, RATERS)
    requests = strategy.configure_train(number, arrays, ConfigRecord(), providers)
    replies = grid.send_and_receive(requests)
    sizes = {grid.identity(reply): grid.records(reply) for reply in replies}
    nodes = {grid.identity(reply): reply.metadata.src_node_id for reply in replies}
    _tell_core(strategy, len(replies), set(sizes), grid.verdicts)
    merged, metrics = strategy.aggregate_train(number, replies)
    used = strategy.merged_nodes() if isinstance(strategy, StrategyWrapper) else None
    uploaded = tuple(sizes)
    if used is not None:
        sizes = {name: size for name, size in sizes.items() if nodes[name] in used}
    if merged is not None:
        arrays = merged
    record = RoundRecord(number, _plain(metrics), sizes if merged is not None else {})
    record.uploaded = uploaded
    requests = strategy.configure_evaluate(number, arrays, ConfigRecord(), raters) if rated else []
    evaluations = strategy.aggregate_evaluate(number, grid.send_and_receive(requests))
    record.metrics |= {f"clients-{key}": value for key, value in _plain(evaluations).items()}
    record.verdicts = [asdict(verdict) for verdict in grid.take_verdicts()]
    if merged is None and replies:
        reason = unmerged_reason(innermost(strategy), replies)
        verdict = Verdict("server", MessageType.TRAIN, "unmerged", reason)
        record.verdicts.append(asdict(verdict))
    return arrays, record


def _details(strategy: Strategy, record: RoundRecord) -> dict[str, Any]:
    found = round_details(strategy)
    return {"delivered": list(record.sizes), **found} if found else {}


def _tell_core(
    strategy: Strategy, accepted: int, used: set[str], verdicts: Iterable[Verdict]
) -> None:
    """Tell a rule that allows for f attackers how many were found out."""
    core = innermost(strategy)
    if isinstance(core, ByzantineRule):
        of_training = [v for v in verdicts if v.message_type == MessageType.TRAIN]
        core.tell(accepted, len({v.identity for v in of_training if v.kind == "rejected"} - used))


def _plain(metrics: MetricRecord | None) -> dict[str, Any]:
    return {} if metrics is None else dict(metrics.items())


def _all_refused(record: RoundRecord) -> bool:
    asked = (MessageType.TRAIN, KEYS)
    kinds = {v["kind"] for v in record.verdicts if v["message_type"] in asked}
    return bool(kinds) and kinds <= {"refused", "unsigned"}


def _refused(record: RoundRecord) -> RunFailed:
    if any(EXHAUSTED in verdict["reason"] for verdict in record.verdicts):
        return BudgetExhausted(_nobody(record))
    return RunFailed(_nobody(record))


def _nobody(record: RoundRecord) -> str:
    abandoned = [v["reason"] for v in record.verdicts if v["kind"] == "abandoned"]
    if abandoned:
        return f"no usable reply up to round {record.round}: {abandoned[0]}"
    reasons = Counter(
        verdict["reason"]
        for verdict in record.verdicts
        if verdict["message_type"] in (MessageType.TRAIN, KEYS)
    )
    if not reasons and record.metrics.get("offers"):
        return (
            f"no round had a usable reply: of {record.metrics['offers']} offers none was worth its "
            "price; lower --price-per-epsilon or raise --record-value"
        )
    if not reasons:
        return "no round had a usable reply: nobody was asked"
    (commonest, count), *_ = reasons.most_common(1)
    return f"no usable reply up to round {record.round}, {count} times because: {commonest}"
