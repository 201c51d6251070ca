"""A run's entry in result.json: the agreed keys, plain JSON values, hashes that match."""

import json
from pathlib import Path
from typing import Any

import pytest

from server.federation import FederatedRun
from server.model import weights_sha256
from server.report import card_of, finite_values, run_entry
from tests.peers import federate, raises, settings_of

DIAGNOSIS = {
    "accuracy",
    "loss",
    "sensitivity",
    "specificity",
    "auc",
    "true_positive",
    "false_negative",
    "true_negative",
    "false_positive",
}


@pytest.fixture(scope="module")
def run() -> FederatedRun:
    return federate(settings_of(rounds=4), {2: raises})


def test_an_entry_has_the_agreed_keys_and_is_json(run: FederatedRun) -> None:
    entry = run_entry(run)
    assert {"strategy", "cell", "seed", "rounds", "final", "privacy", "market"} <= set(entry)
    assert (entry["strategy"], entry["seed"], entry["clients"]) == ("global-dp", 1, 7)
    assert entry["cell"] == {"epsilon": 30.0}
    assert set(entry["final"]) == DIAGNOSIS | {"seconds", "weights_sha256"}
    assert entry["final"]["weights_sha256"] == weights_sha256(run.weights)
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_every_round_is_there_with_its_metrics_and_verdicts(run: FederatedRun) -> None:
    rounds = run_entry(run)["rounds"]
    assert [record["round"] for record in rounds] == [0, 1, 2, 3, 4]
    for record in rounds:
        assert set(record) >= DIAGNOSIS | {"round", "replies", "verdicts", "seconds"}
    assert {record["replies"] for record in rounds[1:]} == {6}
    assert rounds[1]["upload-noise-std"] > 0


def test_rates_are_fractions_that_agree_with_the_confusion_matrix(run: FederatedRun) -> None:
    final = run_entry(run)["final"]
    tp, fn = final["true_positive"], final["false_negative"]
    tn, fp = final["true_negative"], final["false_positive"]
    assert tp + fn + tn + fp == 137
    assert final["accuracy"] == pytest.approx((tp + tn) / 137)
    assert final["sensitivity"] == pytest.approx(tp / (tp + fn))
    assert final["specificity"] == pytest.approx(tn / (tn + fp))


def test_privacy_names_unit_relation_adversaries_and_sensitivities(run: FederatedRun) -> None:
    privacy = run_entry(run)["privacy"]
    assert (privacy["nominal_epsilon"], privacy["delta"]) == (30.0, 0.01)
    assert (privacy["unit"], privacy["relation"]) == ("record", "replace-one")
    for block in ("certified_epsilon", "certified_epsilon_at_strict_delta"):
        assert set(privacy[block]) == {"server", "eavesdropper", "broadcast"}
        for found in privacy[block].values():
            assert set(found) == {"claimed", "proven", "worst"}
            assert found["proven"] <= found["worst"]
    assert any("seeded noise: not private" in text for text in privacy["warnings"])


def test_a_run_without_noise_claims_no_epsilon() -> None:
    entry = run_entry(federate(settings_of("fedavg", rounds=1)))
    assert entry["cell"] == {"epsilon": None}
    assert entry["privacy"]["nominal_epsilon"] is None


def test_what_json_cannot_carry_becomes_null() -> None:
    values = {"a": float("nan"), "b": float("inf"), "c": 1.5, "d": 3, "e": "x"}
    assert finite_values(values) == {"a": None, "b": None, "c": 1.5, "d": 3, "e": "x"}


def test_rates_without_cases_are_null_and_not_nan(tmp_path: Path) -> None:
    """A held-out set of one class: sensitivity and AUC are undefined."""
    rows = [f"{1000 + n},{n % 10 + 1},1,1,1,2,1,3,1,1,{2 if n < 39 else 4}" for n in range(40)]
    path = tmp_path / "mostly-benign.data"
    path.write_text("\n".join(rows) + "\n")
    for seed in range(1, 4):
        run = federate(settings_of(rounds=1, clients=2, data=str(path), seed=seed))
        if run.final["true_positive"] + run.final["false_negative"] == 0:
            final: dict[str, Any] = run_entry(run)["final"]
            assert final["sensitivity"] is None
            assert final["auc"] is None
            assert final["specificity"] is not None
            return
    pytest.fail("no split without cases among three seeds")


def test_the_card_says_what_the_model_is_and_is_not(run: FederatedRun) -> None:
    card = card_of(run)
    assert card["settings"] == run.settings.as_dict()
    assert set(card["held_out"]) == DIAGNOSIS
    assert card["use"].startswith("research only")
    assert {"flwr", "numpy", "python"} <= set(card["versions"])
    json.dumps(card, allow_nan=False)
