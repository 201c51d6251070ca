"""The settings of trust among clinics: who is believed, who may upload, what it costs.

``--selection`` and ``--auction`` are those of the market (:mod:`strategies.market_settings`); here
is what clinics that train a model need beyond them. docs/trust.md explains each.
"""

from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING

from strategies.market_settings import AUTO, MARKET_CHANNELS
from strategies.setting_fields import MOST_ROUNDS, SettingsError, refuse_idle, setting

if TYPE_CHECKING:
    from strategies.settings import Settings

GROUP = "trust"
HALF = 0.5
DETECTORS = ("likelihood", "algorithm1")
RATED = ("z", "omega", "alpha", "window", "pair_rule", "top_k")
SOLD = ("discount", "channels", "channel_rate", "slot", "reserve", "budget")
SHARED = ("selection", "theta", "auction", *RATED, *SOLD)
"""Settings of the market that clinics read as well."""


@dataclass(frozen=True)
class TrustFields:
    """Settings that only a federation of clinics reads."""

    detector: str = setting(
        "likelihood",
        GROUP,
        "what reputations of clinics come from: the likelihood of their noised uploads, or ratings "
        "by Algorithm 1",
        choices=DETECTORS,
    )
    first_share: float = setting(
        0.0,
        GROUP,
        "dp-gd: share of the budget mu^2 for a clinic's first upload; 0 is as much as for others",
        minimum=0.0,
        below=1.0,
    )
    upload_cost: str = setting(
        "",
        GROUP,
        "auction: what an upload costs a clinic beside privacy, as shares LOW,HIGH of its worth "
        "between which every round draws; none: nothing",
    )
    uploads: int = setting(
        0,
        GROUP,
        "uploads that a clinic's epsilon is spread over, none beyond; 0 is rounds",
        minimum=0,
        maximum=MOST_ROUNDS,
    )


def settled(settings: "Settings") -> dict[str, str | int]:
    """Return what ``auto`` and no number of channels stand for in these settings."""
    found: dict[str, str | int] = {}
    if settings.is_market and not settings.channels:
        found["channels"] = MARKET_CHANNELS
    if settings.selection == AUTO:
        found["selection"] = "reputation" if settings.is_market else "none"
    if settings.auction == AUTO:
        sells = settings.is_market or settings.price_per_epsilon
        found["auction"] = "knapsack" if sells else "none"
    return found


def check_trust(settings: "Settings") -> None:
    """Hold the settings of trust among clinics against the others.

    Raises
    ------
    SettingsError
        With one line: what, why, what to do.
    """
    if settings.first_share and settings.privacy != "dp-gd":
        raise SettingsError(
            f"--first-share is made for dp-gd, not {settings.privacy}: leave it out"
        )
    if settings.first_share and settings.noise == "discrete":
        raise SettingsError(
            "--first-share makes uploads unequal, which is not proven of discrete noise: use "
            "--noise system"
        )
    if settings.uploads and settings.privacy not in ("certified", "dp-gd", "dp-sgd"):
        raise SettingsError(
            "--uploads spreads a proven epsilon over a clinic's own uploads, which "
            f"{settings.privacy} has not: leave it out"
        )
    if not settings.is_market:
        _check_selection(settings)
        _check_auction(settings)


def _check_selection(settings: "Settings") -> None:
    if settings.selection == "none":
        idle = ("detector", "theta", "discount", *RATED)
        refuse_idle(settings, idle, "--selection reputation")
    elif settings.detector == "likelihood":
        refuse_idle(settings, RATED, "--detector algorithm1")
        if settings.selection == "unfiltered":
            raise SettingsError(
                "--selection unfiltered is a way to rate: add --detector algorithm1, or choose "
                "--selection reputation"
            )
        if settings.privacy == "dp-sgd":
            raise SettingsError(
                "--detector likelihood needs noise of a known size, and sampling in dp-sgd adds "
                "some of none: use --privacy dp-gd, or --detector algorithm1"
            )
        if settings.theta > HALF:
            raise SettingsError(
                f"--theta {settings.theta:g}: a clinic nobody knows has 0.5, so above it nobody "
                "could start; lower it"
            )


def _check_auction(settings: "Settings") -> None:
    cost_range(settings)
    if settings.auction == "none":
        if settings.price_per_epsilon:
            raise SettingsError(
                "--price-per-epsilon is asked in an auction: leave out --auction none"
            )
        refuse_idle(settings, ("upload_cost", *SOLD), "--auction knapsack")


def cost_range(settings: "Settings") -> tuple[float, float]:
    """Return the least and the largest cost of an upload, as shares of its worth.

    Raises
    ------
    SettingsError
        When the text is not two numbers in order.
    """
    if not settings.upload_cost.strip():
        return 0.0, 0.0
    try:
        low, high = (float(part) for part in settings.upload_cost.split(","))
    except ValueError:
        low, high = 1.0, 0.0
    if not 0.0 <= low <= high < inf:
        raise SettingsError(
            f"--upload-cost {settings.upload_cost!r}: give the least and the largest share, as in "
            "0.1,0.5"
        )
    return low, high


def upload_channels(settings: "Settings", dimension: int) -> int:
    """Return the channels that a model of d numbers of 64 bits takes: ``ceil(64 d / (r slot))``."""
    return max(1, ceil(64 * dimension / (settings.channel_rate * settings.slot)))


def largest_cohort(settings: "Settings", dimension: int) -> int:
    """Return how many clinics a round can ask at most, once it is not open to all.

    An auction buys what fits into its channels; selection by ratings may take the best alone.
    """
    cohort = settings.clients
    if settings.auction != "none" and settings.channels:
        cohort = min(cohort, settings.channels // upload_channels(settings, dimension))
    if settings.rates_slices and settings.top_k:
        cohort = min(cohort, settings.top_k)
    return cohort
