import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from strategies.trust.evidence import clip_uploads, gather, level
from strategies.trust.history import History
from strategies.trust.settings import TrustSettings

SETTINGS = TrustSettings()


def filled(rounds: int, clinics: int, seed: int = 0, size: float = 27.0) -> History:
    rng, history = np.random.default_rng(seed), History(10)
    for round_ in range(1, rounds + 1):
        history.add(
            round_,
            [str(number) for number in range(clinics)],
            rng.standard_normal((clinics, 10)),
            np.full(clinics, size),
            np.full(clinics, 1.0 + round_),
        )
    return history


def test_equal_clinics_have_the_evidence_of_the_note_on_another_scale() -> None:
    """W = sum a_t u_t with a_t = gamma_t / sd_t^2 and tau^2 = sum a^2 sd^2 + (h sum a gamma)^2."""
    history = filled(5, 4)
    found = gather(history, SETTINGS)
    gamma = 0.2 + 0.8 * np.exp(-3.0 * np.arange(5) / 3)
    noise = history.noise[:, 0]
    a = gamma / noise**2
    w = np.tensordot(a, history.uploads, axes=(0, 0))
    scale = 27.0 * np.sum(a * gamma)
    assert found.direction == pytest.approx(w / scale)
    lasting = np.sum(a * (0.65 + 0.35 * gamma))
    spread = 0.223 * 0.3 * np.sqrt(27)
    tau = np.sqrt(np.sum(a**2 * noise**2) + (spread * lasting) ** 2)
    assert np.sqrt(found.variance) == pytest.approx(tau / scale)
    assert spread == pytest.approx(0.35, abs=0.003)


def test_the_filter_recovers_the_direction_of_clinics_that_follow_the_model() -> None:
    history, truth = History(3), np.array([1.0, -2.0, 0.5])
    for round_, who in enumerate((["a", "b"], ["a"], ["b"]), start=1):
        gamma = 0.2 + 0.8 * np.exp(-(round_ - 1.0))
        sizes = np.array([10.0, 40.0])[: len(who)] if who != ["b"] else np.array([40.0])
        history.add(round_, who, sizes[:, None] * gamma * truth, sizes, np.full(len(who), 3.0))
    found = gather(history, SETTINGS)
    assert found.direction == pytest.approx(np.tile(truth, (2, 1)))
    assert found.variance[1] < found.variance[0]  # the larger shard says more


@given(st.floats(0.1, 100), st.integers(1, 60))
def test_clipping_bounds_norms_and_keeps_directions(noise: float, size: int) -> None:
    rng = np.random.default_rng(size)
    long = 1e6 * rng.standard_normal((5, 10))
    sizes, noises = np.full(5, float(size)), np.full(5, noise)
    kept = clip_uploads(long, sizes, noises, SETTINGS)
    bound = 0.95 * size * 0.3 + noise * np.sqrt(chi2.ppf(0.9999, 10))
    assert np.linalg.norm(kept, axis=1) == pytest.approx(np.full(5, bound))
    assert np.sum(kept * long, axis=1) == pytest.approx(
        np.linalg.norm(kept, axis=1) * np.linalg.norm(long, axis=1)
    )
    short = kept / 1.001
    assert clip_uploads(short, sizes, noises, SETTINGS).tolist() == short.tolist()


def test_level_takes_the_turn_of_the_rounds_out_of_late_comers() -> None:
    """Two groups asked in different rounds whose means turn: alike after, not before."""
    history, first, second = History(2), np.array([1.0, 0.0]), np.array([0.0, 1.0])
    early, late = [f"e{n}" for n in range(8)], [f"l{n}" for n in range(8)]
    size, noise = np.full(8, 27.0), np.full(8, 0.1)
    history.add(1, early, np.tile(27 * first, (8, 1)), size, noise)
    history.add(2, late, np.tile(27 * 0.5 * second, (8, 1)), size, noise)
    found = gather(history, SETTINGS)
    centre = np.array([0.9, 0.1])
    moved = level(found, history, np.ones(16), centre, SETTINGS)
    before = np.linalg.norm(found.direction[0] - found.direction[-1])
    after = np.linalg.norm(moved.direction[0] - moved.direction[-1])
    assert before > 1
    assert after < 0.1 * before
