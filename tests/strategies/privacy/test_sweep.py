"""The sweep: targets of the privacy note on few splits, pairing, packing; the attack on models."""

from math import isnan, sqrt

import numpy as np
import pytest

from datasets.federated import cut, load
from strategies.privacy.accounting import AccountingError
from strategies.privacy.contenders import CONTENDERS, Cohort
from strategies.privacy.membership import attack_auc, summarise
from strategies.privacy.sweep import cohort_of, sweep

TARGETS = {("dp-gd", 0.5): 0.935, ("dp-gd", 1.0): 0.962, ("dp-gd", 2.0): 0.970} | {
    ("dp-gd", 5.0): 0.973,
    ("certified", 1.0): 0.955,
    ("dp-sgd", 1.0): 0.96,
}


@pytest.fixture(scope="module")
def table():  # type: ignore[no-untyped-def]
    return load("", "", "drop")


@pytest.mark.slow
def test_targets_of_the_note_over_a_hundred_splits(table) -> None:  # type: ignore[no-untyped-def]
    cells = sweep(table, ["dp-gd", "certified", "dp-sgd"], epsilons=(0.5, 1.0, 2.0, 5.0))
    found = {(cell.mechanism, cell.epsilon): cell for cell in cells}
    for key, target in TARGETS.items():
        cell = found[key]
        assert cell.mean >= target - 3 * cell.std / sqrt(cell.n), (key, cell)


def test_more_epsilon_is_more_accuracy_and_ours_beats_the_paper(table) -> None:  # type: ignore[no-untyped-def]
    cells = sweep(table, ["dp-gd", "paper-variance"], epsilons=(0.5, 5.0), splits=12)
    ours, paper = cells[:2], cells[2:]
    assert ours[0].mean < ours[1].mean
    assert ours[0].mean > paper[1].mean + 0.05  # eps .5 proven against a nominal 5


def test_runs_are_paired_and_repeatable(table) -> None:  # type: ignore[no-untyped-def]
    once = sweep(table, ["dp-gd"], epsilons=(1.0,), splits=3, first_seed=7)
    assert sweep(table, ["dp-gd"], epsilons=(1.0,), splits=3, first_seed=7) == once
    assert sweep(table, ["dp-gd"], epsilons=(1.0, 2.0), splits=3, first_seed=7)[0] == once[0]
    assert sweep(table, ["dp-gd"], epsilons=(1.0,), splits=3, first_seed=8) != once
    assert isnan(sweep(table, ["none"], epsilons=(1.0,), splits=1)[0].std)


@pytest.mark.parametrize("name", list(CONTENDERS))
def test_by_patient_nobody_sits_in_two_clinics(table, name: str) -> None:  # type: ignore[no-untyped-def]
    parts = cut(table, clients=20, seed=3, split="patient", unit="patient")
    cohort, test = cohort_of(parts, CONTENDERS[name], 3, "patient")
    patients = [set(table.groups[rows]) for rows in parts.shards]
    assert [len(found) for found in patients] == cohort.count.tolist()
    assert sum(map(len, patients)) == len(set.union(*patients))
    assert len(test) == len(parts.test)
    rows, count = cohort.flat
    assert count.tolist() == [len(shard) for shard in parts.shards]
    assert rows.shape[1] == count.max()


def test_packing_keeps_every_record() -> None:
    signed = np.zeros((2, 3, 2, 2))
    signed[0, 0, 0], signed[0, 2, 1], signed[1, 1, 1] = (1, 1), (2, 2), (3, 3)
    rows, count = Cohort(signed, np.array([2, 1]), 0).flat
    assert count.tolist() == [2, 1]
    assert rows[0].tolist() == [[1, 1], [2, 2]]
    assert rows[1, 0].tolist() == [3, 3]


def test_unknown_mechanism_is_refused(table) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AccountingError, match="dp-gd"):
        sweep(table, ["dpgd"])
    with pytest.raises(AccountingError):
        sweep(table, ["dp-gd"], splits=0)


# -- membership -----------------------------------------------------------------------------


def test_attack_on_a_model_that_learnt_its_members_by_heart() -> None:
    members, others = np.array([[2.0, 0], [1.5, 0]]), np.array([[-1.0, 0], [1.0, 0]])
    assert attack_auc(np.array([1.0, 0.0]), members, others) == 1.0
    assert attack_auc(np.array([0.0, 1.0]), members, others) == 0.5  # all tied: guessing


def test_interval_by_hand() -> None:
    # mean .5, std .1, n 4: t(3, .975) = 3.18245, half width 3.18245 * .1 / 2
    found = summarise([0.4, 0.4, 0.6, 0.6])
    std = np.std([0.4, 0.4, 0.6, 0.6], ddof=1)
    assert found.auc == pytest.approx(0.5)
    assert found.high - found.auc == pytest.approx(3.182446 * std / 2, rel=1e-6)
    assert isnan(summarise([0.5]).low)
    with pytest.raises(AccountingError):
        summarise([])


def test_a_linear_model_on_bcwd_betrays_little(table) -> None:  # type: ignore[no-untyped-def]
    aucs = []
    for seed in range(12):
        cohort, test = cohort_of(cut(table, clients=20, seed=seed), CONTENDERS["none"], seed)
        (model,) = CONTENDERS["none"].run(cohort, [1.0], 1e-5)
        rows, count = cohort.flat
        members = np.concatenate([rows[i, :n] for i, n in enumerate(count)])
        aucs.append(attack_auc(model, members, test))
    assert summarise(aucs).high < 0.55
