"""The grid of a comparison: what is swept, paired by seed, and summarised."""

import numpy as np
import pytest
from scipy import stats

from federation.cells import run_cell
from federation.compare import build_grid, parse_sweeps, summarise_grid, with_attacks
from federation.flags import UsageError
from federation.runner import run_one
from server.model import weights_sha256
from strategies.settings import SettingsError

OVERRIDES = {"rounds": 2, "clients": 4}


def test_sweeps_are_read_with_the_types_of_their_settings() -> None:
    sweeps = parse_sweeps(
        ["epsilon=1,5, 20", "--clip-norm=0.5", "clients=5,10", "features=log,raw"]
    )
    assert sweeps == {
        "epsilon": [1.0, 5.0, 20.0],
        "clip_norm": [0.5],
        "clients": [5, 10],
        "features": ["log", "raw"],
    }


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["epsilon"], "write name=value,value"),
        (["epsilon="], "write name=value,value"),
        (["=1,2"], "unknown setting ''"),
        (["epsilon=,"], "name each setting once, and each value once"),
        (["epsilon=1,1.0"], "name each setting once, and each value once"),
        (["epsilon=1", "epsilon=2"], "name each setting once, and each value once"),
        (["epsilom=1"], "unknown setting 'epsilom'; did you mean 'epsilon'"),
        (["epsilon=1,x"], "--epsilon must be a number, got 'x'"),
        (["rounds=1.5"], "--rounds must be a whole number, got '1.5'"),
        (["seed=1,2"], "unknown setting 'seed'"),
        (["strategy=fedavg"], "unknown setting 'strategy'"),
        (["backend=ray"], "unknown setting 'backend'"),
    ],
    ids=str,
)
def test_a_sweep_that_cannot_be_run_is_refused(texts: list[str], reason: str) -> None:
    with pytest.raises((UsageError, SettingsError), match=reason) as info:
        parse_sweeps(texts)
    assert "\n" not in str(info.value)


def test_the_grid_is_every_strategy_value_and_seed_in_order() -> None:
    sweeps = {"epsilon": [1.0, 5.0], "features": ["raw", "log"]}
    grid = build_grid(["global-dp", "fedavg"], sweeps, [3, 4, 5], OVERRIDES, None)
    assert len(grid) == 2 * 4 * 3
    assert len(set(grid)) == len(grid)
    first, last = grid[0], grid[-1]
    assert (first.settings.strategy, first.settings.seed) == ("global-dp", 3)
    assert first.swept == (("epsilon", 1.0), ("features", "raw"))
    assert (last.settings.strategy, last.settings.seed) == ("fedavg", 5)
    assert last.swept == (("epsilon", 5.0), ("features", "log"))
    assert {cell.settings.clients for cell in grid} == {4}


def test_a_swept_value_wins_over_a_flag_and_a_preset() -> None:
    grid = build_grid(["global-dp"], {"rounds": [3]}, [1], {"rounds": 9}, "paper-variance")
    assert (grid[0].settings.rounds, grid[0].settings.exposures) == (3, 3)


def test_a_bad_cell_is_refused_before_the_first_run() -> None:
    with pytest.raises(
        SettingsError, match="cell global-dp, epsilon -1: --epsilon must be above 0"
    ):
        build_grid(["global-dp"], {"epsilon": [1.0, -1.0]}, [1], OVERRIDES, None)


def test_attacks_are_swept_first_and_once() -> None:
    sweeps = with_attacks({"epsilon": [1.0]}, "none,stale")
    assert list(sweeps.items()) == [("attack", ["none", "stale"]), ("epsilon", [1.0])]
    assert with_attacks({"epsilon": [1.0]}, None) == {"epsilon": [1.0]}
    with pytest.raises(UsageError, match="say the same"):
        with_attacks({"attack": ["stale"]}, "none")
    with pytest.raises(UsageError, match="name each once"):
        with_attacks({}, "none,none")


def test_a_swept_setting_is_not_fixed_by_a_flag_too() -> None:
    with pytest.raises(UsageError, match="--epsilon is swept and fixed"):
        build_grid(["global-dp"], {"epsilon": [1.0, 5.0]}, [1], {"epsilon": 2.0}, None)


def test_centralised_may_stand_beside_any_number_of_clinics() -> None:
    grid = build_grid(["centralised", "fedavg"], {}, [1], {"clients": 4}, None)
    assert [cell.settings.clients for cell in grid] == [1, 4]


def test_a_cell_is_the_run_of_its_settings() -> None:
    (cell,) = build_grid(["global-dp"], {"epsilon": [7.0]}, [2], OVERRIDES, None)
    entry, details = run_cell(cell)
    assert details == []
    assert entry["cell"] == {"epsilon": 7.0}
    assert entry["seed"] == 2
    assert entry["final"]["weights_sha256"] == weights_sha256(run_one(cell.settings).weights)


def run(strategy: str, seed: int, accuracy: float, **swept: float) -> dict:
    names = ("accuracy", "loss", "sensitivity", "specificity", "auc", "seconds")
    final = dict.fromkeys(names, accuracy)
    cell = {"epsilon": None if strategy == "fedavg" else swept.get("epsilon")}
    return {
        "strategy": strategy,
        "seed": seed,
        "final": final,
        "cell": cell | swept,
        "swept": swept,
    }


def test_differences_are_paired_by_seed_and_cell() -> None:
    """Oracle: scipy's paired t interval."""
    rng = np.random.default_rng(0)
    base = {eps: rng.uniform(0.6, 0.9, 8) for eps in (1.0, 5.0)}
    other = {eps: base[eps] + 0.05 + 0.01 * rng.standard_normal(8) for eps in base}
    runs = [run("global-dp", s, base[e][s], epsilon=e) for e in base for s in range(8)]
    runs += [run("fedavg", s, other[e][s], epsilon=e) for e in base for s in range(8)]
    rows = summarise_grid(runs, "global-dp")
    found = {row["cell"]["epsilon"]: row for row in rows if row["metric"] == "accuracy_minus_first"}
    assert set(found) == {1.0, 5.0}
    for eps, row in found.items():
        difference = other[eps] - base[eps]
        interval = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
        assert (row["strategy"], row["n"]) == ("fedavg", 8)
        assert row["mean"] == pytest.approx(difference.mean())
        assert (row["ci95_low"], row["ci95_high"]) == pytest.approx((interval.low, interval.high))
    means = [r for r in rows if r["metric"] == "accuracy" and r["strategy"] == "global-dp"]
    assert [r["mean"] for r in means] == pytest.approx([v.mean() for v in base.values()])


def test_every_metric_but_the_time_has_its_difference() -> None:
    runs = [run("a", s, 0.5) for s in (1, 2)] + [run("b", s, 0.7) for s in (1, 2)]
    names = {row["metric"] for row in summarise_grid(runs, "a")}
    plain = {"accuracy", "loss", "sensitivity", "specificity", "auc"}
    assert names == plain | {f"{name}_minus_first" for name in plain} | {"seconds"}


def test_a_pair_that_an_interrupt_broke_is_left_out() -> None:
    runs = [run("a", 1, 0.5), run("a", 2, 0.6), run("b", 2, 0.8), run("b", 3, 0.1)]
    (row,) = [r for r in summarise_grid(runs, "a") if r["metric"] == "accuracy_minus_first"]
    assert (row["n"], row["mean"]) == (1, pytest.approx(0.2))
    assert row["ci95_low"] is None
