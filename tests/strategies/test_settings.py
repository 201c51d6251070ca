"""Settings: every bound holds, every mistake names itself in one line, every form round-trips."""

import argparse
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.backends.inprocess import run_config
from federation.flags import (
    Parser,
    UsageError,
    add_settings,
    read_config,
    settings_from,
    settings_rows,
)
from strategies.learn_settings import LearnFields
from strategies.market_settings import MarketFields
from strategies.presets import compose, from_run_config
from strategies.settings import Settings, SettingsError, byzantine_limit, check_byzantine, flag

FIELDS = {item.name: item for item in fields(Settings)}
NUMBERS = [name for name, item in FIELDS.items() if item.type in (int, float)]
CHOICES = [name for name, item in FIELDS.items() if item.metadata["choices"]]
# CARRADA's own settings have tests of their own: on BCWD they are refused.
NOT_ON_BCWD = {item.name for of in (MarketFields, LearnFields) for item in fields(of)}
NOT_ON_BCWD |= {"strategy", "dataset"}
# Another valid value of a setting where half the default, or any other choice, would not do.
OTHER: dict[str, Any] = {
    "data": "a b.data",
    "sizes": "1,2,3,4,5,6,7,8,9.5",
    "clients": 9,
    "partition": "sizes",
    "exposures": 4,
    "byzantine": 3,
    "aggregation": "krum",
    "trim": 0.1,
    "first_share": 0.25,
    "upload_cost": "0.1,0.5",
    "uploads": 7,
    "learning_rate": 0.1 + 0.2,
    "epsilon": 1.0 / 3.0,
    "noise": "system",
    "privacy": "none",
    "attack": "sign-flip",
    "attackers": 6.0,
    "attack_schedule": "from:2",
    "threshold": 15,
    "neighbours": 12,
}
_SECURE = {"privacy": "none", "secure_aggregation": "on"}
NEEDS: dict[str, dict[str, Any]] = {
    "sizes": {"partition": "sizes", "clients": 9},
    "partition": {"sizes": OTHER["sizes"], "clients": 9},
    "byzantine": {"aggregation": "krum"},
    "price_per_epsilon": {"privacy": "certified"},
    "first_share": {"privacy": "dp-gd", "steps": 1},
    "uploads": {"privacy": "certified", "clip_norm": 10.0},
    "detector": {"selection": "reputation"},
    "public_records": {"selection": "reputation", "detector": "algorithm1"},
    "ratings": {"selection": "reputation", "detector": "algorithm1"},
    "rating_epsilon": {
        "selection": "reputation",
        "detector": "algorithm1",
        "ratings": "noised",
    },
    "rating_attack": {
        "selection": "reputation",
        "detector": "algorithm1",
        "attack": "sign-flip",
    },
    "upload_cost": {"auction": "knapsack"},
    "attackers": {"attack": "nan"},
    "attack_schedule": {"attack": "alie"},
    "secure_aggregation": {"privacy": "none"},
    **dict.fromkeys(
        ("threshold", "neighbours", "colluders", "dropouts", "modulus_bits", "largest_shard"),
        _SECURE,
    ),
}


def other(name: str) -> Any:
    """Return a valid value of a setting that is not its default."""
    item = FIELDS[name]
    if name in OTHER:
        return OTHER[name]
    if item.metadata["choices"]:
        return next(c for c in item.metadata["choices"] if c != item.default)
    if item.type is str:
        return "some text"
    return item.default + 3 if item.type is int else item.default / 2 or 12.5


def options_of(*words: str) -> argparse.Namespace:
    parser = Parser(prog="test", allow_abbrev=False)
    add_settings(parser)
    return parser.parse_args(list(words))


def config_file(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


def just_outside(name: str) -> list[float]:
    meta = FIELDS[name].metadata
    below = [meta["minimum"] - 1] if meta["minimum"] is not None else []
    below += [meta["maximum"] * 2] if meta["maximum"] is not None else []
    return [*below, *(meta[end] for end in ("above", "below") if meta[end] is not None)]


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n in NUMBERS for v in just_outside(n)], ids=str
)
def test_a_value_just_outside_its_bounds_is_refused_by_flag_name(name: str, value: float) -> None:
    kind = FIELDS[name].type
    with pytest.raises(
        SettingsError, match=rf"^{flag(name)} must be (at least|at most|above|below) "
    ) as info:
        Settings(**{name: kind(value)})  # type: ignore[operator]
    assert "\n" not in str(info.value)


def test_every_number_has_bounds_on_both_sides() -> None:
    """A flag of 10^9 rounds or clients is refused before a list of that length is made."""
    for name in NUMBERS:
        meta = FIELDS[name].metadata
        assert meta["minimum"] is not None or meta["above"] is not None, name
        assert meta["maximum"] is not None or meta["below"] is not None, name


@pytest.mark.parametrize("name", [n for n in NUMBERS if FIELDS[n].type is float])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, -(10**400)])
def test_numbers_must_be_finite(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=rf"^{flag(name)} must be a finite number"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [True, None, ["x"], {"a": 1}, b"x"])
def test_values_of_another_type_are_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"^{flag(name)} must be "):
        Settings(**{name: value})


def test_a_whole_number_is_no_fraction_and_text_no_number() -> None:
    with pytest.raises(
        SettingsError, match=r"^--clients must be a whole number, got 2.0 \(float\)"
    ):
        Settings(clients=2.0)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"^--epsilon must be a number, got '5' \(str\)"):
        Settings(epsilon="5")  # type: ignore[arg-type]
    assert Settings(epsilon=5).epsilon == 5.0
    assert isinstance(Settings(epsilon=5).epsilon, float)


def test_a_huge_negative_number_is_refused_and_not_a_crash() -> None:
    with pytest.raises(SettingsError, match=r"^--seed must be at least 0"):
        Settings(seed=-(10**400))


@pytest.mark.parametrize("name", CHOICES)
def test_an_unknown_choice_names_the_nearest(name: str) -> None:
    for choice in FIELDS[name].metadata["choices"]:
        with pytest.raises(SettingsError, match=f"did you mean {choice!r}"):
            Settings(**{name: choice + "x"})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rounds": 3, "exposures": 4}, "exposures 4 is more than rounds 3"),
        (
            {"partition": "sizes", "sizes": "1,2", "clients": 3},
            "sizes names 2 shards for 3 clients",
        ),
        ({"sizes": "1,2", "clients": 2}, "sizes needs --partition sizes"),
        ({"partition": "sizes", "sizes": "1,-2", "clients": 2}, "sizes must be positive"),
        ({"partition": "sizes", "sizes": "1,x", "clients": 2}, "sizes must be positive"),
        ({"partition": "sizes", "sizes": "1,inf", "clients": 2}, "sizes must be positive"),
        ({"aggregation": "krum", "byzantine": 4, "clients": 10}, r"needs 11 replies \(2 f \+ 3\)"),
        ({"aggregation": "multikrum", "clients": 2}, "has 2: add clients"),
        ({"aggregation": "bulyan", "byzantine": 2, "clients": 10}, r"needs 11 .* to at most 1"),
    ],
    ids=str,
)
def test_values_that_contradict_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        Settings(**changes)


def test_without_noise_the_exposures_do_not_matter() -> None:
    assert Settings(privacy="none", rounds=1, exposures=5).rounds == 1


@given(st.integers(0, 60), st.sampled_from([("krum", 2), ("multikrum", 2), ("bulyan", 4)]))
def test_byzantine_limit_is_the_largest_f_that_is_accepted(
    replies: int, rule: tuple[str, int]
) -> None:
    name, factor = rule
    limit = byzantine_limit(name, replies)
    assert limit is not None
    allowed = [f for f in range(40) if factor * f + 3 <= replies]
    assert max(limit, -1) == (allowed[-1] if allowed else -1)
    for f in range(40):
        if f <= limit:
            check_byzantine(name, f, replies)
        else:
            with pytest.raises(SettingsError):
                check_byzantine(name, f, replies)


def test_rules_without_attackers_have_no_limit() -> None:
    assert byzantine_limit("fedmedian", 1) is None
    check_byzantine("fedmedian", 100, 1)


@pytest.mark.parametrize(
    ("typed", "meant"), [("epsilom", "epsilon"), ("learning-rat", "learning_rate")]
)
def test_an_unknown_name_is_refused_with_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown setting {typed!r}; did you mean {meant!r}"):
        Settings.from_mapping({typed: 1})


def test_names_may_use_either_spelling() -> None:
    assert Settings.from_mapping({"learning-rate": 0.5}) == Settings(learning_rate=0.5)
    assert Settings.from_mapping({"learning_rate": 0.5}) == Settings(learning_rate=0.5)


def test_a_changed_copy_is_checked_again() -> None:
    with pytest.raises(SettingsError, match="--delta must be below 1"):
        Settings().changed(delta=1.0)


@pytest.mark.parametrize("name", [n for n in FIELDS if n not in NOT_ON_BCWD])
def test_flag_file_and_run_config_give_the_same_settings(name: str, tmp_path: Path) -> None:
    changes = {name: other(name), **NEEDS.get(name, {})}
    assert changes[name] != FIELDS[name].default
    expected = compose("global-dp", changes)
    assert getattr(expected, name) == changes[name]
    words = [word for key, value in changes.items() for word in (flag(key), str(value))]
    lines = [f"{key.replace('_', '-')} = {value!r}" for key, value in changes.items()]
    path = config_file(tmp_path, "\n".join(lines))
    assert settings_from(options_of(*words)) == expected
    assert settings_from(options_of("--config", str(path))) == expected
    assert from_run_config(run_config(expected) | {"out": "anywhere"}) == expected
    assert Settings.from_mapping(expected.as_dict()) == expected


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    path = config_file(tmp_path, "preset = 'paper-variance'\nseed = 5\nrounds = 12\n")
    from_file = settings_from(options_of("--config", str(path)))
    assert (from_file.seed, from_file.rounds, from_file.exposures) == (5, 12, 10)
    assert from_file.reading == "variance"
    both = settings_from(options_of("--config", str(path), "--seed", "6"))
    assert both == from_file.changed(seed=6)
    other = settings_from(options_of("--config", str(path), "--preset", "paper-std"))
    assert (other.reading, other.rounds) == ("std", 12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epsilom = 3", "unknown setting 'epsilom'; did you mean 'epsilon'"),
        ("[privacy]\nepsilon = 3", "--privacy must be text"),
        ("epsilon = ", "Invalid value"),
        ("epsilon = -1", "--epsilon must be above 0"),
        ("epsilon = nan", "--epsilon must be a finite number"),
        ("epsilon = '5'", "--epsilon must be a number, got '5'"),
        ("rounds = 'ten'", "--rounds must be a whole number"),
        ("rounds = 0", "--rounds must be at least 1"),
        ("clients = 2.5", "--clients must be a whole number"),
        ("privacy = 3", "--privacy must be text"),
        ("strategy = 'globaldp'", "unknown strategy 'globaldp'; did you mean 'global-dp'"),
        ("strategy = []", "unknown strategy"),
        ("preset = ['paper-std']", "unknown preset"),
        ("preset = 'paper'", "unknown preset 'paper'; did you mean 'paper-std'"),
        (f"a = {'[' * 100_000}", "name a TOML file of settings"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_settings_file_is_refused_in_one_line(text: str, reason: str, tmp_path: Path) -> None:
    path = config_file(tmp_path, text)
    with pytest.raises((SettingsError, UsageError), match=reason) as info:
        settings_from(options_of("--config", str(path)))
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("make", ["missing", "folder", "binary", "huge", "pipe"])
def test_an_unreadable_settings_file_is_refused(make: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    if make == "folder":
        path.mkdir()
    elif make == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    elif make == "huge":
        path.write_bytes(b"#" * (2 << 20))
    elif make == "pipe":
        os.mkfifo(path)
    with pytest.raises(UsageError, match=r"--config .*run\.toml.*; name a TOML file of settings"):
        read_config(path)


def test_an_unknown_flag_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"--epsilom.*did you mean --epsilon"):
        options_of("--epsilom", "5")


def test_every_setting_has_a_flag_a_help_text_and_a_row_in_the_docs_table() -> None:
    rows = settings_rows()
    assert [row["flag"] for row in rows] == [flag(name) for name in FIELDS]
    assert all(row["meaning"] and row["group"] for row in rows)
    parser = Parser(prog="test")
    add_settings(parser)
    assert {flag(name) for name in FIELDS} <= set(parser._option_string_actions)


def test_equal_settings_hash_alike_and_leave_their_hash_behind_when_pickled() -> None:
    import pickle

    one, other = Settings(epsilon=7.0), Settings().changed(epsilon=7.0)
    assert hash(one) == hash(other)
    assert hash(one) != hash(Settings())
    assert one.__dict__["_hash"] == hash(one)  # computed once: settings are keys of many caches
    copy = pickle.loads(pickle.dumps(one))  # noqa: S301 - what a worker process is handed
    assert copy == one
    assert "_hash" not in copy.__dict__
    assert hash(copy) == hash(one)
