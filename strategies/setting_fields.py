"""How one setting is declared, and how a wrong one is reported."""

from collections.abc import Sequence
from dataclasses import field
from difflib import get_close_matches
from typing import Any

MOST_CLIENTS = 10_000
MOST_ROUNDS = 1_000_000
MOST_RECORDS = 1_000_000
MOST_CREDITS = 10**15
LARGEST = 1e9
"""Above what any magnitude (a rate, a norm, a scale) is a slip of the hand and no setting."""
SMALLEST = 1e-9
"""Below which what is divided by or calibrated to is lost in rounding."""
LONGEST_WAIT = 604_800.0
"""A week, in seconds."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one line: what, why, what to do."""


def setting(
    default: Any,
    group: str,
    help_: str,
    *,
    choices: Sequence[str] = (),
    importable: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """Return a dataclass field with the metadata that flags, docs and checks are made from.

    Parameters
    ----------
    default
        Its value when nobody names it; its type is the setting's.
    group : str
        Heading in ``--help`` and in the docs.
    help_ : str
        What it means, one line.
    choices : sequence of str
        The only values allowed.
    importable : bool
        ``module:Name`` is allowed beside the choices.
    minimum, maximum, above, below : float, optional
        Bounds of a number: at least, at most, more than, less than. Every number has an upper
        one: what sizes a list or a loop is refused before it is made.
    """
    meta = {
        "group": group,
        "help": help_,
        "choices": tuple(choices),
        "importable": importable,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "below": below,
    }
    return field(default=default, metadata=meta)


def nearest(name: str, known: Sequence[str] | set[str] | frozenset[str]) -> str:
    """Return '; did you mean X?' for the closest known name, or the list when none is close."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; use one of {', '.join(sorted(known))}"


def is_import_path(value: object) -> bool:
    """Return whether a value has the form ``module:Name``, somebody's own code."""
    module, colon, name = str(value).partition(":")
    return bool(colon) and name.isidentifier() and all(p.isidentifier() for p in module.split("."))


def flag(name: str) -> str:
    """Return the command-line spelling of a field name."""
    return "--" + name.replace("_", "-")


def refuse_idle(settings: object, names: Sequence[str], needed: str) -> None:
    """Raise SettingsError for the first of some settings that was set and does nothing here.

    Parameters
    ----------
    settings : Settings
    names : sequence of str
        Settings that are read only with what is ``needed``.
    needed : str
        Flags that would make a difference.
    """
    for name in names:
        if getattr(settings, name) != getattr(type(settings), name):
            raise SettingsError(f"{flag(name)} does nothing here: add {needed}, or leave it out")
