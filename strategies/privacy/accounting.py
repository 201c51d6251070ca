"""What noise costs: one front door to the exact Gaussian, PLD, RDP and Opacus accountants.

Everywhere here the *noise multiplier* is ``z = sigma / C``, with ``C`` the clipping norm of one
unit's contribution to a sum. Under ``replace-one`` that sum moves by up to ``2 C``, so one
full-batch release has ``mu = 2 / z``; under ``add-remove`` by ``C``, so ``mu = 1 / z``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, isfinite, isnan, log, sqrt
from typing import Literal

from strategies.privacy.gaussian import (
    AccountingError,
    check_delta,
    check_epsilon,
    compose,
    epsilon_of_mu,
    mu_of_epsilon,
    mu_of_release,
)

__all__ = [
    "ACCOUNTANTS",
    "RELATIONS",
    "UNITS",
    "AccountingError",
    "SampledRelease",
    "compose",
    "epsilon_of_mu",
    "epsilon_of_releases",
    "get_epsilon",
    "get_noise_multiplier",
    "mu_of_epsilon",
    "mu_of_release",
]

Relation = Literal["replace-one", "add-remove"]
Accountant = Literal["gaussian", "pld", "rdp", "opacus-rdp", "opacus-prv"]

RELATIONS: tuple[Relation, ...] = ("replace-one", "add-remove")
ACCOUNTANTS: tuple[Accountant, ...] = ("gaussian", "pld", "rdp", "opacus-rdp", "opacus-prv")
UNITS = ("record", "patient", "clinic")
DISCRETISATION = 5e-4  # of the privacy loss, rounded up: eps grows by less than 1e-3 of itself
RELATIVE_TOLERANCE = 1e-4  # of the eps a multiplier is searched for, always on the private side


@dataclass(frozen=True, order=True)
class SampledRelease:
    """``steps`` Poisson-sampled Gaussian sums at ``z = sigma / C`` (replace-one)."""

    noise_multiplier: float
    sample_rate: float
    steps: int


def epsilon_of_releases(mu: float, sampled: Iterable[SampledRelease], delta: float) -> float:
    """Return the eps of a mu-GDP release together with sampled ones (replace-one).

    Exact when nothing is sampled, else by PLD, rounded up.

    Parameters
    ----------
    mu : float
        All full-batch Gaussian releases, composed.
    sampled : iterable of SampledRelease
        The others.
    delta : float
        In (0, 1).
    """
    steps: dict[tuple[float, float], int] = {}
    for item in sampled:
        key = (item.noise_multiplier, item.sample_rate)
        steps[key] = steps.get(key, 0) + item.steps
    merged = tuple(SampledRelease(*key, count) for key, count in sorted(steps.items()) if count)
    if not merged:
        return epsilon_of_mu(mu, delta)
    check_delta(delta)
    if mu == inf:
        return inf
    return _pld_epsilon(mu, merged, delta)


def get_epsilon(
    target_delta: float,
    noise_multiplier: float,
    steps: int,
    sample_rate: float = 1.0,
    accountant: Accountant = "pld",
    relation: Relation = "replace-one",
) -> float:
    """Return the eps of ``steps`` Gaussian sums at ``z = noise_multiplier``.

    Parameters
    ----------
    target_delta : float
        In (0, 1).
    noise_multiplier : float
        ``z = sigma / C``, at least 0.
    steps : int
        Number of releases, at least 0.
    sample_rate : float
        q, probability with which Poisson sampling takes a unit into a step; 1 is full batch.
    accountant : str
        ``gaussian`` exact, full batch only; ``pld`` tight for any q; ``rdp`` an upper bound;
        ``opacus-rdp`` and ``opacus-prv`` what Opacus prints, for add-remove only.
    relation : str
        ``replace-one`` or ``add-remove``.

    Raises
    ------
    AccountingError
        For a value out of range, or an accountant that does not know the relation or q.
    """
    check_delta(target_delta)
    _check_release(noise_multiplier, steps, sample_rate, accountant, relation)
    if steps == 0 or sample_rate == 0 or noise_multiplier == inf:
        return 0.0
    if noise_multiplier == 0:
        return inf
    if accountant == "gaussian":
        reach = 2.0 if relation == "replace-one" else 1.0
        return epsilon_of_mu(reach * sqrt(steps) / noise_multiplier, target_delta)
    if accountant.startswith("opacus"):
        return _opacus_epsilon(target_delta, noise_multiplier, steps, sample_rate, accountant)
    return _event_epsilon(target_delta, noise_multiplier, steps, sample_rate, accountant, relation)


def get_noise_multiplier(
    target_epsilon: float,
    target_delta: float,
    steps: int,
    sample_rate: float = 1.0,
    accountant: Accountant = "pld",
    relation: Relation = "replace-one",
) -> float:
    """Return the smallest ``z = sigma / C`` that keeps ``steps`` releases within a target.

    Parameters are those of :func:`get_epsilon`. In closed form for ``gaussian``, else a search
    that ends with ``(1 - 1e-4) target_epsilon <= get_epsilon(z) <= target_epsilon``.

    Raises
    ------
    AccountingError
        For a value out of range, or an accountant that does not know the relation or q.
    """
    check_delta(target_delta)
    check_epsilon(target_epsilon)
    _check_release(1.0, steps, sample_rate, accountant, relation)
    if steps == 0 or sample_rate == 0 or target_epsilon == inf:
        return 0.0
    reach = 2.0 if relation == "replace-one" else 1.0
    full_batch = reach * sqrt(steps) / mu_of_epsilon(target_epsilon, target_delta)
    if accountant == "gaussian":
        return full_batch
    return _smallest(
        full_batch * sample_rate,
        lambda z: get_epsilon(target_delta, z, steps, sample_rate, accountant, relation),
        target_epsilon,
    )


def _smallest(z: float, epsilon_at: Callable[[float], float], target: float) -> float:
    # Secant steps in log-log, where eps(z) is nearly a line; bisection when one leaves the bracket.
    low, high, slope = 0.0, inf, -1.2
    last: tuple[float, float] | None = None
    while True:
        epsilon = epsilon_at(z)
        if target * (1 - RELATIVE_TOLERANCE) <= epsilon <= target:
            return z
        low, high = (z, high) if epsilon > target else (low, z)
        if high - low < RELATIVE_TOLERANCE**2 * high:
            return high
        if epsilon in (0.0, inf):
            guess = inf
        else:
            point = (log(z), log(epsilon))
            if last is not None and last[0] != point[0] and last[1] != point[1]:
                slope = (point[1] - last[1]) / (point[0] - last[0])
            last = point
            aim = log(target * (1 - RELATIVE_TOLERANCE / 2))
            guess = exp(min(700.0, point[0] + (aim - point[1]) / slope))
        if not low < guess < high:
            guess = z / 2 if low == 0.0 else z * 2 if high == inf else sqrt(low * high)
        z = guess


@lru_cache(maxsize=1024)
def _pld_epsilon(mu: float, sampled: tuple[SampledRelease, ...], delta: float) -> float:
    import dp_accounting as dp
    from dp_accounting.pld import PLDAccountant

    tool = PLDAccountant(
        dp.NeighboringRelation.REPLACE_ONE, value_discretization_interval=DISCRETISATION
    )
    if mu > 0:
        tool.compose(dp.GaussianDpEvent(2.0 / mu))  # doubled again by REPLACE_ONE
    for item in sampled:
        event = dp.GaussianDpEvent(item.noise_multiplier)
        tool.compose(dp.PoissonSampledDpEvent(item.sample_rate, event), item.steps)
    return float(tool.get_epsilon(delta))


@lru_cache(maxsize=256)
def _event_epsilon(
    delta: float, z: float, steps: int, sample_rate: float, accountant: str, relation: str
) -> float:
    import dp_accounting as dp
    from dp_accounting.pld import PLDAccountant
    from dp_accounting.rdp import RdpAccountant

    relations = dp.NeighboringRelation
    replace = relation == "replace-one"
    if accountant == "pld":
        # PLDAccountant doubles the sensitivity itself under REPLACE_ONE: z stays sigma / C.
        neighbours = relations.REPLACE_ONE if replace else relations.ADD_OR_REMOVE_ONE
        tool = PLDAccountant(neighbours, value_discretization_interval=DISCRETISATION)
    else:
        # RdpAccountant does not: replace-one is add-remove at half the multiplier.
        z = z / 2 if replace else z
        tool = RdpAccountant(neighboring_relation=relations.ADD_OR_REMOVE_ONE)
    event: dp.DpEvent = dp.GaussianDpEvent(z)
    if sample_rate < 1:
        event = dp.PoissonSampledDpEvent(sample_rate, event)
    tool.compose(event, steps)
    return float(tool.get_epsilon(delta))


def _opacus_epsilon(
    delta: float, z: float, steps: int, sample_rate: float, accountant: str
) -> float:
    from opacus.accountants import PRVAccountant, RDPAccountant

    tool = RDPAccountant() if accountant == "opacus-rdp" else PRVAccountant()
    tool.history = [(z, sample_rate, steps)]
    return float(tool.get_epsilon(delta))


def _check_release(
    z: float, steps: int, sample_rate: float, accountant: str, relation: str
) -> None:
    if isnan(z) or z < 0:
        raise AccountingError(f"noise multiplier must be at least 0, got {z}")
    if steps < 0:
        raise AccountingError(f"steps must be at least 0, got {steps}")
    if not (isfinite(sample_rate) and 0 <= sample_rate <= 1):
        raise AccountingError(f"sample rate must lie between 0 and 1, got {sample_rate}")
    if accountant not in ACCOUNTANTS:
        raise AccountingError(f"unknown accountant {accountant!r}: use one of {ACCOUNTANTS}")
    if relation not in RELATIONS:
        raise AccountingError(f"unknown relation {relation!r}: use one of {RELATIONS}")
    if accountant == "gaussian" and 0 < sample_rate < 1:
        raise AccountingError("the exact Gaussian accountant is for full batches: use pld")
    if accountant == "rdp" and relation == "replace-one" and 0 < sample_rate < 1:
        raise AccountingError("rdp has no Poisson sampling under replace-one: use pld")
    if accountant.startswith("opacus") and relation != "add-remove":
        raise AccountingError("Opacus accounts add-remove only: use pld for replace-one")
