import numpy as np
import pytest

from strategies.trust.camps import second_camp
from strategies.trust.drift import drift_gate, windows
from strategies.trust.gates import copy_gate, energy_gate, replay_gate, twin_gate, twins_of
from strategies.trust.history import History
from strategies.trust.residuals import residuals
from strategies.trust.settings import TrustSettings
from tests.strategies.trust.trust_samples import NAMES, SIZE, course, uploads

SETTINGS = TrustSettings()
NOISE = 2.0


def play(rounds: int, change, seed: int = 0) -> History:
    rng, history = np.random.default_rng(seed), History(10)
    for round_ in range(1, rounds + 1):
        sent = uploads(rng, round_, noise=NOISE)
        change(round_, sent, rng)
        history.add(round_, NAMES, sent, np.full(20, SIZE), np.full(20, NOISE))
    return history


def nothing(round_: int, sent: np.ndarray, rng: np.random.Generator) -> None:
    """Leave everybody honest."""


def left(history: History):
    return residuals(history, np.ones(20), course(), SETTINGS)


def flagged(gate: np.ndarray) -> list[int]:
    return np.flatnonzero(gate).tolist()


def test_residuals_of_honest_clinics_are_standard_normal() -> None:
    values = np.concatenate([left(play(8, nothing, seed)).values.ravel() for seed in range(10)])
    assert values.mean() == pytest.approx(0, abs=4 / np.sqrt(values.size))
    assert values.var() == pytest.approx(1, abs=4 * np.sqrt(2 / values.size))


def test_a_clinic_alone_in_a_round_is_not_judged_by_itself() -> None:
    history = History(10)
    history.add(1, ["only"], np.full((1, 10), 9.0), np.array([SIZE]), np.array([NOISE]))
    found = residuals(history, np.ones(1), course(), SETTINGS)
    assert not found.counted.any()
    assert not energy_gate(found).any()


def test_honest_clinics_pass_every_gate() -> None:
    """Of 200 clinics the drift gate may shut a few: one in 500 for each window."""
    strayed = 0
    for seed in range(10):
        history = play(10, nothing, seed)
        found = left(history)
        assert flagged(twin_gate(history)) == flagged(copy_gate(found)) == []
        assert flagged(energy_gate(found)) == flagged(replay_gate(found)) == []
        strayed += len(flagged(drift_gate(history, np.ones(20), course(), SETTINGS)))
    assert strayed <= 8


@pytest.mark.parametrize("factor", [0.3, 2.0])
def test_noise_of_another_size_is_seen(factor: float) -> None:
    def change(round_: int, sent: np.ndarray, rng: np.random.Generator) -> None:
        del round_
        centre = sent.mean(axis=0)
        sent[4] = centre + factor * NOISE * rng.standard_normal(10)

    assert flagged(energy_gate(left(play(8, change)))) == [4]


def test_copies_are_seen_in_the_first_round_and_shared_noise_later() -> None:
    def copy(round_: int, sent: np.ndarray, rng: np.random.Generator) -> None:
        del round_, rng
        sent[[3, 7]] = sent[11]

    assert flagged(twin_gate(play(1, copy))) == [3, 7, 11]

    def later(round_: int, sent: np.ndarray, rng: np.random.Generator) -> None:
        if round_ > 5:
            copy(round_, sent, rng)

    assert flagged(twins_of(play(6, later), 5)) == [3, 7, 11]

    def share(round_: int, sent: np.ndarray, rng: np.random.Generator) -> None:
        del round_
        sent[3] = sent[11] + 0.3 * NOISE * rng.standard_normal(10)

    assert flagged(copy_gate(left(play(8, share)))) == [3, 11]


def test_clinics_without_noise_do_not_make_the_honest_look_copied() -> None:
    def quiet(round_: int, sent: np.ndarray, rng: np.random.Generator) -> None:
        del round_, rng
        sent[:3] = sent[3:].mean(axis=0)

    for rounds in (1, 10, 40):
        assert flagged(twin_gate(play(rounds, quiet))) == [0, 1, 2]


def test_noise_that_repeats_is_seen() -> None:
    first = {}

    def change(round_: int, sent: np.ndarray, rng: np.random.Generator) -> None:
        del rng
        sent[5] = first.setdefault("sent", sent[5].copy())

    assert flagged(replay_gate(left(play(6, change)))) == [5]


@pytest.mark.parametrize("many", [1, 6])
def test_drifters_are_seen_also_when_they_pull_the_mean(many: int) -> None:
    def change(round_: int, sent: np.ndarray, rng: np.random.Generator) -> None:
        del rng
        sent[:many] -= 0.3 * (round_ - 1) * NOISE

    shut = drift_gate(play(8, change), np.ones(20), course(), SETTINGS)
    assert flagged(shut[:many]) == list(range(many))
    assert len(flagged(shut)) <= many + 1


ONES = np.ones((1, 20))


def test_windows_follow_each_clinics_own_uploads() -> None:
    history = History(1)
    ones = np.ones(1)
    for round_ in range(1, 9):
        who = ["a", "b", "c"] if round_ < 3 else ["a", "b"]
        count = len(who)
        history.add(round_, who, np.zeros((count, 1)), np.full(count, 9.0), np.ones(count))
    found = residuals(history, np.ones(3), ones, SETTINGS)
    windowed = windows(found, history.sizes, SETTINGS)
    some = [True, True, False]
    assert windowed.full.tolist() == [[True] * 3, [True] * 3, some, some, some]


def test_the_last_window_is_all_that_a_clinic_uploaded() -> None:
    """Five and seven uploads lie between the powers of two; whoever has three is too new."""
    history = History(1)
    for round_, who in enumerate(["a", "ab", "ab", "abc", "abc", "abc", "b", "b"], start=1):
        sent = np.arange(1.0, len(who) + 1.0)[:, None] * round_
        history.add(round_, list(who), sent, np.full(len(who), 9.0), np.ones(len(who)))
    found = residuals(history, np.zeros(3), np.ones(1), SETTINGS)
    windowed = windows(found, history.sizes, SETTINGS)
    assert windowed.full[-1].tolist() == [True, True, False]
    everything = found.values.sum(axis=0)
    assert windowed.sums[-1, :2] == pytest.approx(everything[:2])
    assert windowed.sums[-1, 0] != pytest.approx(windowed.sums[2, 0])


def test_six_that_shift_alike_are_a_camp_and_noise_alone_is_none() -> None:
    gains = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        gains.append(second_camp(rng.standard_normal((1, 20, 10)), ONES, ONES > 0)[1][0])
    assert np.quantile(gains, 0.95) < 6 + 0.95 * 10
    rng = np.random.default_rng(1)
    sums = rng.standard_normal((20, 10))
    sums[:6] -= 5.0 / np.sqrt(10)
    other, gain = second_camp(sums[None], ONES, ONES > 0)
    assert gain[0] > 6 + 0.95 * 10
    assert flagged(other[0] > 0.5) == [0, 1, 2, 3, 4, 5]
