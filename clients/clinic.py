"""A clinic: its shard of records and what it does with a broadcast model."""

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from flwr.app import Context
from numpy.typing import NDArray

from clients.messages import partition_of
from datasets.errors import DataError
from datasets.table import Table
from strategies.learning.linear_svm import FloatArray, descend, draw_batches, sign_records
from strategies.learning.metrics import Diagnosis, diagnose
from strategies.learning.task import feature_map, federation_of
from strategies.randomness import Purpose, generator
from strategies.settings import Settings


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
        +1 diseased, -1 healthy.
    signed : ndarray, shape (n, d)
        Labels times features.
    """

    partition: int
    features: FloatArray
    labels: NDArray[np.int8]
    signed: FloatArray

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
        )

    def evaluate(self, weights: FloatArray, settings: Settings) -> Diagnosis:
        """Judge a broadcast model on the clinic's own records (Algorithm 1, line 14)."""
        return diagnose(weights, self.features, self.labels, settings.l2)


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
    return _simulated(partition, settings)


def make_clinic(partition: int, records: Table, settings: Settings) -> Clinic:
    """Return the clinic that holds ``records``."""
    features = feature_map(records, settings)(records.features)
    return Clinic(partition, features, records.labels, sign_records(features, records.labels))


@lru_cache(maxsize=4096)
def _simulated(partition: int, settings: Settings) -> Clinic:
    federation = federation_of(settings)
    if not 0 <= partition < len(federation.shards):
        raise DataError(
            f"partition {partition} does not exist: the data is cut into "
            f"{len(federation.shards)} shards; start as many clients as there are shards"
        )
    shard = federation.table.take(federation.shards[partition])
    return make_clinic(partition, shard, settings)


@lru_cache(maxsize=64)
def _deployed(path: str, partition: int, settings: Settings) -> Clinic:
    from datasets.shards import read_shard

    return make_clinic(partition, read_shard(path), settings)
