"""The privacy block of the mechanisms whose guarantee holds: certified, dp-gd, dp-sgd.

What they claim is what is proven. Shares here are by noise: clinic i's part of the noise in a
broadcast is ``pi_i sigma_i``, and with sensitivities in the same proportion the mu of a
broadcast is ``mu_up s_i / sqrt(sum_j s_j^2)`` with ``s_i = pi_i sigma_i / sum``.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import fsum, sqrt
from typing import Any

from strategies.privacy.accounting import SampledRelease, epsilon_of_releases
from strategies.privacy.adversaries import Release
from strategies.privacy.certificate import SensitivityCertificate
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.report import certify, describe
from strategies.privacy.report_warnings import STRICT_DELTA, warnings_of

Gaussian = DPGradientDescent | CertifiedRelease
Certificates = dict[str, SensitivityCertificate]


def release_of(
    mechanism: Gaussian | DPSGD, units: Sequence[int], exposures: int
) -> tuple[Release, Certificates]:
    """Return what a run lets out, and its sensitivities in the same units.

    Parameters
    ----------
    mechanism : DPGradientDescent, CertifiedRelease or DPSGD
        Its calibration.
    units : sequence of int
        Records (or patients) of each clinic.
    exposures : int
        E, uploads of a clinic an eavesdropper is assumed to overhear.
    """
    exposures = min(exposures, mechanism.rounds)
    if isinstance(mechanism, CertifiedRelease):
        # The largest clinic has the smallest noise: the worst case 2B weighs most there.
        largest, total = max(units), sum(units)
        noise = [size / total * mechanism.noise_std(size) for size in units]
        shares = tuple(part / fsum(noise) for part in noise)
        proven = mechanism.certificate(largest)
        worst = SensitivityCertificate.worst_case(mechanism.clip_norm)
        release = Release(mechanism.noise_std(largest), 0.0, shares, mechanism.rounds, exposures)
        return release, {"claimed": proven, "proven": proven, "worst": worst}
    clip = gradient_sum(mechanism.clip_norm)
    equal = (1.0 / len(units),) * len(units)
    release = Release(mechanism.noise_std, 0.0, equal, mechanism.rounds, exposures)
    if isinstance(mechanism, DPGradientDescent) and mechanism.first_share:
        release = replace(release, schedule=mechanism.noise_stds)
    return release, {"claimed": clip, "proven": clip, "worst": clip}


def gradient_sum(clip_norm: float) -> SensitivityCertificate:
    """Return 2C: replacing one clipped contribution to a sum moves it by no more."""
    return SensitivityCertificate(
        2 * clip_norm,
        "proven",
        f"2 C = 2 x {clip_norm:g}: sum of contributions clipped to norm C (Abadi et al. 2016)",
        ("every unit's summed gradient is clipped to norm C, whatever its records",),
    )


def certify_own(
    mechanism: Gaussian,
    units: Sequence[int],
    *,
    exposures: int,
    private_noise: bool,
    unit: str = "record",
) -> dict[str, Any]:
    """Return the privacy block of a certified or dp-gd run.

    Parameters
    ----------
    mechanism, units, exposures
        As in :func:`release_of`.
    private_noise : bool
        Whether the noise came from a CSPRNG and not from a seed.
    unit : str
        ``record`` or ``patient``: what ``units`` counts.
    """
    release, certificates = release_of(mechanism, units, exposures)
    return certify(
        release,
        certificates,
        nominal_epsilon=mechanism.epsilon,
        delta=mechanism.delta,
        sizes=units,
        private_noise=private_noise,
        unit=unit,
    )


def certify_dp_sgd(
    mechanism: DPSGD,
    units: Sequence[int],
    *,
    exposures: int,
    private_noise: bool,
    unit: str = "record",
    ratings_mu: float = 0.0,
) -> dict[str, Any]:
    """Return the privacy block of a dp-sgd run, by PLD; parameters as in :func:`certify_own`.

    With one local step a broadcast carries the noise of all clinics, ``z sqrt(V)``; with more,
    the steps in between depend on the data and a broadcast is charged as an upload. What ratings
    cost (``ratings_mu``) is known to every adversary.
    """
    release, certificates = release_of(mechanism, units, exposures)
    certificates = {name: _sampled(item) for name, item in certificates.items()}
    table = _by_pld(mechanism, len(units), exposures, mechanism.delta, ratings_mu)
    return {
        "nominal_epsilon": mechanism.epsilon,
        "delta": mechanism.delta,
        "unit": unit,
        "relation": "replace-one",
        "certified_epsilon": table,
        "strict_delta": STRICT_DELTA,
        "certified_epsilon_at_strict_delta": _by_pld(
            mechanism, len(units), exposures, STRICT_DELTA, ratings_mu
        ),
        "accountant": "PLD of Poisson-sampled Gaussian sums (dp-accounting), rounded up",
        "opacus_epsilon": mechanism.opacus_epsilon(),
        "opacus_accountant": "RDP, add-remove: for information, not this block's relation",
        "sensitivity": {name: item.as_dict() for name, item in certificates.items()},
        **describe(release, private_noise),
        "warnings": warnings_of(table, mechanism.epsilon, mechanism.delta, units, private_noise),
    }


def _by_pld(
    mechanism: DPSGD, clinics: int, exposures: int, delta: float, ratings_mu: float
) -> dict[str, dict[str, float | None]]:
    heard = mechanism.release
    spread = sqrt(clinics) if mechanism.steps == 1 else 1.0
    read = replace(heard, noise_multiplier=heard.noise_multiplier * spread)
    heard_most = min(exposures, mechanism.rounds)
    rounds = {"server": mechanism.rounds, "eavesdropper": heard_most, "broadcast": 0}
    table: dict[str, dict[str, float | None]] = {}
    for name, uploads in rounds.items():
        parts = _times(heard, uploads), _times(read, mechanism.rounds - uploads)
        epsilon = epsilon_of_releases(ratings_mu, parts, delta)
        table[name] = {"claimed": epsilon, "proven": epsilon, "worst": epsilon}
    return table


def _times(release: SampledRelease, rounds: int) -> SampledRelease:
    return replace(release, steps=release.steps * rounds)


def _sampled(certificate: SensitivityCertificate) -> SensitivityCertificate:
    sampling = "Poisson sampling takes every unit with probability q, secretly"
    return replace(certificate, assumptions=(*certificate.assumptions, sampling))
