"""The settings of trust among clinics: who is believed, who may upload, what it costs.

``--selection`` and ``--auction`` are those of the market (:mod:`strategies.market_settings`); here
is what clinics that train a model need beyond them. docs/trust.md explains each.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strategies.market_settings import AUTO
from strategies.setting_fields import SettingsError, flag, setting

if TYPE_CHECKING:
    from strategies.settings import Settings

GROUP = "trust"
HALF = 0.5
DETECTORS = ("likelihood", "algorithm1")
SHARED = ("selection", "theta")
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
    uploads: int = setting(
        0,
        GROUP,
        "uploads that a clinic's epsilon is spread over, none beyond; 0 is rounds",
        minimum=0,
    )


def settled(settings: "Settings") -> dict[str, str]:
    """Return what ``auto`` stands for in these settings."""
    found = {}
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


def _check_selection(settings: "Settings") -> None:
    if settings.selection == "none":
        for name in ("detector", "theta"):
            if getattr(settings, name) != getattr(type(settings), name):
                raise SettingsError(
                    f"{flag(name)} does nothing where everybody is trusted: add --selection "
                    "reputation"
                )
        return
    if settings.detector == "likelihood":
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
