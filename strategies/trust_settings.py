"""The settings of trust among clinics: who is believed, who may upload, what it costs.

``--selection`` and ``--auction`` are those of the market (:mod:`strategies.market_settings`); here
is what clinics that train a model need beyond them. docs/trust.md explains each.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strategies.setting_fields import SettingsError, setting

if TYPE_CHECKING:
    from strategies.settings import Settings

GROUP = "trust"


@dataclass(frozen=True)
class TrustFields:
    """Settings that only a federation of clinics reads."""

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
            f"--uploads spreads a proven epsilon, {settings.privacy} has none: leave it out"
        )
