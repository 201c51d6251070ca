"""The prototype inside an auction: few clinics upload in a round, and only the trusted may bid.

A stand-in for the market of ``strategies.auction``: every clinic offers its records at a cost
drawn for the round, and the winners are the trusted with the largest value less cost, as many
as there are channels. A clinic's budget buys a fixed number of uploads, the first with less
noise; who has spent it is not asked again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.trust.detector import Detector
from strategies.trust.prototype import Cast, Plan, Scene, accuracy
from strategies.trust.settings import BoolArray, FloatArray

LAST = 5


@dataclass(frozen=True)
class Market:
    """How winners are chosen.

    Attributes
    ----------
    rounds : int
        Rounds of the federation; the plan's are the uploads of a clinic.
    winners : int
        Channels.
    cost_spread : float
        Costs are uniform in 1 +- this, in units of the value of the mean clinic.
    undercut : float
        What attackers multiply their costs by, to win more often.
    probe : bool
        Whether all clinics upload in round 1, at w = 0, before the first auction.
    """

    rounds: int = 20
    winners: int = 8
    cost_spread: float = 0.5
    undercut: float = 1.0
    probe: bool = True


@dataclass(frozen=True)
class MarketOutcome:
    """How a federation with an auction ended.

    Attributes
    ----------
    accuracy : float
        Of the last broadcast on the held-out records.
    honest_out : float
        Share of honest clinics that are not trusted at the end.
    malicious_share : float
        Share of attackers among the winners of the last five rounds.
    """

    accuracy: float
    honest_out: float
    malicious_share: float


def play_auctioned(
    scene: Scene, plan: Plan, market: Market, detector: Detector, seed: int
) -> MarketOutcome:
    """Run a federation in which an auction chooses who uploads."""
    clinics = len(scene.count)
    cast, sizes = Cast(scene, plan, seed), scene.count.astype(np.float64)
    rng = np.random.default_rng(np.random.SeedSequence((seed, 7003)))
    identities = np.array([f"clinic-{clinic:04d}" for clinic in range(clinics)])
    spent = np.zeros(clinics, dtype=np.int64)
    weights = np.zeros(scene.signed.shape[-1])
    shares: list[float] = []
    for round_ in range(1, market.rounds + 1):
        standing = detector.standing(list(identities))
        eligible = standing.trusted(detector.settings.threshold) & (spent < plan.rounds)
        costs = 1.0 + market.cost_spread * (2.0 * rng.random(clinics) - 1.0)
        costs = np.where(cast.hostile, market.undercut * costs, costs)
        score = sizes / sizes.mean() * standing.reputation - costs
        won = eligible if market.probe and round_ == 1 else _best(score, eligible, market.winners)
        if not won.any():
            continue
        noise = cast.schedule[np.minimum(spent, plan.rounds - 1)]
        uploads = cast.uploads(weights, round_, noise)[won]
        judged = detector.update(round_, list(identities[won]), uploads, sizes[won], noise[won])
        kept = detector.clipped(uploads, sizes[won], noise[won]) * judged.honest[:, None]
        total = float(np.add.reduce(judged.honest * sizes[won]))
        weights = weights + plan.learning_rate * np.add.reduce(kept, axis=0) / max(total, 1e-9)
        spent[won] += 1
        if round_ > market.rounds - LAST:
            shares.append(float(np.mean(cast.hostile[won])))
    trusted = detector.standing(list(identities)).trusted(detector.settings.threshold)
    return MarketOutcome(
        accuracy(scene, weights),
        float(np.mean(~trusted[~cast.hostile])),
        float(np.mean(shares)) if shares else 0.0,
    )


def _best(score: FloatArray, eligible: BoolArray, winners: int) -> BoolArray:
    chosen = np.argsort(np.where(eligible, -score, np.inf), kind="stable")[:winners]
    won = np.zeros(eligible.shape, dtype=np.bool_)
    won[chosen] = eligible[chosen]
    return won
