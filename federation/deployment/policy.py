"""A client's own policy: what it answers to, whatever a server asks.

It is read on the client's machine and held by the client's own runner, outside the code that a
run brings (docs/deployment.md says which adversary each limit holds against).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from federation.deployment.errors import DeploymentError
from federation.deployment.files import read_small
from strategies.rating_settings import RATINGS
from strategies.secure_settings import terms_of
from strategies.setting_fields import LONGEST_WAIT
from strategies.settings import DATASETS, PRIVACY, Settings, nearest

LARGEST_LIMIT = 1e15


@dataclass(frozen=True)
class Policy:
    """What a client allows; a limit that is absent or 0 is no limit, but noise there must be.

    Parameters
    ----------
    mechanisms : tuple of str
        Privacy mechanisms it takes part with; ``none`` only if the policy says so.
    max_epsilon_per_round : float
        Certified eps of one upload against the server, at ``delta``.
    max_epsilon_total : float
        Certified eps of all uploads that this client ever made, over all runs, at ``delta``.
    delta : float
        Where those limits are read.
    max_uploads : int
        Uploads over all runs.
    ratings : tuple of str
        How it may rate a model: ``public`` is silence here, ``noised`` by counts of its own
        records, which count towards the limits above.
    tasks : tuple of str
        Data sets it works on: bcwd (diagnosis), carrada (market).
    max_rounds : int
        Of one run.
    max_seconds : float
        For one answer; what takes longer is ended.
    min_clinics : int
        Fewest clinics whose sum it is part of; above 1 only runs with secure aggregation.
    bundles : tuple of str
        SHA-256 of the code it runs, ``own`` for what its working copy builds; none: any.
    """

    mechanisms: tuple[str, ...] = tuple(name for name in PRIVACY if name != "none")
    max_epsilon_per_round: float = 0.0
    max_epsilon_total: float = 0.0
    delta: float = 1e-5
    max_uploads: int = 0
    ratings: tuple[str, ...] = RATINGS
    tasks: tuple[str, ...] = DATASETS
    max_rounds: int = 0
    max_seconds: float = 600.0
    min_clinics: int = 0
    bundles: tuple[str, ...] = ()

    def objection(self, settings: Settings) -> str | None:
        """Return why a run is outside this policy, None when it is inside."""
        if settings.dataset not in self.tasks:
            return f"task {settings.dataset} is not among {_listed(self.tasks)}"
        if not settings.is_market and settings.privacy not in self.mechanisms:
            return f"privacy {settings.privacy} is not among {_listed(self.mechanisms)}"
        if self.max_rounds and settings.rounds > self.max_rounds:
            return f"{settings.rounds} rounds are more than {self.max_rounds}"
        if self.min_clinics > 1 and not (settings.is_market or settings.secure):
            return (
                "without secure aggregation the server sees this clinic's upload alone, and "
                f"min-clinics is {self.min_clinics}"
            )
        return None

    def objection_to_cohort(self, settings: Settings, asked: int) -> str | None:
        """Return why a sum among so many clinics is outside this policy, None when it is inside."""
        if not self.min_clinics:
            return None
        least = terms_of(settings, asked).least_survivors
        if least < self.min_clinics:
            return (
                f"a sum of {least} clinics could be opened, and min-clinics is {self.min_clinics}"
            )
        return None

    def objection_to_rating(self, settings: Settings) -> str | None:
        """Return why a rating is outside this policy, None when it is inside."""
        if settings.rates_slices and settings.ratings not in self.ratings:
            return f"{settings.ratings} ratings are not among {_listed(self.ratings)}"
        return None

    @property
    def counts(self) -> bool:
        """Return whether uploads have to be added up."""
        return bool(self.max_epsilon_per_round or self.max_epsilon_total or self.max_uploads)


_SECTIONS = {
    "privacy": (
        "mechanisms", "max_epsilon_per_round", "max_epsilon_total", "delta", "max_uploads",
        "ratings",
    ),
    "run": ("tasks", "max_rounds", "max_seconds", "min_clinics"),
    "code": ("bundles",),
}  # fmt: skip
_CHOICES = {"mechanisms": PRIVACY, "ratings": RATINGS, "tasks": DATASETS}


def read_policy(path: Path) -> Policy:
    """Return the policy of a TOML file.

    Raises
    ------
    DeploymentError
        With one line: file, key, what is wrong, what to do. A policy that cannot be read allows
        nothing: the client does not start.
    """
    try:
        values = tomllib.loads(read_small(path, "a policy").decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        why = str(fault).splitlines()[0]
        raise DeploymentError(
            f"{path}: {why}; write a policy as docs/deployment.md shows"
        ) from fault
    found: dict[str, Any] = {}
    for section, table in values.items():
        if section not in _SECTIONS:
            hint = nearest(section, tuple(_SECTIONS))
            raise DeploymentError(f"{path}: unknown section [{section}]{hint}")
        if not isinstance(table, dict):
            raise DeploymentError(f"{path}: {section} must be a section, [{section}]")
        found |= _section(path, section, table)
    return Policy(**found)


def _section(path: Path, section: str, table: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {item.name: type(item.default) for item in fields(Policy)}
    found = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in _SECTIONS[section]:
            known = tuple(known.replace("_", "-") for known in _SECTIONS[section])
            raise DeploymentError(f"{path}: [{section}] has no {key!r}{nearest(key, known)}")
        found[name] = _value(f"{path}: {key}", name, value, kinds[name])
    return found


def _value(where: str, name: str, value: Any, kind: type) -> Any:
    if kind is tuple:
        return _names(where, name, value)
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        what = "a whole number" if kind is int else "a number"
        raise DeploymentError(f"{where} must be {what}, got {value!r}")
    if not 0 <= value <= LARGEST_LIMIT:  # also what is not a number
        raise DeploymentError(
            f"{where} must be at least 0 and at most {LARGEST_LIMIT:g}, got {str(value)[:40]}; "
            "0 is no limit"
        )
    if name == "delta" and not 0 < value < 1:
        raise DeploymentError(f"{where} must lie strictly between 0 and 1, got {value}")
    if name == "max_seconds" and not 0 < value <= LONGEST_WAIT:
        raise DeploymentError(
            f"{where} must be above 0 and at most {LONGEST_WAIT:g}: an answer has to end"
        )
    return kind(value)


def _names(where: str, name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DeploymentError(f"{where} must be a list of names, got {value!r}")
    if not value and name != "bundles":
        raise DeploymentError(f"{where} is empty: this client would refuse everything")
    for item in value:
        if name == "bundles":
            check_pin(item, where)
        elif item not in _CHOICES[name]:
            raise DeploymentError(f"{where}: unknown {item!r}{nearest(item, _CHOICES[name])}")
    return tuple(value)


def check_pin(text: str, where: str = "--bundle") -> str:
    """Return a bundle's SHA-256, or ``own``.

    Raises
    ------
    DeploymentError
        When it is neither.
    """
    hexadecimal = len(text) == 64 and set(text) <= set("0123456789abcdef")  # noqa: PLR2004
    if text != "own" and not hexadecimal:
        raise DeploymentError(
            f"{where}: {text!r} is no SHA-256 of 64 lower-case digits, nor own; "
            "./run_federation.sh submit --bundle-only prints the one of a working copy"
        )
    return text


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
