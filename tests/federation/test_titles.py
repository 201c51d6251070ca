"""A title says what ran: the strategy by its name alone only where all its parts are its own."""

from pathlib import Path

import pytest

from federation.cli import main
from federation.titles import strategy_title
from strategies.market_presets import MARKET_STRATEGIES, compose_market
from strategies.presets import STRATEGIES, compose


@pytest.mark.parametrize("name", [*STRATEGIES, "mine:Mean"])
def test_a_strategy_with_its_own_parts_is_its_name(name: str) -> None:
    assert strategy_title(compose(name, {}).as_dict()) == name


@pytest.mark.parametrize("name", MARKET_STRATEGIES)
def test_a_market_is_its_name(name: str) -> None:
    assert strategy_title(compose_market(name, {}).as_dict()) == name


@pytest.mark.parametrize(
    ("name", "overrides", "title"),
    [
        ("fedavg", {"aggregation": "krum"}, "fedavg (krum)"),
        ("fedavg", {"aggregation": "krum", "privacy": "dp-gd"}, "fedavg (krum, dp-gd)"),
        ("dp-gd", {"privacy": "none"}, "dp-gd (no noise)"),
        ("trusted", {"auction": "none"}, "trusted (no auction)"),
        ("reputation", {"detector": "algorithm1"}, "reputation (algorithm1)"),
        ("mine:Mean", {"privacy": "dp-gd"}, "mine:Mean (dp-gd)"),
    ],
)
def test_parts_that_were_put_in_its_place_are_named(
    name: str, overrides: dict[str, str], title: str
) -> None:
    assert strategy_title(compose(name, overrides).as_dict()) == title


def test_a_comparison_names_what_was_replaced_everywhere_but_not_what_is_swept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "compare --strategies fedavg,dp-gd --rounds 1 --clients 5 --seeds 1 --workers 1"
    assert main([*words.split(), "--aggregation", "krum", "--out", str(tmp_path / "a")]) == 0
    printed = capsys.readouterr().out
    assert " fedavg (krum) " in printed
    assert " dp-gd (krum) " in printed
    swept = ["--sweep", "aggregation=fedavg,krum", "--out", str(tmp_path / "b")]
    assert main([*words.split(), *swept]) == 0
    assert "(krum)" not in capsys.readouterr().out
