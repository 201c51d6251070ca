"""The clinics of one seed stacked into one array, for the numeric core."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from strategies.learning.linear_svm import FloatArray
from strategies.learning.one_versus_rest import hinges_of, signed_rows
from strategies.learning.task import dimension_of, feature_map, federation_of
from strategies.settings import Settings


@dataclass(frozen=True)
class Cohort:
    """The clinics and the held-out set of one seed.

    Parameters
    ----------
    seed : int
        Seed that the records were cut with and that the noise is drawn with.
    classes : tuple of str
        Names of the K classes.
    signed : ndarray, shape (V, n, d), or (V, n K, K d) of K > 2 classes
        Records times their labels, clinics in identity order, zero rows for padding.
    features : ndarray, shape (V, n, d)
        Feature vectors, padded alike.
    labels : ndarray of int8, shape (V, n)
        +1 diseased, -1 healthy, or 1..K of more than two classes; 0 padding.
    sizes : tuple of int, length V
        True number of records of each clinic.
    test_features : ndarray, shape (k, d)
    test_labels : ndarray of int8, shape (k,)
    """

    seed: int
    classes: tuple[str, ...]
    signed: FloatArray
    features: FloatArray
    labels: NDArray[np.int8]
    sizes: tuple[int, ...]
    test_features: FloatArray
    test_labels: NDArray[np.int8]

    @property
    def hinges(self) -> int:
        """Return how many rows of ``signed`` a record has."""
        return hinges_of(len(self.classes))

    def first(self, clients: int, records: int) -> Self:
        """Return the first ``clients`` clinics, each with its first ``records`` records.

        Raises
        ------
        ValueError
            When there are fewer clinics, or one of them holds fewer records.
        """
        if clients > len(self.sizes) or records > min(self.sizes[:clients]):
            raise ValueError(
                f"{clients} clinics with {records} records each do not fit a cohort of "
                f"{len(self.sizes)} with at least {min(self.sizes)}"
            )
        return replace(
            self,
            signed=np.ascontiguousarray(self.signed[:clients, : records * self.hinges]),
            features=self.features[:clients, :records],
            labels=self.labels[:clients, :records],
            sizes=(records,) * clients,
        )

    def records(self) -> tuple[FloatArray, NDArray[np.int8]]:
        """Return features (n, d) and labels (n,) of all clinics together, padding removed."""
        held = self.labels != 0
        return self.features[held], self.labels[held]


def cohort(settings: Settings, seed: int) -> Cohort:
    """Cut the data of ``settings`` with another seed and stack it.

    Raises
    ------
    datasets.errors.DataError
        When the table cannot be read or cut as asked.
    """
    settings = settings.changed(seed=seed)
    parts = federation_of(settings)
    table = parts.table
    to_features = feature_map(table, settings)
    classes, longest = len(table.classes), max(parts.sizes)
    hinges = hinges_of(classes)
    signed = np.zeros((len(parts.sizes), longest * hinges, dimension_of(table, settings)))
    features = np.zeros((len(parts.sizes), longest, to_features.dimension))
    labels = np.zeros((len(parts.sizes), longest), dtype=np.int8)
    for clinic, shard in enumerate(parts.shards):
        labels[clinic, : len(shard)] = table.labels[shard]
        own = to_features(table.features[shard])
        features[clinic, : len(shard)] = own
        rows = signed_rows(own, table.labels[shard], classes)
        signed[clinic, : len(rows)] = rows
    return Cohort(
        seed=seed,
        classes=table.classes,
        signed=signed,
        features=features,
        labels=labels,
        sizes=parts.sizes,
        test_features=to_features(table.features[parts.test]),
        test_labels=table.labels[parts.test],
    )
