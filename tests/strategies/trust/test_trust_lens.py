"""Models read as directions: of every mechanism the direction and its noise, back and forth."""

import numpy as np
import pytest

from clients.clinic import make_clinic
from clients.private_training import private_upload
from strategies.learning.task import federation_of
from strategies.presets import compose
from strategies.privacy.global_dp import clip
from strategies.privacy.gradients import pull_sum
from strategies.settings import Settings
from strategies.trust import KnownNoiseDetector, NoiseFreeDetector, TrustError
from strategies.trust.lens import detector_of, lens_of

ONE = np.array([1])


class Draws:
    """Noise that is all the same: 0 shows the direction, 1 the standard deviation."""

    private = False

    def __init__(self, value: float) -> None:
        self.value = value

    def standard_normal(self, size: int, _: int) -> np.ndarray:
        return np.full(size, self.value)


def clinic(settings: Settings):  # type: ignore[no-untyped-def]
    parts = federation_of(settings)
    return make_clinic(0, parts.table.take(parts.shards[0]), settings)


@pytest.mark.parametrize(
    ("strategy", "changes"),
    [("dp-gd", {}), ("dp-gd", {"first_share": 0.3}), ("certified", {})],
)
def test_direction_and_noise_of_what_a_clinic_uploads(strategy: str, changes: dict) -> None:  # type: ignore[type-arg]
    """Oracle: the client itself, without noise and with noise of one."""
    settings = compose(strategy, changes)
    own = clinic(settings)
    broadcast = np.linspace(-0.2, 0.3, own.features.shape[1])
    lens, sizes = lens_of(settings, 20), np.array([float(own.weight)])
    for number in (1, 2):
        plain, noised = (
            private_upload(own, settings, broadcast, 1, Draws(value), number)
            for value in (0.0, 1.0)
        )
        u, v = (lens.directions(m[None], broadcast, sizes)[0] for m in (plain, noised))
        noise = lens.noise_of(sizes, np.array([number]))[0]
        np.testing.assert_allclose(v - u, noise, rtol=1e-9)
        if strategy == "dp-gd":
            np.testing.assert_allclose(u, pull_sum(broadcast, own.units, settings.clip_norm))
        np.testing.assert_allclose(
            lens.models(u[None], broadcast, sizes)[0], plain, rtol=1e-9, atol=1e-12
        )


def test_the_papers_clipped_models_are_read_from_the_clipped_broadcast() -> None:
    """A clinic that learns nothing uploads the clipped broadcast: no direction."""
    settings = compose("global-dp", {"epsilon": 20.0})
    broadcast = np.full(10, 1.0)
    lens, sizes = lens_of(settings, 27), np.array([27.0])
    assert not lens.directions(clip(broadcast, 0.5)[None], broadcast, sizes).any()
    std = settings.calibration().upload_noise_std(27)
    assert lens.noise_of(sizes, ONE)[0] == pytest.approx(std * 27 / 0.005)


def test_without_noise_there_is_none() -> None:
    settings = compose("fedavg", {})
    assert lens_of(settings, 27).noise_of(np.ones(3), np.ones(3, np.int64)).tolist() == [0.0] * 3
    assert isinstance(detector_of(settings, 10, 3.2), NoiseFreeDetector)


def test_the_detector_of_dp_gd_has_the_constants_it_was_measured_with() -> None:
    found = detector_of(compose("dp-gd", {}), 10, 1.0)
    assert isinstance(found, KnownNoiseDetector)
    assert (found.settings.clip_norm, found.settings.learning_rate) == (0.3, pytest.approx(3.0))


def test_sampled_mechanisms_are_refused() -> None:
    with pytest.raises(TrustError, match="of no known size"):
        lens_of(compose("dp-sgd", {}), 27)
