"""A title says what ran: the strategy by its name alone only where all its parts are its own."""

import pytest

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
