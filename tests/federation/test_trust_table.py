"""``reproduce trust-under-attack``: what a cell runs, what is kept, what the pictures need."""

import json
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from federation.cli import main
from federation.runner import run_one
from federation.trust_figures import accuracy_of, draw_clinics_of
from federation.trust_table import (
    LEVELS,
    RULES,
    Row,
    attacks_of,
    rates,
    read_rows,
    settings_of,
    summary_of,
)
from server.report import run_entry
from strategies.learning.task import federation_of
from strategies.presets import compose
from strategies.settings import SettingsError
from strategies.trust.attacks import ATTACKS

SMALL = ["--clients", "7", "--rounds", "2", "--attackers", "2", "--seeds", "2", "--workers", "1"]
CELLS = ["--rules", "fedavg,reputation+likelihood", "--levels", "5", "--attacks", "none,sign-flip"]


def table(out: Path, *more: str) -> int:
    words = ["reproduce", "trust-under-attack", *SMALL, *CELLS, "--out", str(out), "--quiet"]
    return main([*words, *more])


def test_a_table_is_runs_means_and_a_picture_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    assert table(tmp_path) == 0
    rows = read_rows(tmp_path / "runs.csv")
    assert len(rows) == 2 * 2 * 2
    assert {seed for *_, seed in rows} == {1000, 1001}
    found = json.loads((tmp_path / "result.json").read_text())
    means = {
        (row["strategy"], row["cell"]["attack"], row["metric"]): row for row in found["summary"]
    }
    cell = [row.accuracy for key, row in rows.items() if key[:3] == ("fedavg", "5", "sign-flip")]
    assert means["fedavg", "sign-flip", "accuracy"]["mean"] == pytest.approx(np.mean(cell))
    assert means["fedavg", "sign-flip", "honest_out"]["mean"] is None
    assert (tmp_path / "trust-under-attack.png").stat().st_size > 10_000
    assert "| reputation+likelihood |" in (tmp_path / "table.md").read_text()

    lines = (tmp_path / "runs.csv").read_text().splitlines()
    (tmp_path / "runs.csv").write_text("\n".join(lines[:-3]) + "\n")  # as after an interrupt
    assert table(tmp_path) == 2
    assert table(tmp_path, "--resume") == 0
    assert sorted((tmp_path / "runs.csv").read_text().splitlines()) == sorted(lines)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("level", LEVELS)
def test_every_cell_has_settings_that_go_together(rule: str, level: str) -> None:
    for attack in ("none", "alie"):
        found = settings_of(rule, level, attack, 1000, {"attackers": 6.0})
        assert (found.seed, found.attack, found.clients) == (1000, attack, 20)
        assert (found.selection == "none") == (rule in RULES[:4])
        assert (found.auction == "none") == (rule != "trusted")
        assert found.private == (level != "none")
    if rule in ("krum", "multikrum"):
        assert found.byzantine == 6
        assert settings_of(rule, level, "alie", 1, {"attackers": 9.0}).byzantine == 8


def test_without_noise_clinics_train_as_under_dp_gd() -> None:
    calm, private = (settings_of("fedavg", level, "none", 1, {}) for level in ("none", "5"))
    for name in ("rounds", "steps", "learning_rate", "features", "bias", "l2"):
        assert getattr(calm, name) == getattr(private, name)


def test_rates_are_of_the_last_round_by_hand() -> None:
    run = run_one(compose("reputation", {"attack": "scaled", "attackers": 6, "epsilon": 10.0}))
    trusted = set(run.rounds[-1].trust["trusted"])
    honest = {f"partition:{n}" for n in range(20)} - set(run.attackers)
    out, found, malicious = rates(run)
    assert out == len(honest - trusted) / 14
    assert found == 1.0 == 1 - len(set(run.attackers) & trusted) / 6
    assert malicious == 0.0
    plain_run = run_one(compose("dp-gd", {"attack": "free-rider", "attackers": 6, "rounds": 2}))
    plain = rates(plain_run)
    assert isnan(plain[0])
    sizes = federation_of(compose("dp-gd", {})).sizes
    hostile = sum(sizes[int(name.split(":")[1])] for name in plain_run.attackers)
    assert plain[2] == pytest.approx(hostile / sum(sizes))


def test_a_run_that_failed_is_no_number_and_not_part_of_a_mean() -> None:
    rows = [
        Row("krum", "1", "alie", seed, value, np.nan, np.nan, np.nan)
        for seed, value in enumerate([0.5, np.nan, 0.7])
    ]
    assert accuracy_of(summary_of(rows), "krum", "1")["alie"] == pytest.approx(60.0)


def test_the_attacks_of_a_table_are_the_twelve_and_nobody() -> None:
    assert attacks_of("") == ["none", *ATTACKS]
    assert attacks_of("alie, none") == ["alie", "none"]


def test_each_clinic_over_time_is_drawn_with_its_run(tmp_path: Path) -> None:
    run = run_one(compose("trusted", {"rounds": 4, "attack": "sign-flip", "attackers": 3}))
    assert draw_clinics_of(tmp_path, run_entry(run), "trusted").stat().st_size > 10_000


MISTAKES = {
    "rule": (["--rules", "krumm"], "unknown rule 'krumm'; did you mean 'krum'"),
    "level": (["--levels", "none,low"], "'low' is no level"),
    "attack": (["--attacks", "sign-flipp"], "unknown attack"),
    "what it goes through": (["--privacy", "none"], "--privacy is what the table goes through"),
    "preset": (["--preset", "paper-std"], "leave --preset and --config out"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_ends_in_one_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, said = MISTAKES[case]
    out = tmp_path / "out"
    assert main(["reproduce", "trust-under-attack", "--out", str(out), *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_flags_of_the_table_are_of_no_other_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "privacy-fig3", "--rules", "krum"]) == 2
    assert "are of trust-under-attack" in capsys.readouterr().err


def test_an_unknown_cell_is_refused_before_anything_runs() -> None:
    with pytest.raises(SettingsError, match="no level"):
        settings_of("fedavg", "global-x", "none", 1, {})
