"""Reverse knapsack auction: exact winners, VCG payments, and an audit that tries to cheat it.

Source: Ismail et al., "Enhancing Trust and Security in the Vehicular Metaverse", eqs. (5)-(8).
Money is integer micro-credits throughout, so every result is exact and can be replayed.
"""

from strategies.auction.budget import cap_budget_not_truthful
from strategies.auction.outcome import AuctionError, Outcome, settle
from strategies.auction.solver import solve
from strategies.auction.ties import tie_keys

__all__ = [
    "AuctionError",
    "Outcome",
    "cap_budget_not_truthful",
    "settle",
    "solve",
    "tie_keys",
]
