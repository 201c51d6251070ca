"""The learning task of a run: the table its settings name, cut and mapped to features."""

from functools import lru_cache
from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from datasets.federated import FederatedTable, cut, load, load_objects
from datasets.table import Table
from strategies.learning.features import FeatureMap
from strategies.learning.linear_svm import FloatArray
from strategies.learning.metrics import Diagnosis, diagnose
from strategies.learning.one_versus_rest import BINARY, gradient_bound, hinges_of
from strategies.learning.recognition import Recognition, recognise
from strategies.settings import Settings

Judgement: TypeAlias = Diagnosis | Recognition
"""What is found of a model: of two classes a diagnosis, of more a recognition."""


def table_of(settings: Settings) -> Table:
    """Return the table that the settings name, read once per process.

    Raises
    ------
    datasets.errors.DataError
        When the data cannot be read.
    """
    if settings.is_learning:
        return load_objects(settings.data, settings.descriptors)
    return load(settings.data, settings.schema, settings.missing)


def judge(
    weights: FloatArray,
    features: FloatArray,
    labels: NDArray[np.int8],
    l2: float,
    classes: tuple[str, ...],
) -> Judgement:
    """Judge one model on held-out records, by as many classes as there are.

    Parameters are those of :func:`strategies.learning.recognition.recognise`.
    """
    if len(classes) == BINARY:
        return diagnose(weights, features, labels, l2)
    return recognise(weights, features, labels, l2, classes)


def feature_map(table: Table, settings: Settings) -> FeatureMap:
    """Return the feature map of a table's attribute bounds (public, or the report warns)."""
    low, high = zip(*table.bounds, strict=True)
    return FeatureMap(settings.features, low, high, settings.bias, settings.feature_scale)


def feature_bound(table: Table, settings: Settings) -> float:
    """Return a bound on every record's (sub)gradient that a proof may use.

    The largest norm of a feature vector, times sqrt(K) where a record has K hinges.
    Infinite when the attribute bounds were taken from the records: then the map itself depends
    on them, and no bound holds for neighbouring data.
    """
    if not table.public_bounds:
        return inf
    norm_bound = feature_map(table, settings).norm_bound()
    return gradient_bound(norm_bound, hinges_of(len(table.classes)))


def dimension_of(table: Table, settings: Settings) -> int:
    """Return the coordinates of a model: features, bias included, times hinges of a record."""
    return feature_map(table, settings).dimension * hinges_of(len(table.classes))


def federation_of(settings: Settings) -> FederatedTable:
    """Return the simulated federation of ``settings``, read and cut once per process.

    Raises
    ------
    datasets.errors.DataError
        When the data cannot be read, or not cut as asked.
    """
    return _cut(table_of(settings), settings)


@lru_cache(maxsize=8)
def _cut(table: Table, settings: Settings) -> FederatedTable:
    return cut(
        table,
        clients=settings.clients,
        seed=settings.seed,
        scheme=settings.partition,
        sizes=settings.shard_sizes,
        alpha=settings.skew,
        minimum=settings.min_records,
        test_fraction=settings.test_fraction,
        split=settings.split_unit,
        unit=settings.data_unit,
        public=settings.public_records if settings.rates_publicly else 0,
    )
