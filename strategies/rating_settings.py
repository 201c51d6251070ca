"""The settings of ratings among clinics: on whose records, at what price, and who lies in them.

They belong to ``--detector algorithm1``; docs/trust.md explains each.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strategies.attack_settings import MALICIOUS
from strategies.setting_fields import MOST_RECORDS, SettingsError, refuse_idle, setting

if TYPE_CHECKING:
    from strategies.settings import Settings

GROUP = "trust"
RATINGS = ("public", "noised")
HONEST, BAD_MOUTH, PRAISE = "none", "bad-mouth", "praise"
RATING_ATTACKS = (BAD_MOUTH, PRAISE, HONEST)
COMPLAIN_ABOVE = 0.25
"""Share of a class slice that may be misjudged before a clinic complains of the model."""


@dataclass(frozen=True)
class RatingFields:
    """Settings of clinics that rate the model by class slice."""

    ratings: str = setting(
        "public",
        GROUP,
        "algorithm1: clinics rate the model on public records set aside from training, or by "
        "noised counts of their own, which their ledgers are charged for",
        choices=RATINGS,
    )
    public_records: int = setting(
        30,
        GROUP,
        "algorithm1: records set aside from training by which clinics rate the model",
        minimum=1,
        maximum=MOST_RECORDS,
    )
    rating_epsilon: float = setting(
        1.0,
        GROUP,
        "noised ratings: epsilon of all of a clinic's ratings in a run, beside that of its uploads",
        above=0.0,
        below=1e15,
    )
    rating_attack: str = setting(
        BAD_MOUTH,
        GROUP,
        "algorithm1: how clinics with an --attack rate: bad-mouth complains of every slice, praise "
        "of none, none rates honestly",
        choices=RATING_ATTACKS,
    )


def check_ratings(settings: "Settings") -> None:
    """Hold the settings of ratings against the others.

    Raises
    ------
    SettingsError
        With one line: what, why, what to do.
    """
    if not settings.rates_slices:
        names = ("ratings", "public_records", "rating_epsilon", "rating_attack")
        refuse_idle(settings, names, "--selection reputation --detector algorithm1")
        return
    if settings.rating_attack != BAD_MOUTH and settings.attack not in MALICIOUS:
        raise SettingsError(
            "--rating-attack is how attackers rate who upload something malicious: name an "
            "--attack such as sign-flip, or leave it out"
        )
    if settings.ratings == "public":
        refuse_idle(settings, ("rating_epsilon",), "--ratings noised")
        return
    refuse_idle(settings, ("public_records",), "--ratings public")
    if not settings.private:
        raise SettingsError(
            "--ratings noised protects counts of records whose uploads have no noise: choose a "
            "--privacy, or --ratings public"
        )
    if settings.noise == "discrete":
        raise SettingsError(
            "--ratings noised draws continuous noise, which the proof of discrete uploads has no "
            "room for: use --noise system, or --ratings public"
        )
