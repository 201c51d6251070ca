"""The Flower strategies offered at the core, built so that they never wait for nodes.

Flower's ``sample_nodes`` polls forever while nodes are too few; with fraction 1 and
``min_*`` 0 it takes whoever the outer layers left, and waiting is the server's own, bounded.
"""

from typing import Any

from flwr.serverapp.strategy import (
    Bulyan,
    FedAdam,
    FedAvg,
    FedMedian,
    FedTrimmedAvg,
    Krum,
    MultiKrum,
    Strategy,
)

from strategies.settings import Settings

_EVERYBODY: dict[str, Any] = {
    "fraction_train": 1.0,
    "fraction_evaluate": 1.0,
    "min_train_nodes": 0,
    "min_evaluate_nodes": 0,
    "min_available_nodes": 0,
}


def build_aggregation(settings: Settings) -> Strategy:
    """Return the Flower strategy that ``settings.aggregation`` names.

    multi-Krum averages the n - f - 2 best uploads (Blanchard et al., 2017), n being all
    clinics; FedAdam's server optimiser uses ``server_rate``.
    """
    faulty: dict[str, Any] = {"num_malicious_nodes": settings.byzantine}
    name = settings.aggregation
    if name == "fedadam":
        return FedAdam(**_EVERYBODY, eta=settings.server_rate)
    if name == "fedmedian":
        return FedMedian(**_EVERYBODY)
    if name == "fedtrimmedavg":
        return FedTrimmedAvg(**_EVERYBODY, beta=settings.trim)
    if name == "krum":
        return Krum(**_EVERYBODY, **faulty)
    if name == "multikrum":
        chosen = max(1, settings.clients - settings.byzantine - 2)
        return MultiKrum(**_EVERYBODY, **faulty, num_nodes_to_select=chosen)
    if name == "bulyan":
        return Bulyan(**_EVERYBODY, **faulty)
    return FedAvg(**_EVERYBODY)
