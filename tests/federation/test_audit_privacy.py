"""``audit privacy`` and ``runs show`` as a user runs them."""

import json

import pytest

from federation.cli import main


def audit(capsys, tmp_path, *flags: str) -> dict:
    code = main(["audit", "privacy", "--json", "--out", str(tmp_path / "a"), *flags])
    assert code == 0
    return json.loads(capsys.readouterr().out)


def test_the_papers_claim_is_refuted_when_training_converges(capsys, tmp_path) -> None:
    found = audit(capsys, tmp_path)
    assert found["claimed_epsilon"] == 1
    assert found["epsilon_lower_bound"] >= 5
    assert found["verdict"] == "refuted"
    assert found["runs"] == 20_000
    assert (tmp_path / "a" / "audit.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "a" / "audit.json").read_text()) == found


def test_the_papers_claim_stands_at_its_few_small_steps(capsys, tmp_path) -> None:
    found = audit(capsys, tmp_path, "--trainer", "paper-std")
    assert found["verdict"] == "not refuted"


@pytest.mark.parametrize("name", ["dp-gd", "certified", "dp-sgd"])
def test_our_claims_stand(capsys, tmp_path, name: str) -> None:
    found = audit(capsys, tmp_path, "--privacy", name, "--runs", "4000")
    assert found["verdict"] == "not refuted"
    assert found["epsilon_lower_bound"] <= 1.0
    low, high = found["membership"]["low"], found["membership"]["high"]
    assert 0.4 < low < found["membership"]["auc"] < high < 0.6


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--privacy", "dpgd"], "did you mean 'dp-gd'"),
        (["--epsilon", "0"], "--epsilon must be a finite number above 0"),
        (["--epsilon", "nan"], "--epsilon must be a finite number"),
        (["--delta", "1"], "--delta must lie strictly between 0 and 1"),
        (["--trainer", "fast"], "--trainer: unknown value 'fast'"),
        (["--runs", "2"], "--runs must be a whole number from 4"),
        (["--seed", "x"], "--seed must be a whole number"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(capsys, tmp_path, flags, says) -> None:
    assert main(["audit", "privacy", "--out", str(tmp_path / "a"), *flags]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "a").exists()


def test_runs_show_adds_up_what_clinics_spent(capsys, tmp_path) -> None:
    ledger = tmp_path / "ledger.db"
    flags = ["--strategy", "dp-gd", "--clients", "3", "--ledger", str(ledger), "--quiet"]
    assert main(["simulate", *flags, "--out", str(tmp_path / "one")]) == 0
    assert main(["simulate", *flags, "--epsilon", "2", "--out", str(tmp_path / "two")]) == 0
    assert main(["runs", "show", "--ledger", str(ledger), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["uploads"] for row in rows] == [20, 20, 20]
    assert all(2.0 < row["epsilon"] < 3.0 and row["runs"] == 2 for row in rows)


def test_a_ledger_that_is_not_there_is_bad_input(capsys, tmp_path) -> None:
    assert main(["runs", "show", "--ledger", str(tmp_path / "none.db")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_a_spent_budget_is_a_failed_run_that_keeps_its_rounds(capsys, tmp_path) -> None:
    flags = ["--strategy", "dp-gd", "--max-epsilon", "0.5", "--out", str(tmp_path / "r")]
    assert main(["simulate", *flags]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "PrivacyBudgetExhausted" in error
    assert "after round 2 of 10" in error
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["unfinished-rounds.csv"]


def test_a_ledger_that_is_none_is_refused_before_the_run(capsys, tmp_path) -> None:
    (tmp_path / "bad.db").write_text("this is no database")
    for words in (["simulate", "--strategy", "dp-gd"], ["runs", "show"]):
        flags = [] if words[0] == "runs" else ["--out", str(tmp_path / "r")]
        assert main([*words, "--ledger", str(tmp_path / "bad.db"), *flags]) == 2
        assert "not a ledger that can be used" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_databases_url_is_not_written_anywhere(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'l.db'}?secret=hunter2"
    flags = ["--strategy", "dp-gd", "--clients", "3", "--rounds", "2", "--quiet"]
    assert main(["simulate", *flags, "--ledger", url, "--out", str(tmp_path / "r")]) == 0
    for path in (tmp_path / "r").iterdir():
        assert b"hunter2" not in path.read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["reproduce", "privacy-fig3", "--privacy", "dp-gd"], "draws the paper's protocol"),
        (["reproduce", "privacy-fig3", "--epsilon", "3"], "does not read --epsilon"),
        (["reproduce", "privacy-fig4", "--max-epsilon", "3"], "does not read --max-epsilon"),
        (["simulate", "--strategy", "dp-gd", "--epsilon", "1e8"], "protects nobody"),
        (["simulate", "--epsilon", "1e300"], "--epsilon must be below"),
    ],
)
def test_what_would_be_passed_over_is_refused(capsys, tmp_path, words, says) -> None:
    assert main([*words, "--out", str(tmp_path / "r")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
