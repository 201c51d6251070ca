"""Winner determination (eq. 8) and what each winner is charged for winning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.auction.greedy import greedy
from strategies.auction.outcome import AuctionError, BoolArray, IntArray, Outcome, integers
from strategies.auction.table import solve_table

# Table work (cells updated) up to which numpy alone is faster than importing numba.
TABLE_WORK = 4_000_000
_MONEY_LIMIT = 2**62
_CHANNEL_LIMIT = 10**7


@dataclass(frozen=True)
class _Offers:
    """Offers that can win: positive surplus, within the reserve and the capacity."""

    index: NDArray[np.intp]
    surplus: IntArray
    channels: IntArray
    ties: NDArray[np.generic]


def solve(
    values: ArrayLike,
    bids: ArrayLike,
    channels: ArrayLike,
    capacity: int,
    *,
    ties: ArrayLike,
    reserve: int | None = None,
    rule: str = "vcg",
    channel_cost: int = 0,
) -> Outcome:
    """Choose the winners of a reverse auction and the charge each one's payment leaves out.

    Maximises ``sum xi_i (v_i - b_i) - c_hat`` subject to ``sum xi_i C_i <= B`` (Ismail et al.,
    eq. 8) exactly. Offers with ``v_i <= b_i`` never win. Small markets are solved by a table in
    numpy, large ones by the class decomposition (:mod:`strategies.auction.classes`).

    Parameters
    ----------
    values : array_like of int, shape (n,)
        v_i: claimed semantic value, already discounted by reputation where that is wanted,
        micro-credits. The discount must not depend on the device's own reports.
    bids : array_like of int, shape (n,)
        b_i: price asked, micro-credits.
    channels : array_like of int, shape (n,)
        C_i: channels booked, at least 1.
    capacity : int
        B: channels on offer, at least 1.
    ties : array_like, shape (n,)
        Distinct keys of this round (:func:`strategies.auction.tie_keys`): among equally good sets
        the choice depends on them alone, never on the position of an offer.
    reserve : int, optional
        r: offers above it are dropped first and no payment exceeds it.
    rule : {"vcg", "greedy"}
        "greedy" fills the channels by surplus per channel and charges critical values: truthful
        in cost, not optimal.
    channel_cost : int
        c_hat, subtracted from the reported welfare.

    Returns
    -------
    Outcome

    Raises
    ------
    AuctionError
        If shapes differ, money is not whole, a bid is negative, channels or capacity are not
        positive, or the sums could overflow 64 bits.
    """
    v = integers(values, "values")
    b = integers(bids, "bids", v.size)
    c = integers(channels, "channels", v.size)
    keys = np.asarray(ties)
    _check(b, c, keys, capacity, reserve)
    offers = _eligible(v, b, c, keys, capacity, reserve)
    winners = np.zeros(v.size, dtype=np.bool_)
    charges = np.zeros(v.size, dtype=np.int64)
    if offers.index.size:
        chosen, charge = _decide(offers, int(capacity), rule)
        winners[offers.index] = chosen
        charges[offers.index] = charge
    elif rule not in _RULES:
        raise AuctionError(_unknown_rule(rule))
    welfare = int((v - b)[winners].sum()) - channel_cost
    return Outcome(winners, welfare, charges, v, b, c, reserve)


_RULES = ("vcg", "greedy")


def _unknown_rule(rule: str) -> str:
    return f"unknown auction rule {rule!r}: use one of {', '.join(_RULES)}"


def _check(
    bids: IntArray,
    channels: IntArray,
    ties: NDArray[np.generic],
    capacity: int,
    reserve: int | None,
) -> None:
    if ties.shape != bids.shape:
        raise AuctionError(f"ties have shape {ties.shape}, not {bids.shape}: pass a key per offer")
    if capacity < 1:
        raise AuctionError(f"capacity is {capacity} channels: an auction needs at least 1")
    if reserve is not None and reserve < 0:
        raise AuctionError(f"reserve price {reserve} is negative: give micro-credits, 0 or more")
    if bids.size == 0:
        return
    if bids.min() < 0:
        i = int(bids.argmin())
        raise AuctionError(f"bid {bids[i]} of offer {i} is negative: refuse that offer")
    if channels.min() < 1:
        i = int(channels.argmin())
        raise AuctionError(f"offer {i} books {channels[i]} channels: a delivery takes at least 1")


def _eligible(
    values: IntArray,
    bids: IntArray,
    channels: IntArray,
    ties: NDArray[np.generic],
    capacity: int,
    reserve: int | None,
) -> _Offers:
    able = (values > bids) & (channels <= capacity)
    if reserve is not None:
        able &= bids <= reserve
    index = np.flatnonzero(able)
    surplus = values[index] - bids[index]
    if surplus.size and float(surplus.max()) * surplus.size >= _MONEY_LIMIT:
        raise AuctionError(
            f"surplus up to {surplus.max()} over {surplus.size} offers overflows 64 bits: "
            "use a coarser unit of money"
        )
    return _Offers(index, surplus, channels[index], ties[index])


def _decide(offers: _Offers, capacity: int, rule: str) -> tuple[BoolArray, IntArray]:
    if rule == "greedy":
        return greedy(offers.surplus, offers.channels, capacity, offers.ties)
    if rule != "vcg":
        raise AuctionError(_unknown_rule(rule))
    n = offers.index.size
    capacity = min(capacity, int(offers.channels.sum()))
    if n * n * (capacity + 1) <= TABLE_WORK:
        return solve_table(offers.surplus, offers.channels, capacity, offers.ties)
    if capacity > _CHANNEL_LIMIT:
        raise AuctionError(
            f"{capacity} channels are more than {_CHANNEL_LIMIT}: use a coarser unit of channels"
        )
    # numba takes a third of a second to import: only a market that needs it pays.
    from strategies.auction.classes import solve_classes

    return solve_classes(offers.surplus, offers.channels, capacity, offers.ties)
