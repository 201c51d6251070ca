"""A finished run as plain JSON values: its entry in result.json and the card of its model."""

import math
from importlib.metadata import version
from typing import Any

from server.federation import FederatedRun
from server.model import weights_sha256
from strategies.learning.task import feature_map, federation_of
from strategies.privacy.adversaries import Release, release_from_sizes
from strategies.privacy.report import Training, certificates_for, certify, no_privacy
from strategies.settings import LINEAR_AGGREGATIONS

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
        "market": {},
    }


def privacy_of(run: FederatedRun) -> dict[str, Any]:
    """Return the privacy block: nominal, and certified by adversary and sensitivity."""
    settings = run.settings
    if not settings.private:
        return no_privacy()
    mapping = feature_map(federation_of(settings).table, settings)
    training = Training(settings.learning_rate, settings.steps, mapping.norm_bound(), settings.l2)
    changed = _most_records_of_a_patient(run) if settings.unit == "patient" else 1
    return certify(
        _least_protected(run),
        certificates_for(settings.clip_norm, min(run.sizes), training, changed),
        nominal_epsilon=settings.epsilon,
        delta=settings.delta,
        sizes=run.sizes,
        private_noise=settings.noise == "system",
        unit=settings.unit,
    )


def _least_protected(run: FederatedRun) -> Release:
    """Return the release of the round whose broadcast protects least, for all T rounds.

    With every clinic in every round all rounds are alike; where replies were missing this
    bounds the true composition from above.
    """
    settings, protocol = run.settings, run.settings.calibration()
    linear = settings.aggregation in LINEAR_AGGREGATIONS
    smallest = min(run.sizes)
    merged = {tuple(sorted(record.sizes.values())) for record in run.rounds if record.sizes}
    releases = [
        release_from_sizes(
            protocol.upload_noise_std(smallest),
            protocol.broadcast_noise_std(smallest, sizes) if linear else 0.0,
            sizes,
            settings.rounds,
            settings.exposures,
            linear=linear,
        )
        for sizes in merged
    ]
    return max(releases, key=lambda release: release.worst_mu("broadcast", 1.0))


def _most_records_of_a_patient(run: FederatedRun) -> int:
    federation = federation_of(run.settings)
    counts: dict[int, int] = {}
    for row in federation.train:
        patient = int(federation.table.groups[row])
        counts[patient] = counts.get(patient, 0) + 1
    return max(counts.values())


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
        "settings": settings.as_dict(),
        "privacy": privacy_of(run),
        "held_out": {key: finite(run.final[key]) for key in REPORTED},
        "versions": versions(),
        "use": "research only: not a medical device, not validated for diagnosis",
    }


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
