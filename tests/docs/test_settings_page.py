"""docs/settings.md and the run config in pyproject.toml say what the settings say."""

import tomllib
from dataclasses import fields

import pytest

from federation import settings_page
from strategies.market_presets import MARKET_CALIBRATIONS, MARKET_STRATEGIES
from strategies.presets import CALIBRATIONS, MECHANISMS, STRATEGIES, from_run_config
from strategies.settings import Settings, flag

HINT = "run python -m federation.settings_page"


def test_the_page_is_current() -> None:
    assert settings_page.PAGE.read_text(encoding="utf-8") == settings_page.page(), HINT


def test_the_page_has_a_row_for_every_setting_strategy_and_preset() -> None:
    rows = {line.split("|")[1].strip() for line in settings_page.page().splitlines() if "|" in line}
    assert {f"`{flag(item.name)}`" for item in fields(Settings)} <= rows
    assert {f"`{name}`" for name in (*STRATEGIES, *MARKET_STRATEGIES)} <= rows
    heads = " ".join(line for line in settings_page.page().splitlines() if "| setting |" in line)
    assert all(f"`{name}`" in heads for name in (*CALIBRATIONS, *MARKET_CALIBRATIONS, *MECHANISMS))


def test_the_run_config_equals_the_defaults() -> None:
    """Read as Flower reads it, so that a wrong type or a string in place of a number shows."""
    text = settings_page.PYPROJECT.read_text(encoding="utf-8")
    config = tomllib.loads(text)["tool"]["flwr"]["app"]["config"]
    defaults = {name.replace("_", "-"): value for name, value in Settings().as_dict().items()}
    own = {"out": "", "preset": "", "composed": False, "resume": False}
    assert config == {**own, **defaults}, HINT
    assert {key: type(value) for key, value in config.items() if key in defaults} == {
        key: type(value) for key, value in defaults.items()
    }
    assert from_run_config(config) == Settings()


def test_the_written_run_config_is_the_current_one_and_leaves_the_rest_alone() -> None:
    text = settings_page.PYPROJECT.read_text(encoding="utf-8")
    assert settings_page.with_run_config(text) == text, HINT
    spoilt = text.replace("\nclients = ", "\nclients = 9").replace("\nseed = ", "\nno-such = ")
    assert spoilt != text
    assert settings_page.with_run_config(spoilt) == text


def test_a_run_config_at_the_end_of_a_file_is_replaced_too() -> None:
    header = settings_page.CONFIG_HEADER
    assert settings_page.with_run_config(f"{header}\nold = 1\n") == settings_page.run_config_block()
    with pytest.raises(ValueError, match=r"no line \[tool\.flwr\.app\.config\]"):
        settings_page.with_run_config("[tool.other]\n")


def test_cells_cannot_break_the_table() -> None:
    assert settings_page._cell("a | b\n c") == "a \\| b c"
