"""The ``privacy`` block of result.json: what was promised, and what the noise certifies.

JSON has no infinity: an unbounded eps is ``null`` and is named under ``warnings``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from strategies.privacy.accounting import compose, epsilon_of_mu
from strategies.privacy.adversaries import ADVERSARIES, DESCRIPTIONS, Release
from strategies.privacy.certificate import SensitivityCertificate, smallest_proven
from strategies.privacy.global_dp import GlobalDP
from strategies.privacy.report_warnings import SEEDED, STRICT_DELTA, warnings_of

SYSTEM = "operating system's CSPRNG"
GAUSSIAN_ACCOUNTANT = "exact Gaussian composition (dp-accounting)"


@dataclass(frozen=True)
class Training:
    """What a proof may use of a clinic's training: the paper's subgradient steps.

    Parameters
    ----------
    learning_rate, steps : float, int
        eta and k of one round.
    gradient_bound : float
        G, largest possible norm of a feature vector (``FeatureMap.norm_bound()``).
    l2 : float
        Weight of the L2 term.
    """

    learning_rate: float
    steps: int
    gradient_bound: float
    l2: float = 0.0


def certificates_for(
    clip_norm: float, smallest_shard: int, training: Training | None, changed: int = 1
) -> dict[str, SensitivityCertificate]:
    """Return the certificates of a clipped upload under ``claimed``, ``proven``, ``worst``.

    Parameters
    ----------
    clip_norm : float
        B.
    smallest_shard : int
        m.
    training : Training, optional
        Allows the drift bound; without it the smallest proven bound is the worst case.
    changed : int
        Most records of one unit in a shard.
    """
    worst = SensitivityCertificate.worst_case(clip_norm)
    proven = [worst]
    if training is not None and 0 <= training.learning_rate * training.l2 <= 1:
        proven.append(
            SensitivityCertificate.drift(
                training.learning_rate, training.steps, training.gradient_bound, training.l2
            )
        )
    return {
        "claimed": SensitivityCertificate.claimed(clip_norm, smallest_shard, changed),
        "proven": smallest_proven(proven),
        "worst": worst,
    }


def certify(
    release: Release,
    certificates: Mapping[str, SensitivityCertificate],
    *,
    nominal_epsilon: float | None,
    delta: float,
    sizes: Sequence[int],
    private_noise: bool,
    unit: str = "record",
    relation: str = "replace-one",
    ratings_mu: float = 0.0,
) -> dict[str, Any]:
    """Return the privacy block of one run.

    Parameters
    ----------
    release : Release
        Noise, shares, rounds and exposures.
    certificates : mapping of str to SensitivityCertificate
        By the name each is printed under: claimed, proven, worst.
    nominal_epsilon : float or None
        What the mechanism says of itself; None when it adds no noise.
    delta : float
        The run's delta; figures at 1e-5 are added beside it.
    sizes : sequence of int
        |D_i|, for the warning ``delta >= 1/|D_i|``.
    private_noise : bool
        Whether the noise came from a CSPRNG and not from a seed.
    unit, relation : str
        What the figures protect, and what makes two shards neighbours.
    ratings_mu : float
        mu of all noised ratings of a clinic, known to every adversary.

    Returns
    -------
    dict
        JSON values only: strings, finite numbers, None, lists and dicts.
    """
    table = _certified(release, certificates, delta, ratings_mu)
    strict = _certified(release, certificates, STRICT_DELTA, ratings_mu)
    return {
        "nominal_epsilon": nominal_epsilon,
        "delta": delta,
        "unit": unit,
        "relation": relation,
        "certified_epsilon": table,
        "strict_delta": STRICT_DELTA,
        "certified_epsilon_at_strict_delta": strict,
        "accountant": GAUSSIAN_ACCOUNTANT,
        "sensitivity": {name: item.as_dict() for name, item in certificates.items()},
        **describe(release, private_noise),
        "warnings": warnings_of(table, nominal_epsilon, delta, sizes, private_noise),
    }


def describe(release: Release, private_noise: bool) -> dict[str, Any]:
    """Return the part of a privacy block that says what was released, and what is assumed."""
    return {
        "upload_noise_std": release.upload_noise_std,
        "broadcast_noise_std": release.broadcast_noise_std,
        "rounds": release.rounds,
        "exposures": release.exposures,
        "adversaries": dict(DESCRIPTIONS),
        "noise": SYSTEM if private_noise else SEEDED,
        "assumptions": _assumptions(release),
    }


def certify_global_dp(
    protocol: GlobalDP,
    *,
    smallest_shard: int,
    sizes: Sequence[int],
    training: Training | None,
    private_noise: bool,
    linear: bool = True,
    unit: str = "record",
    changed: int = 1,
    ratings_mu: float = 0.0,
) -> dict[str, Any]:
    """Return the privacy block of the paper's protocol.

    Parameters
    ----------
    protocol : GlobalDP
        Its calibration.
    smallest_shard : int
        m, fixed at enrolment.
    sizes : sequence of int
        |D_i| of every clinic.
    training : Training, optional
        What the drift bound may use.
    private_noise, linear, unit, changed, ratings_mu
        As in :func:`certify`, :class:`Release` and :func:`certificates_for`; without a linear
        aggregation the server tops up nothing.
    """
    top_up = protocol.broadcast_noise_std(smallest_shard, sizes) if linear else 0.0
    total = sum(sizes)
    release = Release(
        protocol.upload_noise_std(smallest_shard),
        top_up,
        tuple(size / total for size in sizes),
        protocol.rounds,
        protocol.exposures,
        linear,
    )
    return certify(
        release,
        certificates_for(protocol.clip_norm, smallest_shard, training, changed),
        nominal_epsilon=protocol.epsilon,
        delta=protocol.delta,
        sizes=sizes,
        private_noise=private_noise,
        unit=unit,
        ratings_mu=ratings_mu,
    )


def no_privacy() -> dict[str, Any]:
    """Return the privacy block of a run without noise: nothing is bounded."""
    return {
        "nominal_epsilon": None,
        "delta": None,
        "unit": None,
        "relation": None,
        "certified_epsilon": {name: {} for name in ADVERSARIES},
        "noise": "none",
        "assumptions": [],
        "warnings": ["no noise: epsilon is unbounded against every adversary"],
    }


def _certified(
    release: Release,
    certificates: Mapping[str, SensitivityCertificate],
    delta: float,
    ratings_mu: float,
) -> dict[str, dict[str, float | None]]:
    def epsilon(uploads: float) -> float:
        return epsilon_of_mu(compose((uploads, ratings_mu)) if ratings_mu else uploads, delta)

    return {
        adversary: {
            name: _finite(epsilon(release.worst_mu(adversary, item.value)))
            for name, item in certificates.items()
        }
        for adversary in ADVERSARIES
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _assumptions(release: Release) -> list[str]:
    texts = [
        f"the eavesdropper overhears uploads in at most {release.exposures} of "
        f"{release.rounds} rounds; no clinic can see or count that",
        "shard sizes |D_i| and the number of clinics are public",
        "every clinic runs this code, and the clinic in question keeps its noise secret",
    ]
    if not release.linear:
        texts.append("the aggregation is not a weighted average: a broadcast costs an upload")
    return texts
