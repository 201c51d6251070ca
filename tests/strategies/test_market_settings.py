"""Settings of the market: what they turn into, what goes with what, and whose they are."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from strategies.market import SET_A, SET_B, device_types
from strategies.market_presets import (
    MARKET_CALIBRATIONS,
    MARKET_STRATEGIES,
    compose_market,
    refuse_foreign,
)
from strategies.market_settings import (
    GROUP,
    attack_rates,
    cubes_of,
    market_of,
    type_counts,
)
from strategies.market_world import as_bits, moment, true_tokens, types_of
from strategies.presets import compose, default_strategy, from_run_config
from strategies.settings import Settings, SettingsError
from strategies.trust_settings import SHARED
from tests.markets import market_settings


def test_the_presets_are_the_calibrations_of_the_mechanism() -> None:
    assert market_of(compose_market("reputation", {}, "market-a")) == SET_A
    assert market_of(compose_market("reputation", {}, "market-b")) == SET_B
    assert market_of(compose_market("reputation", {})) == SET_A


@pytest.mark.parametrize("strategy", MARKET_STRATEGIES)
@pytest.mark.parametrize("preset", [None, *MARKET_CALIBRATIONS])
def test_every_strategy_composes_with_every_preset(strategy: str, preset: str | None) -> None:
    settings = compose(strategy, {"dataset": "carrada"}, preset)
    assert (settings.strategy, settings.rounds, settings.privacy) == (strategy, 500, "none")
    assert settings.selection == MARKET_STRATEGIES[strategy][1]["selection"]
    assert market_of(settings).discount == (strategy == "trusted")


def test_what_the_user_names_wins() -> None:
    settings = compose_market("trusted", {"discount": "none", "z": 0.9, "rounds": 7}, "market-b")
    assert (settings.discount, settings.z, settings.cover, settings.rounds) == ("none", 0.9, 0.5, 7)
    assert market_of(settings).episodes == 1


@pytest.mark.parametrize(
    ("text", "cubes"),
    [
        ("2x2x2", (2, 2, 2)),
        ("4X1x3", (4, 1, 3)),
        ("8", (2, 2, 2)),
        ("12", (3, 2, 2)),
        ("7", (7, 1, 1)),
        ("1", (1, 1, 1)),
        ("63", (7, 3, 3)),
    ],
)
def test_cubes_are_slices_or_their_number(text: str, cubes: tuple[int, int, int]) -> None:
    assert cubes_of(market_settings(cubes=text)) == cubes


@pytest.mark.parametrize("text", ["", "0", "64", "2x2", "2x2x2x2", "0x2x2", "-1x2x2", "4x4x4", "a"])
def test_other_cubes_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="give slices along range, azimuth and Doppler"):
        market_settings(cubes=text)


def test_types_are_spread_evenly_unless_counted() -> None:
    even = market_settings(seed=4)
    assert types_of(even).tolist() == device_types(market_of(even), 4).tolist()
    counted = market_settings(types="5,0,4")
    assert np.bincount(types_of(counted), minlength=4).tolist() == [0, 5, 0, 4]
    assert type_counts(counted) == (5, 0, 4)
    orders = {tuple(types_of(market_settings(types="5,0,4", seed=s))) for s in range(5)}
    assert len(orders) == 5


def test_nobody_attacks_where_attack_is_none() -> None:
    assert attack_rates(market_settings()) == (0.05, 0.5, 0.5)
    assert attack_rates(market_settings(attack="none")) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"theta": 0.51}, "theta 0.51 is outside 0..alpha = 0.5"),
        ({"alpha": 1.5, "theta": 0.5}, "--alpha must be at most 1, got 1.5"),
        ({"visit": 1.1}, "--visit must be at most 1, got 1.1"),
        ({"privacy": "global-dp"}, "--privacy is a setting of --dataset bcwd"),
        ({"market": "tokens"}, "--market: unknown value"),
        ({"fusion": "mean"}, "--fusion: unknown value"),
        ({"auction": "dutch"}, "--auction: unknown value"),
        ({"slot": 0.0}, "--slot must be above 0"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused_in_one_line(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason) as info:
        market_settings(**changes)
    assert "\n" not in str(info.value)


def test_privacy_does_not_belong_in_a_market_however_it_gets_there() -> None:
    with pytest.raises(SettingsError, match="belongs to --dataset bcwd"):
        Settings(dataset="carrada", privacy="global-dp")


def test_every_setting_belongs_to_a_data_set_or_to_both() -> None:
    readers: dict[tuple[str, ...], set[str]] = {}
    for item in fields(Settings):
        allowed = []
        for world in ("bcwd", "twin", "learn"):
            try:
                refuse_foreign([item.name], world)
                allowed.append(world)
            except SettingsError:
                pass
        readers.setdefault(tuple(allowed), set()).add(item.name)
    general = {"strategy", "dataset", "clients", "rounds", "seed", "backend", "data", "attack"}
    general |= {"node_wait", "round_timeout", "signatures"}  # of any deployment
    assert readers.pop(("bcwd", "twin", "learn")) == general | set(SHARED)
    of_market = {item.name for item in fields(Settings) if item.metadata["group"] == GROUP}
    assert readers.pop(("twin",)) == of_market - set(SHARED)
    assert readers.pop(("twin", "learn")) == {"task"}
    assert readers.pop(("learn",)) == {"descriptors"}
    assert readers.pop(("bcwd",)) == {"schema", "missing"}
    assert set(readers) == {("bcwd", "learn")}


def test_nodes_are_devices_and_users() -> None:
    settings = market_settings()
    assert settings.nodes == 15
    assert settings.for_nodes(15) is settings
    assert settings.for_nodes(10).clients == 4
    with pytest.raises(SettingsError, match="6 nodes are no market of 6 users"):
        settings.for_nodes(6)
    assert Settings().nodes == 20
    assert Settings().for_nodes(7).clients == 7


def test_a_run_config_that_names_carrada_alone_is_its_default() -> None:
    assert default_strategy("carrada") == "reputation"
    assert default_strategy("bcwd") == default_strategy(None) == "global-dp"
    settings = from_run_config({"dataset": "carrada", "strategy": "global-dp", "rounds": 100})
    assert settings == compose_market("reputation", {})
    named = from_run_config({"dataset": "carrada", "strategy": "trusted", "preset": "market-b"})
    assert named == compose_market("trusted", {}, "market-b")


def test_rounds_have_an_episode_and_a_step() -> None:
    settings = market_settings()
    assert [moment(settings, n) for n in (1, 15, 16, 30)] == [(0, 0), (0, 14), (1, 0), (1, 14)]


def test_tokens_are_exact_in_float64_and_of_their_own_episode() -> None:
    tokens = true_tokens(market_settings(), 0)
    assert tokens.shape == (15, 8)
    assert (tokens.astype(np.float64).astype(np.int64) == tokens).all()
    assert tokens.min() > 0
    assert not set(tokens.ravel()) & set(true_tokens(market_settings(), 1).ravel())


def test_bits() -> None:
    assert as_bits(np.array([True, False, True, True])) == 0b1101
    assert as_bits(np.zeros(63, np.bool_)) == 0
