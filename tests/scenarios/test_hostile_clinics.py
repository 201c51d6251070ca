"""Every broken clinic through the real command: no dead run, no bad model, each one named."""

import json
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.cli import main
from federation.runner import run_one
from strategies.attack_settings import BROKEN, MALICIOUS, attackers_of
from tests.peers import settings_of

WORDS = ["--clients", "7", "--rounds", "3", "--learning-rate", "0.01", "--attackers", "2"]
REASON = {
    "nan": "values that are not finite",
    "inf": "values that are not finite",
    "overflow": "norm inf is above the bound",
    "wrong-shape": "shape (9,) where float64 (10,)",
    "shape-1": "shape (1,) where float64 (10,)",
    "scalar": "shape () where float64 (10,)",
    "column": "shape (10, 1) where float64 (10,)",
    "empty": "shape (0,) where float64 (10,)",
    "float32": "'float32' of shape (10,) where float64",
    "wrong-key": "entries weights where model are expected",
    "extra-key": "entries model, more where model are expected",
    "extra-metric": "entries loss, num-examples",
    "weight-zero": "num-examples 0 is not the 78 records enrolled",
    "weight-nan": "num-examples is not a finite number",
    "weight-huge": "num-examples 1e+18 is not the 78 records enrolled",
    "weight-negative": "num-examples -78 is not the 78 records enrolled",
    "zero-update": "came back as it was sent",
    "huge-header": "header cannot be read",
    "truncated": "takes 200 bytes where 208 are expected",
    "pickled": "shape (1,) where (10,) is expected",
    "stale-round": "answers round 1 where round 2 was asked",
    "duplicate-reply": "answers the same request again",
    "no-arrays": "records metrics where arrays, metrics are expected",
    "no-metrics": "records arrays where arrays, metrics are expected",
    "refuses": "not today",
    "crashes": "RuntimeError: out of memory",
}
ONCE_GOOD = ("stale-round", "duplicate-reply")
"""Their first reply of the run, or of each round, is an honest one."""


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """One command runs all of them: the entries of its result.json, by attack."""
    out = str(tmp_path_factory.mktemp("hostile"))
    grid = ["--strategies", "global-dp", "--attacks", ",".join(BROKEN), "--seeds", "1"]
    assert main(["compare", *grid, *WORDS, "--workers", "1", "--quiet", "--out", out]) == 0
    runs = json.loads((Path(out) / "result.json").read_text())["runs"]
    return {run["cell"]["attack"]: run for run in runs}


def verdicts_of(entry: dict[str, Any]) -> list[dict[str, str]]:
    return [verdict for row in entry["rounds"] for verdict in row["verdicts"]]


@pytest.fixture(scope="module")
def without_them() -> str:
    """The weights of the same run in which the attackers' code only raises."""
    return _weights("crashes")


def _weights(attack: str) -> str:
    settings = settings_of(attack=attack, attackers=2.0)
    return run_one(settings).weights.tobytes().hex()


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_clinic_is_dropped_and_named(
    name: str, entries: dict[str, dict[str, Any]]
) -> None:
    entry = entries[name]
    hostile = entry["attack"]["attackers"]
    assert len(hostile) == 2
    assert entry["cell"]["attack"] == name
    assert entry["cell"]["attackers"] == 2
    found = verdicts_of(entry)
    assert {verdict["identity"] for verdict in found} == set(hostile)
    training = [v for v in found if v["message_type"] == "train"]
    assert any(REASON[name] in verdict["reason"] for verdict in training)
    kinds = {"refuses": "refused", "crashes": "failed"}
    assert {verdict["kind"] for verdict in training} == {kinds.get(name, "rejected")}
    assert len(training) == (4 if name == "stale-round" else 6)
    assert isfinite(entry["final"]["loss"])
    usable = 7 if name == "duplicate-reply" else 5
    assert [row["replies"] for row in entry["rounds"][2:]] == [usable, usable]


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ONCE_GOOD])
def test_the_model_is_that_of_the_others(name: str, without_them: str) -> None:
    assert _weights(name) == without_them


def test_what_comes_twice_counts_once() -> None:
    honest = run_one(settings_of(attack="none", attackers=2.0))
    assert _weights("duplicate-reply") == honest.weights.tobytes().hex()


@pytest.mark.parametrize("strategy", ["fedavg", "global-dp", "certified", "dp-gd"])
@pytest.mark.parametrize("name", MALICIOUS)
def test_malicious_clinics_attack_every_mechanism(name: str, strategy: str) -> None:
    """Their uploads are wrong, not malformed: another model, nobody honest accused."""
    chosen = settings_of(strategy, attack=name, attackers=2.0, attack_schedule="from:2")
    run, honest = run_one(chosen), run_one(chosen.changed(attack="none"))
    hostile = {f"partition:{number}" for number in attackers_of(chosen)}
    assert set(run.attackers) == hostile
    assert {v["identity"] for r in run.rounds for v in r.verdicts} <= hostile
    assert all(isfinite(value) for value in run.weights)
    assert run.rounds[1].metrics == honest.rounds[1].metrics
    hides = name in ("aware-patient", "aware-early", "aware-split")
    if name == "aware-late" or (strategy == "fedavg" and hides):
        # Honest before round 9; and without noise there is none to hide in.
        np.testing.assert_allclose(run.weights, honest.weights, rtol=1e-9, atol=1e-12)
    else:
        assert np.abs(run.weights - honest.weights).max() > 1e-6


def test_a_clinic_under_attack_spends_what_it_would_have_spent(tmp_path: Path) -> None:
    """Honest ledgers are charged as ever; an attacker's only for the rounds it is honest in."""
    from strategies.privacy.ledger_store import LedgerStore

    ledger = tmp_path / "ledger.db"
    chosen = settings_of("dp-gd", attack="sign-flip", attackers=2.0, ledger=str(ledger))
    run = run_one(chosen.changed(attack_schedule="from:3"))
    store = LedgerStore(f"sqlite:///{ledger}")
    uploads = {name: len(store.load(name).charges) for name in store.names()}
    by_partition = {int(name.split()[1]): count for name, count in uploads.items()}
    expected = {n: 2 if f"partition:{n}" in run.attackers else 3 for n in range(7)}
    assert by_partition == expected


OFFERS = ("extra-metric", "weight-zero", "weight-nan", "weight-huge", "weight-negative")


@pytest.mark.parametrize("name", [*OFFERS, "no-metrics", "refuses", "crashes"])
def test_broken_offers_and_evaluations_are_judged_before_any_layer_sees_them(name: str) -> None:
    """Nobody whose offer is bad is bought from; of those asked the rest goes on."""
    selling = {"price_per_epsilon": 1_000_000, "record_value": 0.02}
    chosen = settings_of("dp-gd", attack=name, attackers=2.0, learning_rate=3.0, **selling)
    run = run_one(chosen)
    for record in run.rounds[1:]:
        kinds = {(v["identity"], v["message_type"]) for v in record.verdicts}
        expected = {(who, kind) for who in run.attackers for kind in ("query.offer", "evaluate")}
        assert kinds == expected
        assert record.metrics["offers"] == record.metrics["winners"] == len(record.sizes) == 5
    assert np.isfinite(run.weights).all()


def test_an_attacker_of_the_auction_is_bought_from_and_judged_at_delivery() -> None:
    selling = {"price_per_epsilon": 1_000_000, "record_value": 0.02}
    chosen = settings_of("dp-gd", attack="nan", attackers=2.0, learning_rate=3.0, **selling)
    run = run_one(chosen)
    for record in run.rounds[1:]:
        assert record.metrics["winners"] == 7
        assert {v["identity"] for v in record.verdicts} == set(run.attackers)
        assert len(record.sizes) == 5
