"""Reputation of devices from the complaints of users, by subjective logic.

Source: Ismail et al., "Enhancing Trust and Security in the Vehicular Metaverse", eqs. (1)-(4) and
Algorithm 1.
"""

from strategies.reputation.blame import blame, blame_everyone
from strategies.reputation.evidence import NEGATIVE, POSITIVE, VACUOUS, events
from strategies.reputation.ledger import ReputationLedger
from strategies.reputation.opinion import Opinion, faded, fading_weights, opinion
from strategies.reputation.settings import ReputationError, ReputationSettings

__all__ = [
    "NEGATIVE",
    "POSITIVE",
    "VACUOUS",
    "Opinion",
    "ReputationError",
    "ReputationLedger",
    "ReputationSettings",
    "blame",
    "blame_everyone",
    "events",
    "faded",
    "fading_weights",
    "opinion",
]
