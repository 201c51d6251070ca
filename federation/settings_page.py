"""docs/settings.md and the run config in pyproject.toml, written from the settings themselves.

``python -m federation.settings_page`` rewrites both; tests/docs asserts that they are current.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from federation.flags import settings_rows
from strategies.market_presets import MARKET_CALIBRATIONS, MARKET_STRATEGIES
from strategies.presets import BY_CLINIC, CALIBRATIONS, MECHANISMS, STRATEGIES
from strategies.settings import Settings, flag

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "settings.md"
PYPROJECT = ROOT / "pyproject.toml"
CONFIG_HEADER = "[tool.flwr.app.config]"
OWN_KEYS: Mapping[str, Any] = {"out": "", "preset": "", "composed": False, "resume": False}
"""Keys of the run config that are no settings: see strategies.presets.from_run_config."""

INTRODUCTION = """\
# Settings

<!-- Written by `python -m federation.settings_page`; change strategies/settings.py instead. -->

One validated set of settings drives everything. The same name works in four places:

| where | spelling | example |
| --- | --- | --- |
| flag of `simulate`, `compare`, `reproduce`, `shards`, `submit` | `--clip-norm` | `--clip-norm 1` |
| settings file, `--config run.toml` | `clip_norm` or `clip-norm` | `clip_norm = 0.5` |
| `compare --sweep` | `clip_norm` or `clip-norm` | `--sweep clip_norm=0.3,0.5` |
| Flower's `flwr run . --run-config` | `clip-norm` | `--run-config "clip-norm=0.5"` |

Flags win over the settings file, and both win over what a strategy or a preset sets. A settings
file may also name `preset`. An unknown name, a value of the wrong type or out of bounds, and
settings that contradict each other end with exit code 2 and one line; nothing is written.

Where rounds are named and exposures are not, exposures are lowered to the rounds if they were
more. `reproduce privacy-fig3` and `privacy-fig4` start from the preset `paper-std`, the latter from
epsilon 25.
"""
STRATEGY_TEXT = """\
`--strategy NAME` names a composition; single settings can be overridden.
"""
MECHANISM_TEXT = """\
A mechanism with a proven epsilon brings its own defaults, by strategy or by `--privacy`; what you
name yourself wins. See [guarantees.md](guarantees.md).
"""
PRESET_TEXT = """\
`--preset NAME` sets a calibration under which a paper's figures come out, where the paper does not
print it: fits of ours, see [reproduction.md](reproduction.md) and [market.md](market.md).
"""


def page() -> str:
    """Return the text of docs/settings.md."""
    parts = [INTRODUCTION, "## Strategies\n", STRATEGY_TEXT, _strategies(STRATEGIES)]
    parts += ["On `--dataset carrada`:\n", _strategies(MARKET_STRATEGIES)]
    parts += ["## Defaults of the mechanisms\n", MECHANISM_TEXT, _side_by_side(MECHANISMS)]
    parts += ["`shared-noise` with `--unit clinic`:\n", _side_by_side({"shared-noise": BY_CLINIC})]
    parts += ["## Presets\n", PRESET_TEXT, _side_by_side(CALIBRATIONS)]
    parts += ["On `--dataset carrada`:\n", _side_by_side(MARKET_CALIBRATIONS)]
    rows = settings_rows()
    for group in dict.fromkeys(row["group"] for row in rows):
        own = [row for row in rows if row["group"] == group]
        parts += [f"## {group[:1].upper()}{group[1:]}\n", _settings(own)]
    return "\n".join(parts)


def run_config_block() -> str:
    """Return the ``[tool.flwr.app.config]`` table of pyproject.toml, header included."""
    values = {**OWN_KEYS, **Settings().as_dict()}
    lines = [f"{name.replace('_', '-')} = {_toml(value)}" for name, value in values.items()]
    return "\n".join([CONFIG_HEADER, *lines]) + "\n"


def with_run_config(text: str) -> str:
    """Return the text of a pyproject.toml with its run config replaced by the current one.

    Raises
    ------
    ValueError
        When the text has no such table.
    """
    before, header, after = text.partition(f"{CONFIG_HEADER}\n")
    if not header:
        raise ValueError(f"no line {CONFIG_HEADER} to write the run config under")
    _, mark, rest = after.partition("\n[")
    return before + run_config_block() + mark + rest


def main() -> int:
    """Rewrite both files where they are not current; print what was written."""
    pyproject = PYPROJECT.read_text(encoding="utf-8")
    for path, text in ((PAGE, page()), (PYPROJECT, with_run_config(pyproject))):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    return 0


def _strategies(named: Mapping[str, tuple[str, Mapping[str, Any]]]) -> str:
    rows = [(f"`{name}`", text, _values(values)) for name, (text, values) in named.items()]
    return _table(("strategy", "what it is", "sets"), rows)


def _side_by_side(named: Mapping[str, Mapping[str, Any]]) -> str:
    settings = dict.fromkeys(name for values in named.values() for name in values)
    rows = [
        (
            f"`{flag(name)}`",
            *(_shown(values[name]) if name in values else "" for values in named.values()),
        )
        for name in settings
    ]
    return _table(("setting", *(f"`{name}`" for name in named)), rows)


def _settings(rows: Iterable[Mapping[str, str]]) -> str:
    cells = [
        (f"`{row['flag']}`", row["default"], row["values"] or row["type"], row["meaning"])
        for row in rows
    ]
    return _table(("flag", "default", "values", "meaning"), cells)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _values(values: Mapping[str, Any]) -> str:
    named = [f"{flag(name)} {value}" for name, value in values.items() if value != ""]
    return f"`{' '.join(named)}`"


def _shown(value: Any) -> str:
    return f"`{value:.4g}`" if isinstance(value, float) else f"`{value}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    sys.exit(main())
