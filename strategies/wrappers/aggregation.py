"""The Flower strategies offered at the core, built so that they never wait for nodes.

Flower's ``sample_nodes`` polls forever while nodes are too few; with fraction 1 and
``min_*`` 0 it takes whoever the outer layers left, and waiting is the server's own, bounded.
"""

from typing import Any

from flwr.serverapp.strategy import FedAdam, FedAvg, FedMedian, FedTrimmedAvg, Strategy

from strategies.setting_fields import is_import_path
from strategies.settings import Settings
from strategies.wrappers.byzantine import CautiousBulyan, CautiousKrum, CautiousMultiKrum
from strategies.wrappers.own_strategy import own_strategy

_EVERYBODY: dict[str, Any] = {
    "fraction_train": 1.0,
    "fraction_evaluate": 1.0,
    "min_train_nodes": 0,
    "min_evaluate_nodes": 0,
    "min_available_nodes": 0,
}


def build_aggregation(settings: Settings) -> Strategy:
    """Return the Flower strategy that ``settings.aggregation`` names.

    multi-Krum averages the n - f - 2 best of n uploads (Blanchard et al., 2017); FedAdam's
    server optimiser uses ``server_rate``. ``module:Name`` is a strategy of the user's own.

    Raises
    ------
    SettingsError
        When a strategy of the user's own cannot be imported or made.
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
        return CautiousKrum(**_EVERYBODY, **faulty)
    if name == "multikrum":
        return CautiousMultiKrum(**_EVERYBODY, **faulty)
    if name == "bulyan":
        return CautiousBulyan(**_EVERYBODY, **faulty)
    if is_import_path(name):
        return own_strategy(name, _EVERYBODY)
    return FedAvg(**_EVERYBODY)
