"""``reproduce shared-noise``: sums without masks are those of real rounds, and targets count."""

from typing import Any

import numpy as np
import pytest

from datasets.federated import cut, load
from federation.cli import main
from federation.runner import run_one
from federation.shared_noise_table import TARGETS, missed, table_of
from strategies.presets import compose
from strategies.privacy.shared_contenders import SHARED_CONTENDERS
from strategies.privacy.sweep import EPSILONS, cohort_of

OVERRIDES: dict[str, dict[str, Any]] = {
    "shared-noise": {},
    "shared-noise, 6 colluders": {"colluders": 6},
    "shared-noise by clinic": {"unit": "clinic"},
}


def same_models(name: str, clients: int, seed: int, epsilon: float) -> None:
    contender = SHARED_CONTENDERS[name]
    parts = cut(load("", "", "drop"), clients=clients, seed=seed)
    cohort, _ = cohort_of(parts, contender, seed)
    (model,) = contender.run(cohort, (epsilon,), 1e-5)
    changes = {**OVERRIDES[name], "epsilon": epsilon, "seed": seed, "clients": clients}
    assert np.array_equal(model, run_one(compose("shared-noise", changes)).weights)


def test_a_sum_without_masks_is_that_of_a_run_over_messages() -> None:
    same_models("shared-noise", 5, 1, 0.5)
    same_models("shared-noise by clinic", 5, 2, 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whole_runs_of_twenty_clinics_are_the_tables(name: str, seed: int) -> None:
    for epsilon in (0.5, 2.0):
        same_models(name, 20, seed, epsilon)


def row(name: str, epsilon: float, mean: float) -> dict[str, Any]:
    cell = {"strategy": name, "cell": {"epsilon": epsilon}}
    return {**cell, "mean": mean, "std": 0.01, "n": 100}


def test_a_target_is_missed_by_three_standard_errors_and_quantisation() -> None:
    # 0.971 - 3 * 0.01 / 10 - 0.003 = 0.965
    assert missed({"summary": [row("shared-noise", 0.5, 0.9651)]}) == []
    short = missed({"summary": [row("shared-noise", 0.5, 0.9649)]})
    assert short == ["shared-noise at eps 0.5: 96.5 % of 97.1 %"]


def test_the_table_names_floors_and_targets() -> None:
    names = ("dp-gd", *SHARED_CONTENDERS)
    result = {
        "settings": {"splits": 100},
        "floors": {"majority": 0.65, "mean_rule": 0.975},
        "summary": [row(name, epsilon, 0.97) for name in names for epsilon in EPSILONS],
    }
    text = table_of(result)
    assert "majority class 65.0 %" in text
    assert text.count("target") == len(TARGETS)


def test_settings_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "shared-noise", "--epsilon", "3"]) == 2
    assert "one configuration" in capsys.readouterr().err
