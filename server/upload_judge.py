"""UploadJudge: an uploaded model beside the model that was sent out and what came before.

On top of :class:`~server.replies.TrainJudge`, which sees a reply alone: how far an upload may
be from the broadcast, that it is one at all, and that it belongs to this round.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from math import inf, log, sqrt
from typing import Self, TypeVar, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from server.registry import Participant
from server.replies import ReplyRejected, TrainJudge, read_vector
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.mechanisms import mechanism_of
from strategies.settings import Settings
from strategies.wrappers.protocol import ROUND

RecordT = TypeVar("RecordT", ArrayRecord, ConfigRecord)

Reach = Callable[[int], float]
"""How far a clinic with so many records (units) can honestly move the model."""


MAX_REMEMBERED = 100_000
"""Uploads remembered as digests; beyond that the oldest are forgotten."""


@dataclass(frozen=True)
class _Sent:
    """A broadcast model: its round, bytes, values and digest."""

    number: int
    data: bytes
    values: NDArray[np.float64]
    digest: bytes

    @classmethod
    def of(cls, number: int, data: bytes, dimension: int) -> Self:
        """Return the broadcast behind serialised bytes of our own making."""
        values = np.frombuffer(data[-8 * dimension :], "<f8")
        return cls(number, data, values, sha256(data).digest())


class UploadJudge:
    """Judge of the uploads of a run.

    Parameters
    ----------
    alone : TrainJudge
        What holds of an upload by itself.
    reach : callable
        Largest distance to the broadcast that counts.
    moves : bool
        Whether an honest clinic never returns the very broadcast: with noise, or with a
        regulariser whose pull is not exactly zero.
    """

    def __init__(self, alone: TrainJudge, reach: Reach = lambda _: inf, *, moves: bool) -> None:
        self._alone, self._reach, self._moves = alone, reach, moves
        self._sent: dict[int, _Sent] = {}
        self._seen: dict[bytes, tuple[str, bytes]] = {}
        self._fresh: list[bytes] = []

    def additions(self) -> list[list[str | bytes]]:
        """Return the uploads seen since the last call: who sent which in answer to what."""
        fresh, self._fresh = self._fresh, []
        return [[key, *self._seen[key]] for key in fresh if key in self._seen]

    def replay(self, additions: Iterable[tuple[bytes, str, bytes]]) -> None:
        """Know the uploads of a round that another process judged."""
        self._seen |= {key: (who, of) for key, who, of in additions}

    def brief(self, requests: Iterable[Message]) -> None:
        """Remember what goes to whom; before it goes, for a peer may alter its copy."""
        self._sent = {}
        last: _Sent | None = None
        for request in requests:
            arrays, config = _only(request, ArrayRecord), _only(request, ConfigRecord)
            if arrays and config and self._alone.name in arrays and ROUND in config:
                number, data = int(cast(int, config[ROUND])), arrays[self._alone.name].data
                if last is None or last.data is not data or last.number != number:
                    last = _Sent.of(number, data, self._alone.dimension)
                self._sent[request.metadata.dst_node_id] = last
        while len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def __call__(self, content: RecordDict, participant: Participant | None) -> None:
        """Accept an honest upload of this round; its round is taken out, for nobody averages it.

        Raises
        ------
        ReplyRejected
            For what :class:`TrainJudge` rejects, another round, a distance beyond reach, the
            broadcast itself or an upload that was already made of another broadcast.
        """
        self._alone(content, participant)
        metrics = cast(MetricRecord, content["metrics"])
        asked = None if participant is None else self._sent.get(participant.node_id)
        if participant is not None and asked is not None:
            if metrics[ROUND] != asked.number:
                said = str(metrics[ROUND])[:20]
                raise ReplyRejected(f"answers round {said} where round {asked.number} was asked")
            array = cast(ArrayRecord, content["arrays"])[self._alone.name]
            self._judge_upload(read_vector(array, self._alone.dimension), asked, participant)
        # A record of its own: in process the client still holds the one it sent.
        content["metrics"] = MetricRecord({k: v for k, v in metrics.items() if k != ROUND})

    def _judge_upload(
        self, upload: NDArray[np.float64], sent: "_Sent", participant: Participant
    ) -> None:
        self._judge_distance(upload, sent.values, participant)
        values = upload.tobytes()
        if values != sent.values.tobytes():
            self._judge_freshness(values, sent.digest, participant)
        elif self._moves:
            raise ReplyRejected("the model came back as it was sent: no training and no noise")

    def _judge_distance(
        self, upload: NDArray[np.float64], broadcast: NDArray[np.float64], participant: Participant
    ) -> None:
        reach = self._reach(participant.records)
        if reach == inf:
            return
        with np.errstate(over="ignore"):
            moved = float(np.sqrt(np.add.reduce((upload - broadcast) ** 2)))
        if not moved <= reach:
            raise ReplyRejected(
                f"moves the model by {moved:.4g} where clipped gradients and noise move it by at "
                f"most {reach:.4g}"
            )

    def _judge_freshness(self, upload: bytes, broadcast: bytes, participant: Participant) -> None:
        key = sha256(upload).digest()
        if key not in self._seen:
            self._fresh.append(key)
        who, of = self._seen.setdefault(key, (participant.identity, broadcast))
        if of != broadcast:
            whose = "its own" if who == participant.identity else f"{who}'s"
            raise ReplyRejected(f"repeats {whose} upload of an earlier round")


def _only(request: Message, kind: type[RecordT]) -> RecordT | None:
    """Return the one record of a kind that a request carries."""
    found = [record for record in request.content.values() if isinstance(record, kind)]
    return found[0] if len(found) == 1 else None


def reach_of(settings: Settings, dimension: int) -> Reach:
    """Return how far an honest upload can be from the broadcast; infinite but for dp-gd, dp-sgd.

    One step of dp-gd moves the model by ``eta (sum of m gradients of norm at most C + noise) / m``,
    so ``eta C`` and the noise part, which is exceeded with probability 1e-6
    (:func:`~server.replies.noised_norm_bound`). Of dp-sgd each of k steps divides by the expected
    batch ``m q``, and a batch may hold all m.
    """
    if settings.privacy not in ("dp-gd", "dp-sgd"):
        return lambda _: inf
    mechanism = mechanism_of(settings)
    tail = sqrt(dimension) + sqrt(2 * log(1e6))
    if isinstance(mechanism, DPSGD):
        steps, batches = mechanism.steps, mechanism.batches
        pull = mechanism.learning_rate * mechanism.clip_norm * batches * steps
        noise = mechanism.learning_rate * mechanism.noise_std * batches * sqrt(steps) * tail
        return lambda units: pull + noise / units
    if not isinstance(mechanism, DPGradientDescent):
        return lambda _: inf
    rate, clip_norm, std = mechanism.learning_rate, mechanism.clip_norm, max(mechanism.noise_stds)
    return lambda units: rate * (clip_norm + std * tail / units)


def upload_judge(settings: Settings, alone: TrainJudge) -> UploadJudge:
    """Return the judge of a run's uploads."""
    return UploadJudge(
        alone, reach_of(settings, alone.dimension), moves=settings.private or settings.l2 > 0
    )
