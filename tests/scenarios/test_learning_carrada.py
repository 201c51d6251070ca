"""CARRADA's learning task through the front door: every mechanism, both numeric paths, bad input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.cli import main
from federation.repeat import judgement_of
from federation.runner import run_one
from federation.vectorised import cohort, federate
from strategies.presets import compose, from_run_config
from strategies.settings import Settings
from strategies.trust_settings import largest_cohort, upload_channels
from tests.datasets.carrada.conftest import RootBuilder

LEARN = {"dataset": "carrada", "task": "learn", "clients": 5}
FLAGS = ["--dataset", "carrada", "--task", "learn", "--clients", "5"]


def settings_of(strategy: str, **changes: Any) -> Settings:
    return compose(strategy, {**LEARN, "rounds": 3, **changes})


@pytest.mark.parametrize(
    "strategy", ["fedavg", "global-dp", "dp-gd", "certified", "krum", "fedmedian", "centralised"]
)
def test_every_strategy_trains_one_flat_vector(strategy: str) -> None:
    run = run_one(settings_of(strategy))
    assert run.weights.shape == (3 * 8,)
    assert np.isfinite(run.weights).all()
    assert run.final["accuracy"] > run.rounds[0].metrics["accuracy"]


def test_opacus_trains_as_the_vectorised_core() -> None:
    from strategies.learning.one_versus_rest import signed_rows
    from strategies.learning.task import feature_map, federation_of
    from strategies.privacy.contenders import Cohort
    from strategies.privacy.dp_sgd import poisson_mask
    from strategies.privacy.gradients import merge
    from strategies.privacy.mechanisms import mechanism_of
    from strategies.privacy.units import group_units, stack_units
    from strategies.randomness import Purpose, SeededNoise, generator

    settings = settings_of("dp-sgd", rounds=1)
    parts = federation_of(settings)
    features = feature_map(parts.table, settings)(parts.table.features)
    shards = [
        group_units(signed_rows(features[s], parts.table.labels[s], 3), hinges=3)
        for s in parts.shards
    ]
    clinics = Cohort(*stack_units(shards), settings.seed)
    mechanism = mechanism_of(settings)
    taken = np.zeros((1, 5, clinics.signed.shape[1]))
    normals = np.zeros((1, 5, 24))
    for clinic, size in enumerate(clinics.count):
        seed = generator(settings.seed, Purpose.BATCHES, clinic, 1).integers(2**63)
        taken[0, clinic, :size] = poisson_mask(mechanism, int(size), int(seed))
        noise = SeededNoise(settings.seed, Purpose.CLINIC_NOISE, clinic)
        normals[0, clinic] = noise.standard_normal(24, 1)
    uploads = mechanism.upload(np.zeros(24), clinics.signed, clinics.count, normals, taken)
    expected = merge(uploads, clinics.shares)
    # Opacus scales by C / (norm + 1e-6).
    np.testing.assert_allclose(run_one(settings).weights, expected, rtol=2e-6)


@pytest.mark.parametrize("changes", [{}, {"batch_size": 20}, {"partition": "sizes"}])
@pytest.mark.parametrize("strategy", ["fedavg", "global-dp"])
def test_messages_and_arrays_give_the_same_bits(strategy: str, changes: dict[str, Any]) -> None:
    settings = settings_of(strategy, **changes)
    levels = [settings.epsilon] if settings.private else None
    outcome = federate(cohort(settings, settings.seed), settings, levels, record=True)
    run = run_one(settings)
    assert run.weights.tobytes() == outcome.weights[0].tobytes()
    assert judgement_of(run.final, ("pedestrian", "cyclist", "car")) == outcome.diagnoses[0]
    assert outcome.accuracy[-1, 0] == run.final["accuracy"]
    assert outcome.loss[-1, 0] == pytest.approx(run.final["loss"])


def test_the_record_counts_are_objects_and_the_track_unit_counts_tracks() -> None:
    by_record = run_one(settings_of("dp-gd", rounds=1))
    assert 6500 < sum(by_record.sizes) < 7500
    by_track = run_one(settings_of("dp-gd", rounds=1, unit="track", partition="sequence"))
    assert 60 < sum(by_track.sizes) < 97


def test_a_run_leaves_result_card_and_picture_and_predicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    flags = [*FLAGS, "--strategy", "dp-gd", "--rounds", "12", "--seeds", "2", "--quiet"]
    assert main(["simulate", *flags, "--out", str(out)]) == 0
    result = json.loads((out / "result.json").read_text())
    final, floors = result["runs"][0]["final"], result["floors"]
    assert {"balanced_accuracy", "macro_f1", "recall_cyclist", "car_as_pedestrian"} < final.keys()
    assert floors["majority"] < final["accuracy"]
    assert floors.keys() == {"majority", "nearest_rule"}
    assert "balanced_accuracy" in result["baselines"]["centralised_svm"]["summary"]
    assert result["runs"][0]["privacy"]["certified_epsilon"]["server"]["proven"] <= 1.0001
    card = json.loads((out / "model.json").read_text())
    assert card["classes"] == ["pedestrian", "cyclist", "car"]
    assert (out / "accuracy.png").stat().st_size > 10_000
    new = tmp_path / "new.csv"
    header = ",".join([*card["attributes"], "id"])
    new.write_text(f"{header}\n20,0,9,22,14,28,69.4,lorry\n13,0.1,0.8,3,3,3,67.6,walker\n")
    capsys.readouterr()
    assert main(["predict", "--model", str(out), str(new)]) == 0
    printed = capsys.readouterr()
    assert [line.split(",")[:2] for line in printed.out.splitlines()] == [
        ["lorry", "car"],
        ["walker", "pedestrian"],
    ]
    assert "not for driving" in printed.err


def test_compare_runs_and_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*FLAGS, "--strategies", "fedavg,dp-gd", "--rounds", "2", "--seeds", "1"]
    assert main(["compare", *flags, "--workers", "1", "--out", str(tmp_path / "c")]) == 0
    assert "balanced %" in capsys.readouterr().out


def test_a_run_config_of_flower_composes_the_same() -> None:
    given = from_run_config({"dataset": "carrada", "task": "learn", "strategy": "dp-gd"})
    assert given == compose("dp-gd", {"dataset": "carrada", "task": "learn"})
    unnamed = from_run_config({"dataset": "carrada", "task": "learn", "strategy": "global-dp"})
    assert unnamed.strategy == "global-dp"
    assert unnamed.is_learning


WRONG = {
    "task on bcwd": (["--task", "learn"], "--task is a setting of --dataset carrada"),
    "unknown task": (["--dataset", "carrada", "--task", "lern"], "did you mean 'learn'"),
    "privacy of a twin": (
        ["--dataset", "carrada", "--privacy", "dp-gd"],
        "is a setting of --dataset bcwd or --task learn",
    ),
    "strategy of a model": (
        ["--dataset", "carrada", "--strategy", "dp-gd"],
        "to train a model add --task learn",
    ),
    "market setting": ([*FLAGS, "--users", "3"], "--users is a setting of --task twin"),
    "descriptors of a twin": (
        ["--dataset", "carrada", "--descriptors", "boxes"],
        "--descriptors is a setting of --task learn",
    ),
    "schema": ([*FLAGS, "--schema", "x.toml"], "--schema is a setting of --dataset bcwd"),
    "patients": ([*FLAGS, "--unit", "patient"], "objects have no patients"),
    "tracks of bcwd": (["--unit", "track"], "is of --dataset carrada --task learn"),
    "sequences of bcwd": (["--partition", "sequence"], "bcwd has no recordings"),
    "no root": ([*FLAGS, "--data", "/nowhere"], "/nowhere: is not a CARRADA root"),
    "too many": ([*FLAGS[:-1], "9000"], "9000 clients cannot share"),
    "too many sequences": (
        [*FLAGS[:-1], "40", "--partition", "sequence"],
        "40 clients cannot share 2",
    ),
}


@pytest.mark.parametrize(("flags", "why"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_line(
    flags: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *flags, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert why in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert not (tmp_path / "out").exists()


def test_other_commands_refuse_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "privacy-fig3", *FLAGS[:4]]) == 2
    assert "draws the paper's data" in capsys.readouterr().err
    assert main(["shards", *FLAGS, "--out", "nowhere"]) == 2
    assert "three" in capsys.readouterr().err


def test_a_root_without_a_class_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = RootBuilder(tmp_path / "Carrada")
    root.frames("000004")
    for view in ("range_doppler", "range_angle"):
        boxes = [[100, 30, 104, 33], [10, 0, 12, 5]]
        root.boxes(view, {"000004": {"boxes": boxes, "labels": [1, 3]}})
    assert main(["simulate", *FLAGS, "--data", str(root.root)]) == 2
    assert "has no cyclist" in capsys.readouterr().err


def test_trusted_sells_as_many_uploads_a_round_as_on_bcwd_and_trains_as_its_own_task() -> None:
    """Models of 24 weights take two channels each; without noise clinics train as fedavg does."""
    clinics = compose("trusted", {})
    objects = compose("trusted", {"dataset": "carrada", "task": "learn"})
    assert [upload_channels(clinics, 10), upload_channels(objects, 24)] == [1, 2]
    assert largest_cohort(clinics, 10) == largest_cohort(objects, 24) == 8
    assert (objects.rounds, objects.uploads) == (clinics.rounds, clinics.uploads)
    learn = {"dataset": "carrada", "task": "learn", "privacy": "none"}
    calm, plain = compose("trusted", learn), compose("fedavg", learn)
    for name in ("rounds", "steps", "learning_rate", "l2", "features", "feature_scale", "bias"):
        assert getattr(calm, name) == getattr(plain, name)


@pytest.mark.parametrize("strategy", ["reputation", "trusted"])
def test_attackers_are_found_by_the_noised_uploads_of_object_classes_too(strategy: str) -> None:
    values = {"dataset": "carrada", "task": "learn", "rounds": 8, "uploads": 8}
    run = run_one(compose(strategy, {**values, "attack": "sign-flip", "attackers": 6}))
    last = run.rounds[-1].trust
    assert not set(last["trusted"]) & set(run.attackers)
    assert len(last["trusted"]) >= 12
