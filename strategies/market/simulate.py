"""The whole market in one process, vectorised over seeds: the oracle of the Flower path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from strategies.auction import solve, tie_keys
from strategies.market.draws import World, draw_world
from strategies.market.run import BoolArray, FloatArray, IntArray, MarketRun
from strategies.market.settings import MarketError, MarketSettings
from strategies.market.world import spoiled_cubes, synthetic_similarity
from strategies.reputation import ReputationLedger, blame, blame_everyone, events

Mode = Literal["none", "unfiltered", "filtered"]
MODES: tuple[Mode, ...] = ("none", "unfiltered", "filtered")


def simulate_market(
    settings: MarketSettings,
    seeds: Sequence[int],
    mode: Mode = "filtered",
    world: World | None = None,
) -> MarketRun:
    """Run the market of every seed.

    Parameters
    ----------
    settings : MarketSettings
    seeds : sequence of int
        One market each.
    mode : {"none", "unfiltered", "filtered"}
        No reputation, reputation without Algorithm 1, or with it.
    world : World, optional
        The draws (:func:`draw_world`) of the same settings and seeds, to share between modes.

    Returns
    -------
    MarketRun

    Raises
    ------
    MarketError
        If the mode is unknown or there are no seeds.
    """
    if mode not in MODES:
        raise MarketError(f"unknown market mode {mode!r}: use one of {', '.join(MODES)}")
    if not seeds:
        raise MarketError("no seeds: give at least one")
    world = draw_world(settings, seeds) if world is None else world
    ledger = ReputationLedger(world.types.size, settings.users, settings.reputation)
    reputations = np.empty(world.values.shape)
    wins = np.zeros(world.values.shape, dtype=np.bool_)
    payments = np.zeros(world.values.shape, dtype=np.int64)
    found = np.zeros((2, len(seeds)), dtype=np.int64)
    for step in range(settings.rounds):
        standing = ledger.reputation().reshape(world.types.shape)
        reputations[:, step] = standing
        _hold_auctions(settings, world, step, standing, wins, payments)
        if mode != "none":
            found += _rate(settings, world, step, standing, wins[:, step], ledger, mode)
    return MarketRun(
        settings=settings,
        types=world.types,
        values=world.values,
        costs=world.costs,
        payments=payments,
        wins=wins,
        attacks=world.attacks,
        reputations=reputations,
        blamed=found[0],
        guilty=found[1],
    )


def identities(settings: MarketSettings) -> list[str]:
    """Return the devices' identities in simulation: their partition numbers."""
    return [str(device) for device in range(settings.devices)]


def _hold_auctions(
    settings: MarketSettings,
    world: World,
    step: int,
    standing: FloatArray,
    wins: BoolArray,
    payments: IntArray,
) -> None:
    """Fill one step's winners and payments, seed by seed."""
    names = identities(settings)
    trusted = settings.reputation.trusts(standing)
    values = world.values[:, step]
    if settings.discount:
        values = (values * standing).astype(np.int64)
    for s, seed in enumerate(world.seeds):
        able = np.flatnonzero(trusted[s])
        outcome = solve(
            values[s, able],
            world.costs[s, step, able],
            world.channels[s, step, able],
            settings.channels,
            ties=tie_keys(seed, "auction", step, [names[i] for i in able]),
        )
        wins[s, step, able] = outcome.winners
        payments[s, step, able] = outcome.payments


def _rate(
    settings: MarketSettings,
    world: World,
    step: int,
    standing: FloatArray,
    winners: BoolArray,
    ledger: ReputationLedger,
    mode: Mode,
) -> IntArray:
    """Let the users of every seed rate a step; return the blamed and the guilty, shape (2, S)."""
    covers = world.covers[:, step] & winners[:, None, :]
    spoils = spoiled_cubes(world.spoiled[:, step], settings.cubes) & covers
    visits: BoolArray = world.visits[:, step]
    complaints = visits & np.any(spoils, axis=2)[:, None, :]
    complained = np.asarray(np.any(complaints, axis=1))
    if mode == "unfiltered":
        blamed = blame_everyone(covers, complained)
    else:
        names = identities(settings)
        ties = np.stack([tie_keys(seed, "blame", step, names) for seed in world.seeds])
        similarity = synthetic_similarity(covers, spoils)
        blamed = blame(similarity, covers, complained, standing, ties, settings.pair_rule)
    codes = events(visits, complaints, covers, blamed)
    ledger.record(codes.reshape(-1, settings.users))
    return np.stack([blamed.sum(axis=(1, 2)), (blamed & spoils).sum(axis=(1, 2))])
