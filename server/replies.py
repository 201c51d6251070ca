"""What a reply must look like before anybody uses it, one judge for each kind of message.

Everything here comes from a peer: sizes are bounded before an array is built, nothing is
unpickled, and whatever is wrong is that client's problem (``ReplyRejected``), never the run's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from math import inf, isfinite, log, sqrt
from typing import Protocol, cast, runtime_checkable

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from server.registry import Participant
from strategies.wrappers.protocol import ROUND
from strategies.wrappers.vectors import NUMPY, npy_header

MAX_PARTITIONS = 1_000_000
MAX_RECORDS = 2**40
ROLES = ("clinic", "device", "user")
NOISES = ("seeded", "system", "discrete")
HEADER_ROOM = 1024
"""Bytes the header of a serialised array may take."""


class ReplyRejected(ValueError):
    """Why a reply is not used; short, for the round's record and the log."""


Judge = Callable[[RecordDict, Participant | None], None]
"""Raises ReplyRejected when a reply of this participant (None: not yet enrolled) is unusable."""


@runtime_checkable
class BriefedJudge(Protocol):
    """A judge that is told what is asked before it judges the answers."""

    def brief(self, requests: Iterable[Message]) -> None:
        """Learn what goes to whom."""


def judge_hello(content: RecordDict, participant: Participant | None) -> None:
    """Accept exactly a role and whole numbers within bounds; who is enrolled keeps its role."""
    expect_keys(content, {"metrics": MetricRecord, "config": ConfigRecord})
    metrics = cast(MetricRecord, content["metrics"])
    expect_names(metrics, {"num-examples", "partition-id", "num-partitions"})
    expect_whole(metrics["num-examples"], "num-examples", 1, MAX_RECORDS)
    expect_whole(metrics["partition-id"], "partition-id", 0, MAX_PARTITIONS - 1)
    expect_whole(metrics["num-partitions"], "num-partitions", 0, MAX_PARTITIONS)
    config = cast(ConfigRecord, content["config"])
    expect_names(config, {"role", "noise"})
    if config["noise"] not in NOISES:
        raise ReplyRejected(f"unknown noise {str(config['noise'])[:40]!r}")
    role = str(config["role"])[:40]
    if config["role"] not in ROLES:
        raise ReplyRejected(f"unknown role {role!r}")
    if participant is not None and role != participant.role:
        raise ReplyRejected(f"enrolled as {participant.role} and now says it is {role}")


def judge_evaluate(content: RecordDict, participant: Participant | None) -> None:
    """Accept the enrolled record count and nothing else."""
    expect_keys(content, {"metrics": MetricRecord})
    _judge_weight(cast(MetricRecord, content["metrics"]), participant)


@dataclass(frozen=True)
class TrainJudge:
    """Judge of an uploaded model.

    Parameters
    ----------
    name : str
        Key of the only array.
    dimension : int
        d, its length.
    norm_bound : float
        Largest norm that counts; infinite where nothing is clipped.
    """

    name: str
    dimension: int
    norm_bound: float

    def __call__(self, content: RecordDict, participant: Participant | None) -> None:
        """Accept one float64 vector of the right length, finite, within the norm bound."""
        expect_keys(content, {"arrays": ArrayRecord, "metrics": MetricRecord})
        _judge_weight(cast(MetricRecord, content["metrics"]), participant, ROUND)
        arrays = cast(ArrayRecord, content["arrays"])
        expect_names(arrays, {self.name})
        values = read_vector(arrays[self.name], self.dimension)
        if not np.isfinite(values).all():
            raise ReplyRejected("the model has values that are not finite")
        with np.errstate(over="ignore"):
            norm = float(np.sqrt(np.add.reduce(values * values)))
        if not norm <= self.norm_bound or norm == inf:  # inf: the square of a value overflows
            raise ReplyRejected(f"norm {norm:.4g} is above the bound {self.norm_bound:.4g}")


def noised_norm_bound(clip_norm: float, noise_std: float, dimension: int) -> float:
    """Return B + sigma_1 (sqrt d + sqrt(2 ln 10^6)).

    The norm of sigma_1 N(0, I_d) exceeds ``sigma_1 (sqrt d + t)`` with probability at most
    ``exp(-t^2 / 2)`` (concentration of Lipschitz functions of Gaussians), here 1e-6.
    """
    return clip_norm + noise_std * (sqrt(dimension) + sqrt(2 * log(1e6)))


def read_vector(array: Array, dimension: int) -> NDArray[np.float64]:
    """Return the values of a serialised float64 vector, checked before it is built.

    Raises
    ------
    ReplyRejected
        When length in bytes, header, dtype or shape is not that of (dimension,) float64.
    """
    if array.stype != NUMPY:
        raise ReplyRejected(f"unknown serialisation {str(array.stype)[:40]!r}")
    if (array.dtype, array.shape) != ("float64", (dimension,)):
        said = f"{str(array.dtype)[:40]!r} of shape {str(array.shape)[:40]}"
        raise ReplyRejected(f"the array says {said} where float64 ({dimension},) is expected")
    data, header = array.data, npy_header(dimension)
    start = len(header)
    if not data.startswith(header):
        start = _header_length(data[:HEADER_ROOM], dimension)
    if len(data) != start + 8 * dimension:
        raise ReplyRejected(
            f"the model takes {len(data)} bytes where {start + 8 * dimension} are expected"
        )
    return np.frombuffer(data, dtype="<f8", offset=start)


def _header_length(header: bytes, dimension: int) -> int:
    stream = BytesIO(header)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream, max_header_size=HEADER_ROOM)
    except Exception as fault:
        raise ReplyRejected("the model's array header cannot be read") from fault
    if shape != (dimension,):
        raise ReplyRejected(f"shape {str(shape)[:40]} where ({dimension},) is expected")
    if dtype != np.dtype("<f8"):
        raise ReplyRejected(f"dtype {str(dtype)[:40]} where float64 is expected")
    return stream.tell()


def _judge_weight(metrics: MetricRecord, participant: Participant | None, *more: str) -> None:
    expect_names(metrics, {"num-examples", *more})
    weight = metrics["num-examples"]
    if isinstance(weight, list) or not isfinite(weight):
        raise ReplyRejected("num-examples is not a finite number")
    if participant is not None and weight != participant.records:
        raise ReplyRejected(
            f"num-examples {weight:g} is not the {participant.records} records enrolled"
        )


def expect_keys(content: RecordDict, kinds: dict[str, type]) -> None:
    """Reject a reply unless it has exactly these records of these kinds."""
    if set(content) != set(kinds):
        raise ReplyRejected(f"records {_named(content)} where {_named(kinds)} are expected")
    for key, kind in kinds.items():
        if not isinstance(content[key], kind):
            raise ReplyRejected(f"record {key!r} is of the wrong kind")


def expect_names(record: ArrayRecord | MetricRecord | ConfigRecord, names: set[str]) -> None:
    """Reject a reply unless a record of it has exactly these entries."""
    if set(record) != names:
        raise ReplyRejected(f"entries {_named(record)} where {_named(names)} are expected")


def _named(keys: object) -> str:
    listed = sorted(str(key)[:40] for key in cast("set[str]", keys))
    return ", ".join(listed[:8]) or "none"


def expect_whole(value: object, name: str, low: int, high: int) -> None:
    """Reject a reply unless a value of it is a whole number within bounds, both included."""
    if not isinstance(value, int) or not low <= value <= high:
        raise ReplyRejected(f"{name} is not a whole number from {low} to {high}")
