"""The privacy block of a run: what its noise certifies, by adversary and sensitivity."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

from server.federation import FederatedRun
from strategies.learning.task import feature_bound, federation_of
from strategies.privacy.adversaries import release_from_sizes
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.discrete_accounting import gap
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.mechanisms import mechanism_of, slice_counts_of, training_of
from strategies.privacy.report import SYSTEM, certify, certify_global_dp, no_privacy
from strategies.privacy.report_own import certify_dp_sgd, release_of
from strategies.privacy.report_shared import Opened, certify_shared
from strategies.privacy.report_warnings import STRICT_DELTA
from strategies.privacy.shared_upload import shared_noise_of
from strategies.secure_settings import SHARED_NOISE
from strategies.settings import LINEAR_AGGREGATIONS, Settings
from strategies.wrappers.secure_aggregation import ABANDONED, COHORT, RECORDS, SURVIVORS

DISCRETE = f"discrete Gaussian on a grid, {SYSTEM}"


def privacy_of(run: FederatedRun) -> dict[str, Any]:
    """Return the privacy block: nominal, and certified by adversary and sensitivity."""
    settings = run.settings
    if not settings.private:
        return no_privacy()
    if settings.privacy == "global-dp":
        block = _global_dp(run)
    elif settings.privacy == SHARED_NOISE:
        block = _shared(run)
    else:
        mechanism = mechanism_of(settings)
        block = _sampled(run, mechanism) if isinstance(mechanism, DPSGD) else _own(run, mechanism)
    block["mechanism"] = settings.privacy
    if settings.rates_privately:
        _add_ratings(block, settings)
    kept = settings.shown()["ledger"]
    block["ledger"] = kept or "fresh: this experiment starts every clinic from nothing"
    if settings.missing == "median":
        block["warnings"].append(
            "medians of all records fill the gaps, which no epsilon here accounts for: use "
            "--missing drop"
        )
    if settings.unit != "record" and settings.privacy == "global-dp":
        block["warnings"].append(
            "the nominal epsilon is of one record: the paper's noise is not made for "
            f"{settings.unit}s"
        )
    if not federation_of(settings).table.public_bounds:
        block["warnings"].append(
            "the attribute bounds were taken from the records, which no epsilon here accounts "
            "for: state public ones in the schema file"
        )
    return block


def _ratings_mu(settings: Settings) -> float:
    """Return the mu of all noised ratings that a clinic gives in a run, 0 where it gives none."""
    if not settings.rates_privately:
        return 0.0
    counts = slice_counts_of(settings)
    return counts.rating_mu * sqrt(counts.ratings)


def _add_ratings(block: dict[str, Any], settings: Settings) -> None:
    """Say what noised ratings cost; the certified figures hold for them and the uploads."""
    counts = slice_counts_of(settings)
    block["ratings"] = {
        "epsilon": counts.epsilon,
        "ratings": counts.ratings,
        "noise_std": counts.noise_std,
        "sensitivity": counts.sensitivity,
        "tolerated": counts.tolerated,
        "composition": "with the uploads, in every certified figure, against every adversary",
    }
    proven = block["certified_epsilon"]["server"]["proven"]
    held = "not held at all" if proven is None else f"held to {proven:.4g}"
    others = [text for text in block["warnings"] if not text.startswith("nominal epsilon")]
    block["warnings"] = [
        *others,
        f"epsilon {settings.epsilon:g} was asked of uploads and {counts.epsilon:g} of ratings: a "
        f"curious server is {held} of both at delta {settings.delta:g}",
    ]


def _global_dp(run: FederatedRun) -> dict[str, Any]:
    settings = run.settings
    bound = feature_bound(federation_of(settings).table, settings)
    return certify_global_dp(
        settings.calibration(),
        smallest_shard=min(run.sizes),
        sizes=_least_protected_sizes(run),
        training=training_of(settings, bound),
        private_noise=settings.noise != "seeded",
        linear=_known_mean(settings),
        unit=settings.unit,
        ratings_mu=_ratings_mu(settings),
        changed=1 if settings.unit == "record" else _most_records_of_a_unit(run),
    )


def _least_protected_sizes(run: FederatedRun) -> tuple[int, ...]:
    """Return the sizes of the round whose broadcast protects least, for all T rounds.

    With every clinic in every round all rounds are alike; where replies were missing this
    bounds the true composition from above.
    """
    settings, protocol, smallest = run.settings, run.settings.calibration(), min(run.sizes)
    linear = _known_mean(settings)

    def broadcast_mu(sizes: Sequence[int]) -> float:
        top_up = protocol.broadcast_noise_std(smallest, sizes) if linear else 0.0
        std = protocol.upload_noise_std(smallest)
        release = release_from_sizes(std, top_up, sizes, 1, 0, linear=linear)
        return release.worst_mu("broadcast", 1.0)

    return max(_merged_sizes(run), key=broadcast_mu)


def _own(run: FederatedRun, mechanism: DPGradientDescent | CertifiedRelease) -> dict[str, Any]:
    """Certify dp-gd or certified, whose noise is a fixed multiple of each clinic's sensitivity."""
    settings = run.settings
    linear = _known_mean(settings) and _in_step(run)
    found = [release_of(mechanism, sizes, settings.exposures) for sizes in _merged_sizes(run)]
    release, certificates = max(
        found, key=lambda pair: pair[0].worst_mu("broadcast", pair[1]["proven"].value)
    )
    block = certify(
        replace(release, linear=linear),
        certificates,
        nominal_epsilon=settings.epsilon,
        delta=settings.delta,
        sizes=run.sizes,
        private_noise=settings.noise != "seeded",
        unit=settings.unit,
        ratings_mu=_ratings_mu(settings),
    )
    if settings.noise == "discrete":
        sensitivity = certificates["proven"].value
        std = sensitivity / mechanism.upload_mu
        _make_discrete(block, settings, sensitivity, std, len(run.weights))
    return block


def _make_discrete(
    block: dict[str, Any], settings: Settings, sensitivity: float, std: float, dimension: int
) -> None:
    block["noise"] = DISCRETE
    for table, delta in (
        ("certified_epsilon", settings.delta),
        ("certified_epsilon_at_strict_delta", STRICT_DELTA),
    ):
        found = gap(sensitivity, std, settings.releases, dimension, delta)
        for row in block[table].values():
            # Sums of discrete Gaussians are no discrete Gaussian: every adversary is bounded by
            # what the server sees.
            row.update(dict.fromkeys(row, found.proven))
    found = gap(sensitivity, std, settings.releases, dimension, settings.delta)
    if found.proven > settings.epsilon:
        block["warnings"].append(
            f"of discrete noise {found.proven:.4g} is proven where {settings.epsilon:g} was asked "
            "for: ask for less, or take --noise system"
        )
    block["assumptions"].append(
        f"discrete noise: proven by zCDP, {found.ratio:.3f} times the {found.continuous:.4g} of "
        "continuous noise of the same size; against readers of sums it is bounded by the server's"
    )


def _sampled(run: FederatedRun, mechanism: DPSGD) -> dict[str, Any]:
    settings = run.settings
    fewest = min(_merged_sizes(run), key=len)  # the fewer clinics, the less noise in a broadcast
    block = certify_dp_sgd(
        mechanism,
        fewest,
        exposures=settings.exposures,
        private_noise=settings.noise != "seeded",
        unit=settings.unit,
        ratings_mu=_ratings_mu(settings),
    )
    if not _known_mean(settings):
        for table in ("certified_epsilon", "certified_epsilon_at_strict_delta"):
            block[table] = dict.fromkeys(block[table], block[table]["server"])
        block["assumptions"].append("a broadcast of a non-linear merge costs an upload")
    return block


def _shared(run: FederatedRun) -> dict[str, Any]:
    settings = run.settings
    opened = [record.metrics for record in run.rounds if SURVIVORS in record.metrics]
    return certify_shared(
        shared_noise_of(settings, len(run.weights)),
        [Opened(int(m[COHORT]), int(m[SURVIVORS])) for m in opened],
        records=max(int(metrics[RECORDS]) for metrics in opened),
        abandoned=sum(ABANDONED in record.metrics for record in run.rounds),
        private_noise=settings.noise != "seeded",
        unit=settings.unit,
    )


def _merged_sizes(run: FederatedRun) -> set[tuple[int, ...]]:
    """Return what sizes were merged together in some round."""
    return {tuple(sorted(record.sizes.values())) for record in run.rounds if record.sizes}


def _known_mean(settings: Settings) -> bool:
    """Return whether a broadcast is a mean with weights that do not depend on the uploads.

    Where clinics are judged by what they uploaded the weights do, and a broadcast is only known
    to be computed from the uploads: it costs one.
    """
    return settings.aggregation in LINEAR_AGGREGATIONS and settings.selection == "none"


def _in_step(run: FederatedRun) -> bool:
    """Return whether the noise of all uploads of a round was of one size, as a mean needs it.

    Where a clinic's first upload has less noise than its later ones, clinics that missed a round
    are out of step with the others.
    """
    if not run.settings.first_share:
        return True
    counts: dict[str, int] = {}
    for record in run.rounds:
        if len({counts.get(name, 0) for name in record.sizes}) > 1:
            return False
        counts |= {name: counts.get(name, 0) + 1 for name in record.uploaded}
    return True


def _most_records_of_a_unit(run: FederatedRun) -> int:
    federation = federation_of(run.settings)
    counts: dict[int, int] = {}
    for row in federation.train:
        patient = int(federation.table.groups[row])
        counts[patient] = counts.get(patient, 0) + 1
    return max(counts.values())
