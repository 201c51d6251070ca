"""The learning task of a run: the table its settings name, cut and mapped to features."""

from functools import lru_cache
from math import inf

from datasets.federated import FederatedTable, cut, load
from datasets.table import Table
from strategies.learning.features import FeatureMap
from strategies.settings import Settings


def feature_map(table: Table, settings: Settings) -> FeatureMap:
    """Return the feature map of a table's attribute bounds (public, or the report warns)."""
    low, high = zip(*table.bounds, strict=True)
    return FeatureMap(settings.features, low, high, settings.bias, settings.feature_scale)


def feature_bound(table: Table, settings: Settings) -> float:
    """Return a bound on every feature vector's norm that a proof may use.

    Infinite when the attribute bounds were taken from the records: then the map itself depends
    on them, and no bound holds for neighbouring data.
    """
    return feature_map(table, settings).norm_bound() if table.public_bounds else inf


def federation_of(settings: Settings) -> FederatedTable:
    """Return the simulated federation of ``settings``, read and cut once per process.

    Raises
    ------
    datasets.errors.DataError
        When the data cannot be read, or not cut as asked.
    """
    return _cut(load(settings.data, settings.schema, settings.missing), settings)


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
        unit="patient" if settings.unit == "patient" else "record",
    )
