"""A clinic: its shard of records and what it does with a broadcast model."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from logging import ERROR
from typing import cast

import numpy as np
from flwr.app import Context
from flwr.common.logger import log
from numpy.typing import NDArray

from clients.messages import partition_of
from datasets.errors import DataError
from datasets.table import Table
from strategies.learning.linear_svm import FloatArray, descend, draw_batches
from strategies.learning.one_versus_rest import signed_rows
from strategies.learning.task import (
    Judgement,
    feature_bound,
    feature_map,
    federation_of,
    judge,
)
from strategies.privacy.units import group_units
from strategies.randomness import Purpose, generator
from strategies.settings import CERTIFIED_PRIVACY, Settings


@dataclass(frozen=True)
class Clinic:
    """The records of one clinic, ready to train on.

    Parameters
    ----------
    partition : int
        The clinic's number, part of its random streams.
    features : ndarray, shape (n, d)
        Feature vectors, bias included.
    labels : ndarray of int8, shape (n,)
        +1 diseased, -1 healthy; of K > 2 classes 1..K.
    classes : tuple of str
        Their names.
    signed : ndarray, shape (n, d), or (n K, K d) of K classes
        Labels times features, a row for each hinge of a record.
    units : ndarray, shape (units, rows of one, d or K d)
        ``signed`` gathered by unit of privacy, padded with zeros.
    weight : int
        What the clinic's upload weighs: its records, or its units under a mechanism that
        protects units of several records, whose number alone is public then.
    norm_bound : float
        Bound on every record's gradient that a proof may use, or infinity: the largest norm of a
        feature vector, times sqrt(K).
    groups : ndarray of int, shape (n,), optional
        Patient or track of each record; None where every record is a unit of its own.
    """

    partition: int
    features: FloatArray
    labels: NDArray[np.int8]
    classes: tuple[str, ...]
    signed: FloatArray
    units: FloatArray
    weight: int
    norm_bound: float
    groups: NDArray[np.int64] | None = None

    @cached_property
    def flipped(self) -> "Clinic":
        """Return the same shard with every label turned round, as an attacker has it."""
        return replace(self, labels=-self.labels, signed=-self.signed, units=-self.units)

    @property
    def unit_of(self) -> NDArray[np.int64]:
        """Return the unit of privacy of each record, from 0, shape (n,)."""
        if self.groups is None:
            return np.arange(self.records)
        return np.unique(self.groups, return_inverse=True)[1]

    @property
    def records(self) -> int:
        """Return |D_i|."""
        return len(self.labels)

    def train(self, weights: FloatArray, settings: Settings, server_round: int) -> FloatArray:
        """Return the local model after ``settings.steps`` steps from ``weights`` (eq. 5)."""
        batches = None
        if settings.batch_size:
            rng = generator(settings.seed, Purpose.BATCHES, self.partition, server_round)
            batches = draw_batches(rng, self.records, settings.steps, settings.batch_size)
        return descend(
            weights,
            self.signed,
            float(self.records),
            learning_rate=settings.learning_rate,
            steps=settings.steps,
            l2=settings.l2,
            batches=batches,
            hinges=len(self.signed) // self.records,
        )

    def evaluate(self, weights: FloatArray, settings: Settings) -> Judgement:
        """Judge a broadcast model on the clinic's own records (Algorithm 1, line 14)."""
        return judge(weights, self.features, self.labels, settings.l2, self.classes)


def clinic_of(context: Context, settings: Settings) -> Clinic:
    """Return the clinic that a Flower context stands for.

    Its shard is the file its machine names (``data-path`` in the node config, written by
    ``./run_federation.sh shards``), or its part of the simulated partition.

    Raises
    ------
    datasets.errors.DataError
        When the shard cannot be read or the partition has no such part.
    """
    partition = partition_of(context)
    path = context.node_config.get("data-path")
    if path is not None:
        return _deployed(str(cast(str, path)), partition, settings)
    return simulated_clinic(partition, settings)


def public_weight(clinic: Clinic, settings: Settings) -> int:
    """Return what the server is told that an upload weighs; 1 where sizes stay secret."""
    return 1 if settings.secure else clinic.weight


def make_clinic(partition: int, records: Table, settings: Settings) -> Clinic:
    """Return the clinic that holds ``records``."""
    mapping = feature_map(records, settings)
    features = mapping(records.features)
    signed = signed_rows(features, records.labels, len(records.classes))
    groups = None if settings.data_unit == "record" else records.groups
    units = group_units(signed, groups, len(signed) // len(records))
    weight = len(units) if settings.privacy in CERTIFIED_PRIVACY else len(records)
    bound = feature_bound(records, settings)
    return Clinic(
        partition, features, records.labels, records.classes, signed, units, weight, bound, groups
    )


def simulated_clinic(partition: int, settings: Settings) -> Clinic:
    """Return a clinic of the simulated partition, made once a run.

    Raises
    ------
    datasets.errors.DataError
        When the partition has no such part.
    """
    clinics = _clinics_of(settings)
    if partition not in clinics:
        federation = federation_of(settings)
        if not 0 <= partition < len(federation.shards):
            raise DataError(
                f"partition {partition} does not exist: the data is cut into "
                f"{len(federation.shards)} shards; start as many clients as there are shards"
            )
        shard = federation.table.take(federation.shards[partition])
        clinics[partition] = make_clinic(partition, shard, settings)
    return clinics[partition]


@lru_cache(maxsize=2)
def _clinics_of(_: Settings) -> dict[int, Clinic]:
    # Only the run that is going on: a comparison goes through thousands in one process.
    return {}


@lru_cache(maxsize=64)
def _deployed(path: str, partition: int, settings: Settings) -> Clinic:
    from datasets.shards import read_shard

    try:
        return make_clinic(partition, read_shard(path), settings)
    except DataError as fault:
        # What is wrong with a private file is for this machine's log: a server reads the reply.
        log(ERROR, "this clinic's shard cannot be used: %s", fault)
        raise DataError("this clinic's shard cannot be used; its own log says why") from None
