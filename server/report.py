"""A finished run as plain JSON values: its entry in result.json and the card of its model."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from server.certification import privacy_of
from server.federation import FederatedRun
from server.loop import RoundRecord
from server.model import weights_sha256
from strategies.attack_settings import ALWAYS, attackers_of
from strategies.learn_settings import LEARNT
from strategies.learning.metrics import floors
from strategies.learning.recognition import (
    RATES,
    confusion_names,
    majority_share,
    recall_names,
)
from strategies.learning.task import feature_map, federation_of, table_of
from strategies.settings import Settings
from strategies.wrappers.secure_aggregation import RECORDS

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


def reported(settings: Settings) -> tuple[str, ...]:
    """Return the names of the metrics that a run's model is judged by."""
    if not settings.is_learning:
        return REPORTED
    return (*RATES, *recall_names(LEARNT), *confusion_names(LEARNT))


def run_entry(run: FederatedRun) -> dict[str, Any]:
    """Return one element of ``runs`` in result.json."""
    final = {key: finite(run.final[key]) for key in reported(run.settings)}
    final |= {"seconds": run.seconds, "weights_sha256": weights_sha256(run.weights)}
    return {
        "strategy": run.settings.strategy,
        "cell": cell_of(run.settings),
        "seed": run.settings.seed,
        "clients": run.settings.clients,
        "attack": _attack(run),
        "records": _records(run),
        "rounds": [_round(record) for record in run.rounds],
        "final": final,
        "privacy": privacy_of(run),
        "market": _market(run),
    }


def _records(run: FederatedRun) -> dict[str, int | None]:
    """Return what the server knows of sizes: under secure aggregation only their sum."""
    if run.settings.secure:
        return {"smallest_shard": None, "total": records_in_sum(run.rounds)}
    return {"smallest_shard": min(run.sizes), "total": sum(run.sizes)}


def records_in_sum(rounds: Sequence[RoundRecord]) -> int:
    """Return the most records that an opened sum was of."""
    return max(int(r.metrics[RECORDS]) for r in rounds if RECORDS in r.metrics)


def cell_of(settings: Settings) -> dict[str, Any]:
    """Return what tells a run from others of its strategy: eps, and who attacks how."""
    cell: dict[str, Any] = {"epsilon": settings.epsilon if settings.private else None}
    if not settings.attack:
        return cell
    cell |= {"attack": settings.attack, "attackers": len(attackers_of(settings))}
    if settings.attack_schedule != ALWAYS:
        cell["attack_schedule"] = settings.attack_schedule
    return cell


def _attack(run: FederatedRun) -> dict[str, Any]:
    """Return who attacked how; empty where nobody was told to."""
    if not run.settings.attack:
        return {}
    return {
        "name": run.settings.attack,
        "schedule": run.settings.attack_schedule,
        "attackers": list(run.attackers),
    }


def _round(record: RoundRecord) -> dict[str, Any]:
    found = finite_values(record.as_dict())
    return found | ({"trust": record.trust} if record.trust else {})


def _market(run: FederatedRun) -> dict[str, Any]:
    """Return what the uploads cost, micro-credits; empty where nobody sells."""
    if run.settings.auction == "none":
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
    classes: list[str] | dict[str, str]
    kind = "linear SVM, score = <weights, features>; positive class when above 0"
    use = "research only: not a medical device, not validated for diagnosis"
    if settings.is_learning:
        kind = (
            "one-versus-rest linear SVM: weights class after class, score = <weights of the "
            "class, features>; the class of the highest score"
        )
        classes = list(table.classes)
        use = "research only: not for driving, trained on scenes of three kinds of road users"
    else:
        classes = {"negative": table.classes[0], "positive": table.classes[1]}
    return {
        "model": kind,
        "dataset": table.name,
        "attributes": list(table.feature_names),
        "classes": classes,
        "features": {
            "map": mapping.name,
            "low": list(mapping.low),
            "high": list(mapping.high),
            "bias": mapping.bias,
            "scale": mapping.scale,
        },
        "settings": settings.shown(),
        "privacy": privacy_of(run),
        "held_out": {key: finite(run.final[key]) for key in reported(settings)},
        "versions": versions(),
        "use": use,
    }


def floors_of(settings: Settings) -> dict[str, float]:
    """Return the floors of the table the settings read (the mean rule is BCWD's).

    On CARRADA's objects: the commonest class, and the class whose published medians are nearest.
    """
    table = table_of(settings)
    if settings.is_learning:
        from datasets.carrada.nearest_rule import nearest_class

        named = nearest_class(table.features, table.feature_names)
        right = float((named == table.labels).mean())
        return {"majority": majority_share(table.labels), "nearest_rule": right}
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
