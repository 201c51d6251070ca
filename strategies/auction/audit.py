"""Search for lies that pay: what a device gains when it misreports.

A market is drawn with its truth, offers that tell the truth are settled, then one device (or a
pair that shares its gains) misreports and the same market is settled again. Money is whole, so a
gain of one micro-credit counts and nothing is lost in rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from strategies.auction.outcome import AuctionError, IntArray, Outcome, settle
from strategies.auction.solver import solve

Kind = Literal["cost", "value", "channels", "overbooking", "pair"]
KINDS: tuple[Kind, ...] = ("cost", "value", "channels", "overbooking", "pair")
LIES_PER_MARKET = 8
CREDIT = 1_000_000


@dataclass(frozen=True)
class Market:
    """Offers of n devices: what is true of them, or what they claim.

    Attributes
    ----------
    values, costs : ndarray of int64, shape (n,)
        Micro-credits; as a claim, ``costs`` are the bids.
    channels : ndarray of int64, shape (n,)
    capacity : int
    ties : ndarray of int64, shape (n,)
    """

    values: IntArray
    costs: IntArray
    channels: IntArray
    capacity: int
    ties: NDArray[np.int64]


@dataclass(frozen=True)
class Lie:
    """A misreport that paid.

    Attributes
    ----------
    devices : tuple of int
        Who lied: one, or the pair.
    truth, claim : Market
        Of all devices.
    gain : int
        What the liars gained together, micro-credits.
    """

    devices: tuple[int, ...]
    truth: Market
    claim: Market
    gain: int

    def __str__(self) -> str:
        """Return one line for people."""
        parts = []
        for i in self.devices:
            for name in ("values", "costs", "channels"):
                true, told = getattr(self.truth, name)[i], getattr(self.claim, name)[i]
                if true != told and name == "channels":
                    parts.append(f"device {i} books {told} of the {true} channels it needs")
                elif true != told:
                    was, said = true / CREDIT, told / CREDIT
                    parts.append(f"device {i} claims a {name[:-1]} of {said:.3f} for {was:.3f}")
        return f"{' and '.join(parts)}: gains {self.gain / CREDIT:.3f}"


@dataclass(frozen=True)
class AuditResult:
    """What a search for lies of one kind found.

    Attributes
    ----------
    kind : str
    checks : bool
        Whether values were verified and channels enforced.
    tried, profitable : int
        Lies.
    markets, irrational : int
        Truthful markets settled, and winners in them who were paid less than their cost.
    best : tuple of Lie
        The most profitable, best first.
    """

    kind: Kind
    checks: bool
    tried: int
    profitable: int
    markets: int
    irrational: int
    best: tuple[Lie, ...]

    @property
    def share(self) -> float:
        """Share of the lies that paid."""
        return self.profitable / max(self.tried, 1)


def draw_market(rng: np.random.Generator, devices: int = 20, capacity: int = 20) -> Market:
    """Draw a market: costs U(.1, .5), values U(.5, 1.5), 1..4 channels each."""
    return Market(
        values=rng.integers(500_000, 1_500_000, devices),
        costs=rng.integers(100_000, 500_000, devices),
        channels=rng.integers(1, 5, devices),
        capacity=capacity,
        ties=rng.permutation(devices),
    )


def audit_auction(
    rng: np.random.Generator,
    kind: Kind,
    tries: int,
    *,
    checks: bool = True,
    rule: str = "vcg",
    reserve: int | None = None,
    draw: Callable[[np.random.Generator], Market] = draw_market,
    examples: int = 3,
) -> AuditResult:
    """Try lies of one kind and count those that pay.

    Parameters
    ----------
    rng : Generator
    kind : {"cost", "value", "channels", "overbooking", "pair"}
        What is misreported: "channels" books fewer than needed, "overbooking" more; a pair
        misreports its two costs and shares the gain.
    tries : int
        Lies to try.
    checks : bool
        Pay on verified values and for booked channels only; without, on what was claimed.
    rule : {"vcg", "greedy"}
    reserve : int, optional
        Reserve price.
    draw : callable
        Draws the truth of a market.
    examples : int
        How many of the best lies to return.

    Returns
    -------
    AuditResult

    Raises
    ------
    AuctionError
        If the kind is unknown.
    """
    if kind not in KINDS:
        raise AuctionError(f"unknown kind of lie {kind!r}: use one of {', '.join(KINDS)}")
    best: list[Lie] = []
    tried = profitable = markets = irrational = 0
    while tried < tries:
        truth = draw(rng)
        honest = _sell(truth, rule, reserve)
        utility = _utilities(truth, honest, checks)
        markets += 1
        irrational += int((utility < 0).sum())
        for _ in range(min(LIES_PER_MARKET, tries - tried)):
            devices, claim = _lie(rng, kind, truth, honest)
            outcome = _utilities(truth, _sell(claim, rule, reserve), checks)
            gain = sum(int(outcome[i] - utility[i]) for i in devices)
            tried += 1
            if gain > 0:
                profitable += 1
                best.append(Lie(devices, truth, claim, gain))
                best = sorted(best, key=lambda lie: -lie.gain)[:examples]
    return AuditResult(kind, checks, tried, profitable, markets, irrational, tuple(best))


def _sell(claim: Market, rule: str, reserve: int | None) -> Outcome:
    return solve(
        claim.values,
        claim.costs,
        claim.channels,
        claim.capacity,
        ties=claim.ties,
        rule=rule,
        reserve=reserve,
    )


def _utilities(truth: Market, outcome: Outcome, checks: bool) -> IntArray:
    """Return ``u_i = p_i - c_i`` of winners (eq. 5), 0 for losers, shape (n,)."""
    if checks:
        payments = settle(outcome, truth.values, used_channels=truth.channels)
    else:
        payments = outcome.payments
    return np.where(outcome.winners, payments - truth.costs, 0)


def _lie(
    rng: np.random.Generator, kind: Kind, truth: Market, honest: Outcome
) -> tuple[tuple[int, ...], Market]:
    """Return who lies and what all devices claim then."""
    size = truth.values.size
    if kind == "pair":
        first, second = (int(i) for i in rng.choice(size, 2, replace=False))
        costs = truth.costs.copy()
        for i in (first, second):
            costs[i] = _false_cost(rng, truth, honest, i)
        return (first, second), replace(truth, costs=costs)
    device = int(rng.integers(size))
    if kind == "cost":
        costs = truth.costs.copy()
        costs[device] = _false_cost(rng, truth, honest, device)
        return (device,), replace(truth, costs=costs)
    if kind == "value":
        values = truth.values.copy()
        values[device] = int(values[device] * rng.uniform(0.5, 2.0))
        return (device,), replace(truth, values=values)
    channels = truth.channels.copy()
    if kind == "overbooking":
        channels[device] = channels[device] + rng.integers(1, truth.capacity + 1)
    else:
        able = np.flatnonzero(channels > 1)
        device = int(rng.choice(able)) if able.size else device
        channels[device] = rng.integers(1, max(2, channels[device]))
    return (device,), replace(truth, channels=channels)


def _false_cost(rng: np.random.Generator, truth: Market, honest: Outcome, device: int) -> int:
    """Return a bid anywhere up to the value, near the cost, or at the edge of winning."""
    where = rng.integers(3)
    if where == 0:
        return int(rng.integers(0, truth.values[device] + 1))
    edge = honest.payments[device] if where == 1 and honest.winners[device] else truth.costs[device]
    return max(0, int(edge + rng.integers(-3, 4) * 10 ** rng.integers(0, 6)))
