"""A clinic as a user of the model: which class slices it complains of.

It judges the broadcast on the public slice, so that what it says of the model tells nothing of
its own records; without one, as on a machine of its own, it has visited nothing and says nothing.
With ``--ratings noised`` it judges on its own records, by counts with noise that its ledger is
charged for. A hostile clinic says what serves it.
"""

from functools import lru_cache

import numpy as np
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from clients.clinic import Clinic, clinic_of, public_weight
from clients.messages import noise_of, partition_of, record_of, round_of
from clients.noise_mod import noise_source
from strategies.learning.linear_svm import FloatArray
from strategies.learning.one_versus_rest import BINARY, class_scores, predict_classes
from strategies.learning.task import feature_map, federation_of
from strategies.privacy.mechanisms import slice_counts_of
from strategies.randomness import Purpose
from strategies.rating_settings import BAD_MOUTH, COMPLAIN_ABOVE
from strategies.settings import Settings
from strategies.wrappers.market_messages import COMPLAINED, VISITED

Labels = NDArray[np.int8]


def rate_slices(
    message: Message, context: Context, settings: Settings, weights: FloatArray
) -> dict[str, int]:
    """Return the entries of a rating: slices visited and complained of, as bits.

    A slice is complained of when more than a quarter of its public records is misjudged, or, by
    noised counts, when more of its own are than noise alone would show. Which classes a clinic
    holds is not for others: noised, it has visited every slice.

    Raises
    ------
    strategies.privacy.ledger.PrivacyBudgetExhausted
        When noised counts are more than the clinic's budget allows.
    """
    if settings.rates_privately:
        from clients.rating_ledger import charged_rating  # and with it the accountant

        clinic = clinic_of(context, settings)
        complained = charged_rating(
            message, context, settings, lambda: _noised(message, context, settings, clinic, weights)
        )
        return {VISITED: _everything(len(clinic.classes)), COMPLAINED: complained}
    if "data-path" in context.node_config:
        return {VISITED: 0, COMPLAINED: 0}
    features, labels, classes = _public_slice(settings)
    wrong = _misjudged(weights, features, labels, classes)
    visited = complained = 0
    for bit, label in enumerate((-1, 1) if classes == BINARY else range(1, classes + 1)):
        of_class = labels == label
        if of_class.any():
            visited |= 1 << bit
            complained |= int(wrong[of_class].mean() > COMPLAIN_ABOVE) << bit
    return {VISITED: visited, COMPLAINED: complained}


def lying_rating(message: Message, context: Context, settings: Settings) -> Message:
    """Return a hostile clinic's rating: of every slice a complaint, or of none, whatever it saw."""
    clinic = clinic_of(context, settings)
    everything = _everything(len(clinic.classes))
    complained = everything if settings.rating_attack == BAD_MOUTH else 0
    metrics = {"num-examples": public_weight(clinic, settings)}
    metrics |= {VISITED: everything, COMPLAINED: complained}
    return Message(RecordDict({"metrics": MetricRecord({**metrics})}), reply_to=message)


def _noised(
    message: Message, context: Context, settings: Settings, clinic: Clinic, weights: FloatArray
) -> int:
    """Return the complaints of a clinic by noised counts of its own records, as bits."""
    classes, counts = len(clinic.classes), slice_counts_of(settings)
    wrong = _misjudged(weights, clinic.features, clinic.labels, classes)
    slices = (clinic.labels > 0).astype(np.int64) if classes == BINARY else clinic.labels - 1
    excess = counts.excess(wrong, slices.astype(np.int64), clinic.unit_of, classes)
    kind, partition = noise_of(context, settings), partition_of(context)
    noise = noise_source(kind, settings.seed, partition, Purpose.RATING_NOISE)
    number = round_of(record_of(message, ConfigRecord))
    found = counts.complaints(excess, noise.standard_normal(classes, number))
    return sum(int(bad) << bit for bit, bad in enumerate(found))


def _misjudged(
    weights: FloatArray, features: FloatArray, labels: Labels, classes: int
) -> NDArray[np.bool_]:
    if classes == BINARY:
        return np.asarray((features @ weights > 0.0) != (labels > 0))
    return np.asarray(predict_classes(class_scores(weights, features, classes)) != labels)


def _everything(classes: int) -> int:
    return (1 << classes) - 1


@lru_cache(maxsize=4)
def _public_slice(settings: Settings) -> tuple[FloatArray, Labels, int]:
    parts = federation_of(settings)
    records = parts.table.take(parts.public)
    return feature_map(records, settings)(records.features), records.labels, len(records.classes)
