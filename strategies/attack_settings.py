"""The settings of attacks on learning: who attacks, how and when; docs/attacks.md explains each.

On a market ``--attack`` says what a cheating device does (:mod:`strategies.market_settings`);
the other flags belong to clinics that train a model.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from strategies.market_settings import ATTACKS as MARKET_ATTACKS
from strategies.randomness import Purpose, generator
from strategies.setting_fields import MOST_CLIENTS, SettingsError, flag, nearest, setting

if TYPE_CHECKING:
    from strategies.settings import Settings
    from strategies.trust import Schedule

GROUP = "attack"
NOBODY = "none"
ALWAYS = "always"

MALICIOUS = (
    "label-flip",
    "sign-flip",
    "scaled",
    "gaussian",
    "alie",
    "in-noise-shift",
    "ipm",
    "ipm-noised",
    "free-rider",
    "copies",
    "replay",
    "drift",
    "aware-patient",
    "aware-early",
    "aware-late",
    "aware-absent",
    "aware-split",
)
"""Clinics that upload what looks like an update: names of :mod:`strategies.trust.attacks`."""

COLLUDING = ("alie", "in-noise-shift", "ipm", "ipm-noised", "copies", "drift", "aware-split")
"""Attacks that need to see what the other attackers would upload."""

BROKEN = (
    "nan",
    "inf",
    "wrong-shape",
    "shape-1",
    "wrong-key",
    "extra-key",
    "extra-metric",
    "weight-zero",
    "weight-nan",
    "weight-huge",
    "weight-negative",
    "zero-update",
    "huge-header",
    "stale-round",
    "duplicate-reply",
    "scalar",
    "column",
    "empty",
    "float32",
    "truncated",
    "pickled",
    "overflow",
    "no-arrays",
    "no-metrics",
    "refuses",
    "crashes",
)
"""Clinics whose replies no honest client sends; :mod:`clients.broken` says what each does."""

LEARNING_ATTACKS = (*MALICIOUS, *BROKEN)


@dataclass(frozen=True)
class AttackFields:
    """Settings of hostile clinics; ``attack`` also of a market's hostile devices."""

    attack: str = setting(
        "",
        GROUP,
        "what hostile clinics do, none: nobody attacks; on a market mixed (the default), none, "
        "stale, tamper, mitm, hide, move, insert or reclass",
    )
    attackers: float = setting(
        0.3,
        GROUP,
        "hostile clinics: their share below 1, from 1 on their number",
        minimum=0.0,
        maximum=MOST_CLIENTS,
    )
    attack_schedule: str = setting(
        ALWAYS,
        GROUP,
        "when they attack: always, probability:P a round, episode:P for five rounds, from:ROUND",
    )


def settle_attack(settings: "Settings") -> str:
    """Return what ``attack`` stands for on the data set: on a market a default, never none here.

    Raises
    ------
    SettingsError
        For an unknown name, an impossible count or a schedule that is none.
    """
    name = settings.attack
    if settings.is_market:
        if name and name not in MARKET_ATTACKS:
            hint = nearest(name, MARKET_ATTACKS)
            if name in LEARNING_ATTACKS:
                hint = "; clinics that train a model do that, on --dataset bcwd"
            raise SettingsError(f"--attack: unknown value {name!r}{hint}")
        return name or "mixed"
    if name not in ("", NOBODY, *LEARNING_ATTACKS):
        raise SettingsError(f"--attack: unknown attack {name!r}{_hint(name)}")
    if not name:
        _refuse_idle(settings)
    count_attackers(settings)
    if settings.attack_schedule != ALWAYS:
        first = schedule_of(settings)
        if first.kind == ALWAYS:
            raise SettingsError(
                f"--attack-schedule {settings.attack_schedule!r}: always takes no number; for a "
                "share of the rounds write probability:0.3"
            )
        if first.kind == "from" and first.value > settings.rounds:
            raise SettingsError(
                f"--attack-schedule {settings.attack_schedule} begins after the last of "
                f"{settings.rounds} rounds: name an earlier one"
            )
    return name


def _refuse_idle(settings: "Settings") -> None:
    """Refuse flags that do nothing without ``--attack``."""
    for name in ("attackers", "attack_schedule"):
        if getattr(settings, name) != getattr(AttackFields, name):
            raise SettingsError(f"{flag(name)} does nothing without --attack: name one, or none")


def _hint(name: str) -> str:
    if name in MARKET_ATTACKS:
        return "; devices of a market do that: it goes with --dataset carrada --task twin"
    return nearest(name, LEARNING_ATTACKS)


def count_attackers(settings: "Settings") -> int:
    """Return how many clinics are hostile, 0 when there is no attack.

    Raises
    ------
    SettingsError
        When that is no whole number of clinics, or would leave none honest.
    """
    asked, clinics = settings.attackers, settings.clients
    if asked >= 1 and asked != int(asked):
        raise SettingsError(
            f"--attackers {asked:g} is neither a share below 1 nor a whole number of clinics"
        )
    count = int(asked) if asked >= 1 else round(asked * clinics)
    if settings.attack in ("", NOBODY):
        return 0
    if clinics == 1:
        raise SettingsError(
            "--attack needs at least two clinics, an honest one among them: raise --clients"
        )
    if asked and not count:
        raise SettingsError(
            f"--attackers {asked:g} of {clinics} clinics is nobody: name a number of them, or "
            "leave out --attack"
        )
    if count >= clinics:
        raise SettingsError(
            f"--attackers {asked:g} of {clinics} clinics leaves no honest one: name at most "
            f"{clinics - 1}"
        )
    return count


@lru_cache(maxsize=64)
def attackers_of(settings: "Settings") -> tuple[int, ...]:
    """Return the partitions of the hostile clinics, ascending: drawn from the seed alone."""
    count = 0 if settings.is_market else count_attackers(settings)
    order = generator(settings.seed, Purpose.HOSTILE_CLINICS).permutation(settings.clients)
    return tuple(sorted(int(number) for number in order[:count]))


def schedule_of(settings: "Settings") -> "Schedule":
    """Return when the attackers attack.

    Raises
    ------
    SettingsError
        When the text is no schedule.
    """
    return _schedule(settings.attack_schedule)


@lru_cache(maxsize=64)
def _schedule(text: str) -> "Schedule":
    from strategies.trust.schedules import Schedule
    from strategies.trust.settings import TrustError

    try:
        return Schedule.parse(text)
    except (TrustError, OverflowError, ValueError) as fault:
        raise SettingsError(
            f"--attack-schedule {text[:40]!r}: {fault}; write always, probability:0.3, "
            "episode:0.5 or from:5"
        ) from fault


def is_active(settings: "Settings", partition: int, server_round: int) -> bool:
    """Return whether a hostile clinic attacks in a round: its own draw, equal on all backends."""
    schedule = schedule_of(settings)
    number = schedule.draw(server_round)
    rng = generator(settings.seed, Purpose.ATTACK_MOMENT, partition, number)
    return schedule.active(server_round, float(rng.random()))
