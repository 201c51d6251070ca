"""A finished run as plain JSON values: its entry in result.json and the card of its model."""

import math
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from datasets.federated import load
from server.certification import privacy_of
from server.federation import FederatedRun
from server.model import weights_sha256
from strategies.learning.metrics import floors
from strategies.learning.task import feature_map, federation_of
from strategies.settings import Settings

MEAN_RULE_THRESHOLD = 3.0
REPORTED = (
    "accuracy",
    "loss",
    "sensitivity",
    "specificity",
    "auc",
    "true_positive",
    "false_negative",
    "true_negative",
    "false_positive",
)


def run_entry(run: FederatedRun) -> dict[str, Any]:
    """Return one element of ``runs`` in result.json."""
    final = {key: finite(run.final[key]) for key in REPORTED}
    final |= {"seconds": run.seconds, "weights_sha256": weights_sha256(run.weights)}
    return {
        "strategy": run.settings.strategy,
        "cell": {"epsilon": run.settings.epsilon if run.settings.private else None},
        "seed": run.settings.seed,
        "clients": run.settings.clients,
        "records": {"smallest_shard": min(run.sizes), "total": sum(run.sizes)},
        "rounds": [finite_values(record.as_dict()) for record in run.rounds],
        "final": final,
        "privacy": privacy_of(run),
        "market": _market(run),
    }


def _market(run: FederatedRun) -> dict[str, Any]:
    """Return what the uploads cost, micro-credits; empty where nobody sells."""
    if not run.settings.price_per_epsilon:
        return {}
    bought = [record.metrics for record in run.rounds[1:]]
    return {
        "payments": sum(int(metrics.get("paid", 0)) for metrics in bought),
        "uploads_bought": sum(int(metrics.get("winners", 0)) for metrics in bought),
        "price_per_epsilon": run.settings.price_per_epsilon,
    }


def card_of(run: FederatedRun) -> dict[str, Any]:
    """Return the model card: features, classes, settings and privacy beside the weights."""
    settings = run.settings
    table = federation_of(settings).table
    mapping = feature_map(table, settings)
    return {
        "model": "linear SVM, score = <weights, features>; positive class when above 0",
        "dataset": table.name,
        "attributes": list(table.feature_names),
        "classes": {"negative": table.classes[0], "positive": table.classes[1]},
        "features": {
            "map": mapping.name,
            "low": list(mapping.low),
            "high": list(mapping.high),
            "bias": mapping.bias,
            "scale": mapping.scale,
        },
        "settings": settings.shown(),
        "privacy": privacy_of(run),
        "held_out": {key: finite(run.final[key]) for key in REPORTED},
        "versions": versions(),
        "use": "research only: not a medical device, not validated for diagnosis",
    }


def floors_of(settings: Settings) -> dict[str, float]:
    """Return the floors of the table the settings read (the mean rule is BCWD's)."""
    table = load(settings.data, settings.schema, settings.missing)
    found = asdict(floors(table.features, table.labels, MEAN_RULE_THRESHOLD))
    return found if not settings.schema else {"majority": found["majority"]}


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    import platform

    packages = ("flwr", "numpy", "scikit-learn", "dp-accounting")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def finite(value: Any) -> Any:
    """Return ``value``, or None for a float that JSON cannot carry."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def finite_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return a dict with every non-finite float replaced by None."""
    return {key: finite(value) for key, value in values.items()}
