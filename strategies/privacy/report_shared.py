"""The privacy block of a shared-noise run: what the noise that was really there certifies."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, fsum, isfinite
from typing import Any

from strategies.privacy.discrete_accounting import epsilon_of_zcdp
from strategies.privacy.report import SYSTEM
from strategies.privacy.report_own import gradient_sum
from strategies.privacy.report_warnings import SEEDED, STRICT_DELTA, warnings_of
from strategies.privacy.shared_noise import SharedNoise

ACCOUNTANT = "zCDP of sums of discrete Gaussians (Kairouz et al. 2021, Thm. 1), rounding included"
_SHOWN = (0.3, 0.5)
"""Shares of the clinics whose collusion is shown beside what was assumed."""


@dataclass(frozen=True)
class Opened:
    """One round whose sum was opened: for how many noise was scaled, and how many were in it."""

    cohort: int
    survivors: int


def certify_shared(
    mechanism: SharedNoise,
    rounds: Sequence[Opened],
    *,
    records: int,
    abandoned: int,
    private_noise: bool,
    unit: str,
) -> dict[str, Any]:
    """Return the privacy block of one run.

    Parameters
    ----------
    mechanism : SharedNoise
        Its calibration.
    rounds : sequence of Opened
        Every round whose sum the server learned.
    records : int
        Units in all, for the warning about delta.
    abandoned : int
        Rounds without a sum.
    private_noise : bool
        Whether the noise came from a CSPRNG.
    unit : str
        ``record``, ``patient`` or ``clinic``.
    """
    assumed = mechanism.colluders
    largest = max(item.cohort for item in rounds)
    table = _table(mechanism, rounds, mechanism.delta)
    grid = mechanism.grid(largest)
    clip = gradient_sum(mechanism.clip_norm).as_dict()
    counts = sorted({0, assumed, *(round(share * largest) for share in _SHOWN)})
    block: dict[str, Any] = {
        "nominal_epsilon": mechanism.epsilon,
        "delta": mechanism.delta,
        "unit": unit,
        "relation": "replace-one",
        "certified_epsilon": table,
        "strict_delta": STRICT_DELTA,
        "certified_epsilon_at_strict_delta": _table(mechanism, rounds, STRICT_DELTA),
        "accountant": ACCOUNTANT,
        "sensitivity": dict.fromkeys(("claimed", "proven", "worst"), clip),
        "upload_noise_std": grid.noise_std,
        "broadcast_noise_std": 0.0,
        "rounds": mechanism.rounds,
        "exposures": mechanism.rounds,
        "adversaries": {
            "server": f"honest-but-curious server with {assumed} clinics that collude: sums only",
            "eavesdropper": "every masked upload, which says nothing, and every broadcast",
            "broadcast": "reader of the T broadcasts who is no clinic",
        },
        "noise": f"discrete Gaussian on a grid, {SYSTEM if private_noise else SEEDED}",
        "shared": {
            "clinics": largest,
            "noise_std_of_a_clinic": grid.noise_std,
            "fewest_survivors": min(item.survivors for item in rounds),
            "assumed_colluders": assumed,
            "assumed_dropouts": mechanism.dropouts,
            "rounds_opened": len(rounds),
            "rounds_abandoned": abandoned,
            "epsilon_by_colluders": {
                str(count): _finite(_epsilon(mechanism, rounds, count, mechanism.delta))
                for count in counts
            },
        },
        "assumptions": [
            "the server follows the protocol (with signed keys it may also lie about who takes "
            "part and who dropped out; docs/secure-aggregation.md)",
            f"at most {assumed} clinics tell the server what they know, their noise included",
            "the number of records in all is public, and so is what changes in it from round to "
            "round",
            "every clinic runs this code and adds its noise",
        ],
    }
    sizes = [max(1, ceil(records / largest))] * largest
    block["warnings"] = warnings_of(table, mechanism.epsilon, mechanism.delta, sizes, private_noise)
    block["warnings"] += _abandoned(abandoned)
    return block


def _abandoned(count: int) -> list[str]:
    if not count:
        return []
    return [
        f"{count} round(s) were abandoned without a sum: nothing was learned of them, but clinics "
        "that had sent charged their ledgers as if it had been opened"
    ]


def _table(
    mechanism: SharedNoise, rounds: Sequence[Opened], delta: float
) -> dict[str, dict[str, float | None]]:
    found = {
        "server": _epsilon(mechanism, rounds, mechanism.colluders, delta),
        "eavesdropper": _epsilon(mechanism, rounds, 0, delta),
        "broadcast": _epsilon(mechanism, rounds, 0, delta),
    }
    return {
        name: dict.fromkeys(("claimed", "proven", "worst"), _finite(value))
        for name, value in found.items()
    }


def _epsilon(
    mechanism: SharedNoise, rounds: Sequence[Opened], colluders: int, delta: float
) -> float:
    """Return the eps of all opened rounds: concentrated privacy adds up."""
    rho = fsum(mechanism.round_rho(item.cohort, item.survivors, colluders) for item in rounds)
    return epsilon_of_zcdp(rho, delta)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
