"""The mechanism that settings name, and what one upload of it costs a clinic.

One place for client, server and ledger to agree on: the same cached object calibrates the
noise, charges the ledger and is certified in the report.
"""

from functools import lru_cache
from math import sqrt
from typing import Any, TypeAlias

from strategies.privacy.accounting import (
    SampledRelease,
    compose,
    epsilon_of_releases,
    mu_of_epsilon,
)
from strategies.privacy.certificate import SensitivityCertificate
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.discrete_accounting import gap
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.report import Training, certificates_for
from strategies.privacy.shared_upload import upload_mu
from strategies.privacy.slice_counts import SliceCounts
from strategies.rating_settings import COMPLAIN_ABOVE
from strategies.settings import Settings, SettingsError

LARGEST_MODEL = 1 << 20
"""Coordinates up to which the rounding of discrete noise is charged for; it hardly shows."""

Mechanism: TypeAlias = DPGradientDescent | CertifiedRelease | DPSGD


@lru_cache(maxsize=256)
def mechanism_of(settings: Settings) -> Mechanism:
    """Return the certified mechanism of ``settings.privacy``.

    Raises
    ------
    SettingsError
        When the settings name none, or its parameters do not go together.
    """
    values = settings.as_dict()
    promise: dict[str, Any] = {name: values[name] for name in ("epsilon", "delta")}
    promise["rounds"] = settings.releases
    shape: dict[str, Any] = {name: values[name] for name in ("clip_norm", "learning_rate")}
    try:
        if settings.privacy == "dp-gd":
            return DPGradientDescent(**promise, **shape, first_share=settings.first_share)
        if settings.privacy == "dp-sgd":
            return DPSGD(**promise, **shape, steps=settings.steps, batches=settings.batches)
        if settings.privacy == "certified":
            return CertifiedRelease(
                **promise,
                **shape,
                steps=settings.steps,
                feature_bound=settings.feature_bound,
                smoothing=settings.smoothing,
                hinges=settings.hinges,
            )
    except ValueError as fault:
        raise SettingsError(f"{settings.privacy}: {fault}") from fault
    raise SettingsError(f"{settings.privacy} is no mechanism with a proven epsilon")


@lru_cache(maxsize=256)
def slice_counts_of(settings: Settings) -> SliceCounts:
    """Return the calibration of a run's noised ratings: each clinic rates once a round."""
    return SliceCounts(settings.rating_epsilon, settings.delta, settings.rounds, COMPLAIN_ABOVE)


def training_of(settings: Settings, norm_bound: float) -> Training:
    """Return what a proof may use of the paper's local training."""
    return Training(settings.learning_rate, settings.steps, norm_bound, settings.l2)


def global_dp_certificates(
    settings: Settings, smallest_shard: int, norm_bound: float, changed: int = 1
) -> dict[str, SensitivityCertificate]:
    """Return the certificates of the paper's upload: claimed, proven, worst."""
    training = training_of(settings, norm_bound)
    return certificates_for(settings.clip_norm, smallest_shard, training, changed)


@lru_cache(maxsize=4096)
def upload_cost(
    settings: Settings, smallest_shard: int, norm_bound: float, upload: int = 1
) -> tuple[float, SampledRelease | None]:
    """Return what one upload costs against a curious server.

    Parameters
    ----------
    settings : Settings
        Of a run with noise.
    smallest_shard : int
        m that the noise of global-dp is calibrated for.
    norm_bound : float
        Largest norm of a feature vector.
    upload : int
        Which of the clinic's uploads in this run it is, the first is 1.

    Returns
    -------
    mu : float
        Of a Gaussian release, from the smallest proven sensitivity; 0 for dp-sgd.
    sampled : SampledRelease or None
        Of dp-sgd.
    """
    if settings.privacy == "dp-sgd":
        mechanism = mechanism_of(settings)
        return 0.0, mechanism.release if isinstance(mechanism, DPSGD) else None
    if settings.privacy == "global-dp":
        proven = global_dp_certificates(settings, smallest_shard, norm_bound)["proven"].value
        return proven / settings.calibration().upload_noise_std(smallest_shard), None
    if settings.privacy == "shared-noise":
        return upload_mu(settings, settings.clients, settings.clients), None
    mechanism = mechanism_of(settings)
    if isinstance(mechanism, DPGradientDescent):
        mu = mechanism.upload_mu_of(upload)
    else:
        mu = mechanism.upload_mu  # type: ignore[union-attr]  # DPSGD was handled above
    if settings.noise == "discrete":
        # Charge what is proven of discrete noise over the whole run, not the continuous figure.
        found = gap(mu, 1.0, settings.releases, LARGEST_MODEL, settings.delta)
        mu = mu_of_epsilon(found.proven, settings.delta) / sqrt(settings.releases)
    return mu, None


@lru_cache(maxsize=65536)
def spent_epsilon(
    settings: Settings,
    smallest_shard: int,
    norm_bound: float,
    uploads: int,
    delta: float | None = None,
    ratings: int = 0,
) -> float:
    """Return the certified eps that ``uploads`` uploads cost against a curious server.

    At ``delta``, or at the run's own; together with as many noised ``ratings``.
    """
    if uploads == ratings == 0:
        return 0.0
    mu, sampled = upload_cost(settings, smallest_shard, norm_bound)
    releases = [] if sampled is None else [sampled] * uploads
    mu *= sqrt(uploads)
    if settings.first_share:
        costs = (upload_cost(settings, smallest_shard, norm_bound, n + 1) for n in range(uploads))
        mu = compose(cost for cost, _ in costs)
    if ratings:
        mu = compose((mu, slice_counts_of(settings).rating_mu * sqrt(ratings)))
    return epsilon_of_releases(mu, releases, settings.delta if delta is None else delta)
