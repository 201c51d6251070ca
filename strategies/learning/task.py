"""The learning task of a run: the table its settings name, cut and mapped to features."""

from functools import lru_cache

from datasets.federated import FederatedTable, cut, load
from datasets.table import Table
from strategies.learning.features import FeatureMap
from strategies.settings import Settings


def feature_map(table: Table, settings: Settings) -> FeatureMap:
    """Return the feature map of a table's public attribute bounds."""
    low, high = zip(*table.bounds, strict=True)
    return FeatureMap(settings.features, low, high, settings.bias)


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
        alpha=settings.alpha,
        minimum=settings.min_records,
        test_fraction=settings.test_fraction,
        split=settings.split_unit,
        unit=settings.unit,
    )
