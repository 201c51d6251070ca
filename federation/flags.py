"""Command-line flags made from the settings, settings files, and errors of one line."""

import argparse
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import Field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from datasets.errors import DataError
from datasets.files import read_text
from strategies.market_presets import MARKET_CALIBRATIONS, MARKET_STRATEGIES
from strategies.presets import CALIBRATIONS, STRATEGIES, compose, default_strategy
from strategies.settings import Settings, SettingsError, default_of, flag

MAX_CONFIG_BYTES = 1 << 20
MAX_LINE = 4000
NOT_FLAGS = ("strategy",)
_METAVARS = {
    "data": "FILE",
    "schema": "FILE",
    "ledger": "FILE",
    "sizes": "N,N,...",
    "types": "N,N,N",
    "attack_rates": "P,P,P",
    "upload_cost": "LOW,HIGH",
    "cubes": "AxBxC",
}


class UsageError(ValueError):
    """A command line that cannot be used; the message is one line for the user."""


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line, with the nearest flag."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and leaving."""
        raise UsageError(f"{message}{self._nearest(message)}; see {self.prog} --help")

    def _nearest(self, message: str) -> str:
        if not message.startswith("unrecognized arguments: "):
            return ""
        given = message.removeprefix("unrecognized arguments: ").split()[0].split("=")[0]
        known = [option for action in self._actions for option in action.option_strings]
        close = get_close_matches(given, known, n=1)
        return f"; did you mean {close[0]}?" if close else ""


class Help(argparse.RawDescriptionHelpFormatter):
    """Help with room for the flags and the default behind each text."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=96)


def add_settings(parser: argparse.ArgumentParser, *, without: Sequence[str] = ()) -> None:
    """Add one flag for each setting, in the groups of the settings, and ``--config``."""
    groups: dict[str, Any] = {}
    for item in fields(Settings):
        if item.name in without:
            continue
        title = item.metadata["group"]
        group = groups.setdefault(title, None) or parser.add_argument_group(title)
        groups[title] = group
        if item.name in NOT_FLAGS:
            group.add_argument(
                "--strategy",
                metavar="NAME",
                help=f"{', '.join(STRATEGIES)} (default {default_of(item)}); on carrada "
                f"{', '.join(MARKET_STRATEGIES)}",
            )
            continue
        group.add_argument(
            flag(item.name), dest=item.name, metavar=_metavar(item), help=_help(item)
        )
    group = groups.get("what to run", parser)
    group.add_argument(
        "--preset",
        metavar="NAME",
        help=f"calibration of the paper: {' or '.join(CALIBRATIONS)}; on carrada "
        f"{' or '.join(MARKET_CALIBRATIONS)}",
    )
    group.add_argument(
        "--config", metavar="FILE", help="settings file (TOML), names as here; flags win over it"
    )


def settings_from(options: argparse.Namespace, **defaults: Any) -> Settings:
    """Return the settings that flags, settings file and named strategy add up to.

    Parameters
    ----------
    options : Namespace
        What a parser with :func:`add_settings` read.
    **defaults
        Settings that the command puts in place of the general defaults.

    Raises
    ------
    SettingsError, UsageError
        With one line that names the flag or the file.
    """
    values: dict[str, Any] = dict(defaults)
    preset = getattr(options, "preset", None)
    strategy = values.pop("strategy", None)
    if options.config is not None:
        listed = read_config(Path(options.config))
        named = listed.pop("preset", None)  # read before the flag wins: it is no setting
        preset = preset or (None if named is None else str(named))
        strategy = listed.pop("strategy", strategy)
        values |= listed
    values |= given(options)
    strategy = getattr(options, "strategy", None) or strategy
    if strategy is None:
        strategy = default_strategy(values.get("dataset"), values.get("task"))
    return compose(str(strategy), values, preset)


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that flags named, converted to their types."""
    found = {}
    for item in fields(Settings):
        text = getattr(options, item.name, None)
        if text is not None and item.name not in NOT_FLAGS:
            found[item.name] = convert(item.name, text)
    return found


def convert(name: str, text: str) -> Any:
    """Return the value of one setting from its text.

    Raises
    ------
    SettingsError
        When the text is not a number where one is needed.
    """
    kind = _field(name).type
    if kind is str:
        return text
    what = "a whole number" if kind is int else "a number"
    try:
        return int(text) if kind is int else float(text)
    except ValueError:
        raise SettingsError(f"{flag(name)} must be {what}, got {text!r}") from None


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a TOML file, names with ``_``, checked to be known.

    Raises
    ------
    UsageError
        When the file cannot be read or is no TOML.
    SettingsError
        For a name that is no setting, with the nearest one.
    """
    try:
        values = tomllib.loads(read_text(path, MAX_CONFIG_BYTES))
    except DataError as fault:
        raise UsageError(f"--config {fault}; name a TOML file of settings") from fault
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        why = str(fault).splitlines()[0]
        raise UsageError(f"--config {path}: {why}; name a TOML file of settings") from fault
    clean = {str(key).replace("-", "_"): value for key, value in values.items()}
    known = {item.name for item in fields(Settings)} | {"preset"}
    for key in clean:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "see docs/settings.md for all names"
            raise SettingsError(f"--config {path}: unknown setting {key!r}; {hint}")
    return clean


def settings_rows() -> list[dict[str, str]]:
    """Return name, flag, type, default, values and meaning of each setting, for the docs."""
    rows = []
    for item in fields(Settings):
        kind = item.type.__name__ if isinstance(item.type, type) else str(item.type)
        default = default_of(item)
        rows.append(
            {
                "group": item.metadata["group"],
                "flag": flag(item.name),
                "type": {"int": "whole number", "float": "number", "str": "text"}[kind],
                "default": f"`{default}`" if default != "" else "none",
                "values": _bounds(item),
                "meaning": item.metadata["help"],
            }
        )
    return rows


def fail(message: str, code: int = 2) -> int:
    """Print one line on standard error and return the exit code."""
    sys.stderr.write(f"error: {one_line(message)}\n")
    return code


def one_line(text: object) -> str:
    """Return a text of anybody's as one line for a terminal: bounded, nothing that steers it."""
    line = " ".join(str(text)[:MAX_LINE].split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def _field(name: str) -> Field[Any]:
    return next(item for item in fields(Settings) if item.name == name)


def _metavar(item: Field[Any]) -> str:
    if item.name in _METAVARS:
        return _METAVARS[item.name]
    return {int: "N", float: "X"}.get(item.type, "NAME") if isinstance(item.type, type) else "X"


def _help(item: Field[Any]) -> str:
    meta, default = item.metadata, default_of(item)
    listed = [*meta["choices"], *(["module:Name"] if meta["importable"] else [])]
    choices = f" [{', '.join(listed)}]" if meta["choices"] else ""
    shown = "" if default == "" else f" (default {default})"
    return f"{meta['help']}{choices}{shown}".replace("%", "%%")


def _bounds(item: Field[Any]) -> str:
    meta = item.metadata
    if meta["choices"]:
        listed = [*meta["choices"], *(["module:Name"] if meta["importable"] else [])]
        return ", ".join(f"`{choice}`" for choice in listed)
    parts = []
    if meta["minimum"] is not None:
        parts.append(f"at least {meta['minimum']:g}")
    if meta["maximum"] is not None:
        parts.append(f"at most {meta['maximum']:g}")
    if meta["above"] is not None and (meta["minimum"] is None or meta["minimum"] <= meta["above"]):
        parts.append(f"above {meta['above']:g}")
    if meta["below"] is not None:
        parts.append(f"below {meta['below']:g}")
    return ", ".join(parts)
