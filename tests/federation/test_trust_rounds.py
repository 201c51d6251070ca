"""Rates over rounds beside the table: by hand, kept and gone on with, drawn."""

from math import isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import main
from federation.runner import run_one
from federation.statistics import summarise
from federation.trust_round_figures import draw_rounds, level_name
from federation.trust_rounds import (
    RoundRow,
    append_rounds,
    malicious_share,
    over_rounds,
    read_rounds,
    rounds_of,
    shut_out,
)
from federation.trust_table import rates, read_rows
from server.loop import RoundRecord
from strategies.presets import compose

KEY = ("trusted", "2", "alie", 1000)


def record(**details: object) -> RoundRecord:
    return RoundRecord(3, {}, sizes={"a": 30, "b": 10, "c": 20}, details=details)


def test_the_share_of_a_merge_is_by_weight_of_an_auction_by_winners() -> None:
    assert malicious_share(record(), {"b", "d"}) == pytest.approx(10 / 60)
    doubted = record(honest={"a": 1.0, "b": 0.5, "c": 0.0})
    assert malicious_share(doubted, {"b", "c"}) == pytest.approx(5 / 35)
    sold = record(promised={"a": 7, "b": 9}, honest={"a": 1.0, "b": 0.0})
    assert malicious_share(sold, {"b"}) == 0.5
    assert isnan(malicious_share(RoundRecord(1, {}), {"b"}))


def test_who_is_below_theta_is_out() -> None:
    now = record(trusted=["a"], reputations={"a": 0.5, "b": 0.49, "c": 0.1, "d": 0.7})
    assert shut_out(now, {"b", "d"}, 0.5) == (0.5, 0.5)
    assert all(map(isnan, shut_out(record(), {"b"}, 0.5)))
    found, out = shut_out(now, set(), 0.5)
    assert isnan(found)
    assert out == 0.5


def test_the_last_round_is_what_the_table_says() -> None:
    run = run_one(compose("trusted", {"attack": "sign-flip", "attackers": 6, "rounds": 6}))
    rows = rounds_of(KEY, run)
    assert [row.round for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0].malicious == pytest.approx(6 / 20)  # round 1 is open to all
    out, found, malicious = rates(run)
    assert (rows[-1].honest_out, rows[-1].found) == (out, found)
    assert malicious == pytest.approx(np.mean([row.malicious for row in rows[-5:]]))


Numbers = st.floats(0, 1) | st.just(float("nan"))


@given(st.lists(st.tuples(Numbers, Numbers, Numbers), min_size=1, max_size=6))
def test_what_is_written_is_read_and_a_run_written_twice_counts_once(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[float, float, float]]
) -> None:
    path = tmp_path_factory.mktemp("kept") / "rounds.csv"
    rows = [RoundRow(*KEY, number + 1, *value) for number, value in enumerate(values)]
    append_rounds([RoundRow(*KEY, row.round, 9.0, 9.0, 9.0) for row in rows], path)
    append_rounds([RoundRow("krum", *KEY[1:], 1, 0.0, 0.0, 0.0)], path)
    append_rounds(rows, path)
    assert repr(read_rounds(path, [KEY])) == repr(rows)
    assert read_rounds(path.with_name("other.csv"), [KEY]) == []


def test_means_are_over_seeds_round_by_round() -> None:
    rows = [
        RoundRow(*KEY[:3], seed, number, value, value / 2, float("nan"))
        for seed, values in enumerate([(0.1, 0.2), (0.3, 0.8)])
        for number, value in enumerate(values, start=1)
    ]
    found = over_rounds(rows)[KEY[:3]]
    assert [point.mean for point in found["malicious"]] == pytest.approx([0.2, 0.5])
    assert found["found"][1] == summarise([0.1, 0.4])
    assert [point.n for point in found["honest_out"]] == [0, 0]


def test_a_table_from_before_goes_on_and_draws_what_it_has(tmp_path: Path) -> None:
    words = [
        "reproduce",
        "trust-under-attack",
        "--clients",
        "7",
        "--rounds",
        "2",
        "--attackers",
        "2",
    ]
    words += ["--rules", "fedavg,reputation+likelihood", "--levels", "5", "--attacks", "alie"]
    words += ["--workers", "1", "--quiet", "--out", str(tmp_path)]
    assert main([*words, "--seeds", "1"]) == 0
    picture = tmp_path / "rounds-reputation-likelihood-5.png"
    assert picture.stat().st_size > 10_000
    (tmp_path / "rounds.csv").unlink()
    picture.unlink()
    assert main([*words, "--seeds", "1", "--resume"]) == 0
    assert not picture.exists()
    assert main([*words, "--seeds", "2", "--resume"]) == 0
    assert picture.exists()
    keys = list(read_rows(tmp_path / "runs.csv"))
    assert len(keys) == 4
    assert {row.seed for row in read_rounds(tmp_path / "rounds.csv", keys)} == {1001}


def test_levels_are_named_and_gaps_are_drawn(tmp_path: Path) -> None:
    assert [level_name(level) for level in ("none", "2", "global-20")] == [
        "no noise",
        "dp-gd ε 2",
        "global-dp ε 20",
    ]
    nothing = [summarise([])] * 2
    rates_ = {"none": {"malicious": nothing, "found": nothing, "honest_out": nothing}}
    assert draw_rounds(rates_, tmp_path / "empty.png", "nobody").exists()
