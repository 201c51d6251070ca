"""Whole runs under the mechanisms whose epsilon is proven."""

import json

import numpy as np
import pytest

from datasets.federated import cut, load
from federation.runner import run_one
from server.certification import privacy_of
from server.errors import BudgetExhausted
from strategies.presets import compose
from strategies.privacy.contenders import CONTENDERS
from strategies.privacy.sweep import cohort_of


@pytest.mark.parametrize("unit", ["record", "patient"])
@pytest.mark.parametrize("name", ["dp-gd", "certified"])
def test_the_message_path_gives_the_weights_of_the_sweep(name: str, unit: str) -> None:
    settings = compose(name, {"seed": 5, "unit": unit, "epsilon": 2.0})
    run = run_one(settings)
    parts = cut(load("", "", "drop"), clients=20, seed=5, split=unit, unit=unit)
    cohort, _ = cohort_of(parts, CONTENDERS[name], 5, unit)
    expected = CONTENDERS[name].run(cohort, [2.0], 1e-5)[0]
    np.testing.assert_allclose(run.weights, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["dp-gd", "certified"])
def test_a_curious_server_is_held_to_what_was_asked_for(name: str) -> None:
    run = run_one(compose(name, {"epsilon": 2.0, "rounds": 4}))
    block = privacy_of(run)
    assert block["certified_epsilon"]["server"]["proven"] == pytest.approx(2.0, rel=1e-6)
    assert block["certified_epsilon"]["broadcast"]["proven"] < 1.0
    json.dumps(block, allow_nan=False)


def test_a_broadcast_of_a_non_linear_merge_costs_an_upload() -> None:
    run = run_one(compose("dp-gd", {"aggregation": "krum", "rounds": 2}))
    table = privacy_of(run)["certified_epsilon"]
    assert table["broadcast"] == table["server"] == table["eavesdropper"]


def test_discrete_noise_prints_what_is_proven_and_never_repeats() -> None:
    settings = compose("dp-gd", {"noise": "discrete", "rounds": 2})
    first, second = run_one(settings), run_one(settings)
    assert not np.array_equal(first.weights, second.weights)
    block = privacy_of(first)
    proven = block["certified_epsilon"]["server"]["proven"]
    assert 1.0 < proven < 1.3
    assert any(f"{proven:.4g}" in text for text in block["warnings"])
    assert not any("seeded" in text for text in block["warnings"])


def test_a_spent_budget_stops_every_clinic_and_the_run() -> None:
    rounds: list[int] = []
    settings = compose("dp-gd", {"max_epsilon": 0.5})
    with pytest.raises(BudgetExhausted, match="PrivacyBudgetExhausted: upload 3 would bring"):
        run_one(settings, lambda record: rounds.append(record.round))
    assert rounds == [0, 1, 2]


def test_clinics_upload_no_more_than_they_allow() -> None:
    with pytest.raises(BudgetExhausted, match="upload 4 refused, this clinic allows 3 a run"):
        run_one(compose("dp-gd", {"max_uploads": 3}))


def test_global_dp_stops_at_its_certified_epsilon_not_at_the_nominal_one() -> None:
    rounds: list[int] = []
    settings = compose("global-dp", {"rounds": 10, "max_epsilon": 150.0})
    with pytest.raises(BudgetExhausted):
        run_one(settings, lambda record: rounds.append(record.round))
    assert 1 <= rounds[-1] < 10


def test_a_ledger_adds_up_over_runs_and_charges_a_repeated_run_once(tmp_path) -> None:
    from strategies.privacy.ledger_store import LedgerStore

    ledger = str(tmp_path / "ledger.db")
    first = run_one(compose("dp-gd", {"ledger": ledger, "rounds": 3}))
    again = run_one(compose("dp-gd", {"ledger": ledger, "rounds": 3}))
    assert np.array_equal(first.weights, again.weights)
    run_one(compose("dp-gd", {"ledger": ledger, "rounds": 3, "epsilon": 2.0}))
    store = LedgerStore(f"sqlite:///{ledger}")
    names = store.names()
    assert len(names) == 20
    spent = store.load(names[0])
    assert spent.uploads() == 6
    assert spent.epsilon("server", 1e-5) > 2.0
    with pytest.raises(BudgetExhausted, match="over all runs on this data"):
        run_one(compose("dp-gd", {"ledger": ledger, "rounds": 2, "max_epsilon": 2.0}))
    assert store.load(names[0]).uploads() == 6
    store.close()


@pytest.mark.slow
def test_dp_sgd_runs_on_opacus_and_is_certified_by_pld() -> None:
    run = run_one(compose("dp-sgd", {"clients": 5, "rounds": 2}))
    block = privacy_of(run)
    assert block["certified_epsilon"]["server"]["proven"] == pytest.approx(1.0, rel=0.01)
    assert block["opacus_epsilon"] > 0
    assert run.final["accuracy"] > 0.65
    assert np.array_equal(
        run.weights, run_one(compose("dp-sgd", {"clients": 5, "rounds": 2})).weights
    )


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("name", ["dp-gd", "certified", "dp-sgd"])
def test_ray_gives_the_weights_of_the_in_process_run(name: str) -> None:
    settings = compose(name, {"clients": 4, "rounds": 2})
    here, there = run_one(settings), run_one(settings.changed(backend="ray"))
    assert here.weights.tobytes() == there.weights.tobytes()
