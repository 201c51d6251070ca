"""The settings of secure aggregation, and what does not go together with it."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from strategies.secagg.errors import SecAggError
from strategies.secagg.terms import LEAST_BITS, MOST_BITS, Terms, terms_for
from strategies.setting_fields import MOST_CLIENTS, SettingsError, setting

if TYPE_CHECKING:
    from strategies.settings import Settings

GROUP = "secure aggregation"
SHARED_NOISE = "shared-noise"
_OWN = ("threshold", "neighbours", "colluders", "dropouts", "modulus_bits", "largest_shard")


@dataclass(frozen=True)
class SecureFields:
    """Settings of runs in which the server sees sums of uploads only."""

    secure_aggregation: str = setting(
        "off",
        GROUP,
        "on: the server learns the sum of the uploads and no single one; --privacy shared-noise "
        "always has it",
        choices=("off", "on"),
    )
    threshold: int = setting(
        0,
        GROUP,
        "t, clinics whose shares unmask a sum; 0: two thirds of the holders",
        minimum=0,
        maximum=MOST_CLIENTS,
    )
    neighbours: int = setting(
        0,
        GROUP,
        "k, clinics each exchanges masks with (SecAgg+); 0: all others",
        minimum=0,
        maximum=MOST_CLIENTS,
    )
    colluders: int = setting(
        0,
        GROUP,
        "clinics assumed to tell the server all they know, their noise too",
        minimum=0,
        maximum=MOST_CLIENTS,
    )
    dropouts: int = setting(
        0,
        GROUP,
        "clinics that may drop out between keys and upload without making noise short",
        minimum=0,
        maximum=MOST_CLIENTS,
    )
    modulus_bits: int = setting(
        40,
        GROUP,
        f"sums are modulo 2 to this, {LEAST_BITS} to {MOST_BITS}",
        minimum=LEAST_BITS,
        maximum=MOST_BITS,
    )
    largest_shard: int = setting(
        65536,
        GROUP,
        "most records of a clinic, public; the modulus has room for them",
        minimum=1,
        maximum=2**32,
    )


def is_secure(settings: "Settings") -> bool:
    """Return whether uploads are masked."""
    return settings.secure_aggregation == "on" or settings.privacy == SHARED_NOISE


def in_the_open() -> dict[str, object]:
    """Return the settings of secure aggregation as they are without it."""
    return {item.name: item.default for item in fields(SecureFields)}


def terms_of(settings: "Settings", members: int) -> Terms:
    """Return the protocol's parameters when so many clinics are asked.

    Raises
    ------
    SecAggError
        When the promise would not hold among them.
    """
    return terms_for(
        members,
        settings.threshold,
        settings.colluders,
        settings.neighbours,
        settings.modulus_bits,
    )


def check_secure(settings: "Settings") -> None:
    """Hold the settings of secure aggregation against each other and the others.

    Raises
    ------
    SettingsError
        With one line: what, why, what to do.
    """
    if settings.unit == "clinic" and settings.privacy != SHARED_NOISE:
        raise SettingsError(
            "--unit clinic hides a whole clinic, for which noise of its own would drown it: it "
            "needs --privacy shared-noise"
        )
    if not is_secure(settings):
        _refuse_unread(settings)
        return
    if settings.aggregation != "fedavg":
        raise SettingsError(
            f"--aggregation {settings.aggregation} compares or transforms single uploads, which "
            "secure aggregation hides from the server: use --aggregation fedavg"
        )
    if settings.attack not in ("", "none"):
        raise SettingsError(
            f"--attack {settings.attack} alters single uploads in the open, which secure "
            "aggregation has none of: leave out --attack or secure aggregation"
        )
    if settings.selection != "none":
        raise SettingsError(
            f"--selection {settings.selection} judges clinics by their single uploads, which "
            "secure aggregation hides from the server: leave out one of them"
        )
    _check_mechanism(settings)
    try:
        terms = terms_of(settings, settings.clients)
    except SecAggError as fault:
        raise SettingsError(str(fault)) from fault
    room = settings.clients - terms.least_survivors
    if settings.dropouts > room:
        raise SettingsError(
            f"dropouts {settings.dropouts} is more than the {room} after which a sum may still be "
            "opened: lower --dropouts or --threshold"
        )
    if settings.privacy == SHARED_NOISE:
        from strategies.privacy.shared_upload import check_grid  # numpy alone, but only if needed

        check_grid(settings)


def _check_mechanism(settings: "Settings") -> None:
    if settings.privacy not in ("none", SHARED_NOISE):
        why = (
            "tops up noise by the sizes and uploads of single clinics, which the server no longer "
            "sees"
            if settings.privacy == "global-dp"
            else "makes each clinic add all the noise, which the sum does not need"
        )
        raise SettingsError(
            f"--privacy {settings.privacy} {why}: with secure aggregation use shared-noise or none"
        )
    if settings.noise == "discrete":
        raise SettingsError("noise under secure aggregation is always discrete: use --noise system")
    if settings.privacy == SHARED_NOISE and settings.unit != "clinic" and settings.steps != 1:
        raise SettingsError(
            f"shared-noise takes one step a round, not {settings.steps}: set --steps 1, or "
            "--unit clinic to share updates of several steps"
        )
    if settings.batch_size and settings.privacy == SHARED_NOISE and settings.unit != "clinic":
        raise SettingsError("batch_size does nothing in shared-noise: its step is a full batch")


def _refuse_unread(settings: "Settings") -> None:
    for name in _OWN:
        if getattr(settings, name) != getattr(SecureFields, name):
            raise SettingsError(
                f"--{name.replace('_', '-')} is read by secure aggregation only: add "
                "--secure-aggregation on or --privacy shared-noise"
            )
