"""What an auction decided, and the payment once deliveries are verified."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class AuctionError(ValueError):
    """An offer, a setting or a settlement that the auction cannot accept."""


@dataclass(frozen=True)
class Outcome:
    """Winners of one auction and what each of them costs the others.

    Attributes
    ----------
    winners : ndarray of bool, shape (n,)
        The paper's xi.
    welfare : int
        Sum over winners of value less bid, less the channel cost c_hat (eq. 8), micro-credits.
    charges : ndarray of int64, shape (n,)
        What winner i must leave of its own value: under VCG ``W_(-i) - sum_{j != i} (v_j - b_j)``.
        0 for losers.
    values, bids, channels : ndarray of int64, shape (n,)
        The offers as claimed.
    reserve : int or None
        The most that is paid for one delivery.
    """

    winners: BoolArray
    welfare: int
    charges: IntArray
    values: IntArray
    bids: IntArray
    channels: IntArray
    reserve: int | None = None

    @property
    def payments(self) -> IntArray:
        """Payments if every delivery is worth what was claimed, shape (n,), micro-credits."""
        return settle(self, self.values)


def settle(
    outcome: Outcome, verified_values: ArrayLike, used_channels: ArrayLike | None = None
) -> IntArray:
    """Release the payments of an auction after its deliveries were examined.

    ``p_i = vtilde_i - charge_i``, which under VCG is
    ``vtilde_i + sum over other winners (v_j - b_j) - W_(-i)``. A payment that is not above 0 is
    not released. With honest values it equals the critical value ``b_i + W - W_(-i)``.

    Parameters
    ----------
    outcome : Outcome
        Of :func:`strategies.auction.solve`.
    verified_values : array_like of int, shape (n,)
        vtilde: each delivery's value as the server computed it from the payload, on the scale of
        the values that were auctioned; 0 when nothing arrived. Losers' entries are ignored.
    used_channels : array_like of int, shape (n,), optional
        Channels each delivery took. One that took more than it booked is paid nothing: the
        booking is enforced.

    Returns
    -------
    ndarray of int64, shape (n,)
        Payments in micro-credits, 0 for losers.

    Raises
    ------
    AuctionError
        If the shapes differ from the auction's or the values are not integers.
    """
    verified = integers(verified_values, "verified values", outcome.winners.size)
    paid = outcome.winners.copy()
    if used_channels is not None:
        used = integers(used_channels, "used channels", outcome.winners.size)
        paid &= used <= outcome.channels
    payments = np.where(paid, np.maximum(verified - outcome.charges, 0), 0)
    if outcome.reserve is not None:
        np.minimum(payments, outcome.reserve, out=payments)
    return payments


def integers(values: ArrayLike, name: str, size: int | None = None) -> IntArray:
    """Return a one-dimensional int64 array, refusing anything that is not whole numbers.

    Parameters
    ----------
    values : array_like of int
        Amounts in micro-credits, or channels.
    name : str
        What the values are, for the error.
    size : int, optional
        The length that is required.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    AuctionError
        If the values are not integers that fit int64, or the shape is wrong.
    """
    array = np.asarray(values)
    if array.dtype == np.int64:
        pass
    elif array.size == 0:
        array = array.astype(np.int64)
    elif array.dtype.kind not in "iu" or (array.dtype == np.uint64 and array.max() >= 2**63):
        raise AuctionError(
            f"{name} have type {array.dtype}: money and channels are whole 64-bit numbers; "
            "round to micro-credits first"
        )
    else:
        array = array.astype(np.int64)
    if array.ndim != 1 or (size is not None and array.size != size):
        wanted = "(n,)" if size is None else f"({size},)"
        raise AuctionError(f"{name} have shape {array.shape}, not {wanted}: pass one per offer")
    return array
