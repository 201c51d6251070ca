"""A cap on what a round may spend. It is not truthful, and says so in its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from strategies.auction.outcome import AuctionError, Outcome


def cap_budget_not_truthful(outcome: Outcome, budget: int, ties: ArrayLike) -> Outcome:
    """Drop winners until the payments promised fit a budget.

    Winners are kept in order of surplus per credit promised, as long as their payment fits what
    is left. Payments of those kept do not change, so each is still at least its bid, but a device
    may now gain by bidding above its cost or below it: use the result for planning, not where
    truthful bids matter.

    Parameters
    ----------
    outcome : Outcome
        Of an auction without a cap.
    budget : int
        The most that may be promised, micro-credits.
    ties : array_like, shape (n,)
        Keys of the round (:func:`strategies.auction.tie_keys`); the smaller goes first.

    Returns
    -------
    Outcome
        With fewer winners and the welfare of those kept.

    Raises
    ------
    AuctionError
        If the budget is negative.
    """
    if budget < 0:
        raise AuctionError(f"budget {budget} is negative: give micro-credits, 0 or more")
    payments = outcome.payments
    surplus = outcome.values - outcome.bids
    won = np.flatnonzero(outcome.winners)
    per_credit = surplus[won] / np.maximum(payments[won], 1)
    order = np.lexsort((np.asarray(ties)[won], -per_credit))
    kept = np.zeros_like(outcome.winners)
    left = int(budget)
    for i in won[order]:
        if payments[i] <= left:
            kept[i] = True
            left -= int(payments[i])
    dropped = outcome.winners & ~kept
    return replace(
        outcome,
        winners=kept,
        welfare=outcome.welfare - int(surplus[dropped].sum()),
        charges=np.where(kept, outcome.charges, 0),
    )
