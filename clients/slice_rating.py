"""A clinic as a user of the model: which class slices it complains of.

It judges the broadcast on the public slice, so that what it says of the model tells nothing of
its own records. Without one, as on a machine of its own, it has visited nothing and says nothing.
"""

from functools import lru_cache

import numpy as np
from flwr.app import Context
from numpy.typing import NDArray

from strategies.learning.linear_svm import FloatArray
from strategies.learning.one_versus_rest import BINARY, class_scores, predict_classes
from strategies.learning.task import feature_map, federation_of
from strategies.settings import Settings
from strategies.trust_settings import COMPLAIN_ABOVE
from strategies.wrappers.market_messages import COMPLAINED, VISITED


def rate_slices(context: Context, settings: Settings, weights: FloatArray) -> dict[str, int]:
    """Return the entries of a rating: slices visited and complained of, as bits.

    A slice is complained of when more than a quarter of its public records is misjudged.
    """
    if "data-path" in context.node_config:
        return {VISITED: 0, COMPLAINED: 0}
    features, labels, classes = _public_slice(settings)
    if classes == BINARY:
        right = (features @ weights > 0.0) == (labels > 0)
    else:
        right = predict_classes(class_scores(weights, features, classes)) == labels
    visited = complained = 0
    for bit, label in enumerate((-1, 1) if classes == BINARY else range(1, classes + 1)):
        of_class = labels == label
        if of_class.any():
            visited |= 1 << bit
            complained |= int(1.0 - right[of_class].mean() > COMPLAIN_ABOVE) << bit
    return {VISITED: visited, COMPLAINED: complained}


@lru_cache(maxsize=4)
def _public_slice(settings: Settings) -> tuple[FloatArray, NDArray[np.int8], int]:
    parts = federation_of(settings)
    records = parts.table.take(parts.public)
    return feature_map(records, settings)(records.features), records.labels, len(records.classes)
