"""A clinic's round on Opacus gives the weights of the vectorised core, empty batches included."""

import numpy as np
import pytest

from strategies.privacy.dp_sgd import DPSGD, poisson_mask
from strategies.privacy.units import FloatArray

pytestmark = pytest.mark.slow  # torch and Opacus take seconds to load


@pytest.mark.parametrize(
    ("units", "records", "steps", "batches", "clip_norm"),
    [(27, 1, 1, 2, 0.3), (27, 1, 7, 3, 0.3), (20, 4, 5, 2, 1.5)],
)
def test_same_weights_as_the_core(
    units: int, records: int, steps: int, batches: int, clip_norm: float
) -> None:
    """Relative 1e-6: Opacus divides by ``norm + 1e-6`` when it clips."""
    from strategies.privacy.opacus_clinic import train_round

    rng = np.random.default_rng(units + steps)
    calibration = DPSGD(2.0, 1e-5, steps=steps, batches=batches, clip_norm=clip_norm)
    signed = rng.standard_normal((units, records, 10))
    weights = rng.standard_normal(10) * 0.1
    normals = rng.standard_normal((steps, 10))
    rows = iter(normals)
    found = train_round(calibration, weights, signed, lambda _: next(rows), sampling_seed=5)
    mask = poisson_mask(calibration, units, 5)
    expected = calibration.upload(weights, signed, units, normals, mask)
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


def test_empty_batches_are_noise_alone() -> None:
    from strategies.privacy.opacus_clinic import train_round

    calibration = DPSGD(2.0, 1e-5, steps=6, batches=92)
    signed = np.random.default_rng(0).standard_normal((5, 1, 10))
    assert not poisson_mask(calibration, 5, 5).any()
    asked: list[int] = []

    def draw(size: int) -> FloatArray:
        asked.append(size)
        return np.ones(size)

    found = train_round(calibration, np.zeros(10), signed, draw, sampling_seed=5)
    step = calibration.learning_rate * calibration.noise_std / (5 / 92)
    assert asked == [10] * 6  # an empty batch is noised like any other
    assert found == pytest.approx(np.full(10, 6 * step), rel=1e-12)


def test_without_a_seed_batches_come_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    from strategies.privacy.opacus_clinic import train_round

    sizes: list[int] = []

    def urandom(size: int) -> bytes:
        sizes.append(size)
        return bytes(size)  # zeros: every chance is 0, every unit is taken

    monkeypatch.setattr("strategies.privacy.dp_sgd.os.urandom", urandom)
    calibration = DPSGD(2.0, 1e-5, steps=2)
    signed = np.random.default_rng(0).standard_normal((5, 1, 10))
    found = train_round(calibration, np.zeros(10), signed, np.zeros)
    expected = calibration.upload(np.zeros(10), signed, 5, np.zeros((2, 10)), np.ones((2, 5)))
    assert sizes == [8 * 2 * 5]
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()
