"""Small federations with a known truth."""

import numpy as np

NAMES = [f"clinic-{number:02d}" for number in range(20)]
SIZE = 27.0


def course(dimension: int = 10) -> np.ndarray:
    """A direction as long as that of BCWD at w = 0."""
    return np.full(dimension, 5.0 / SIZE / np.sqrt(dimension))


def uploads(
    rng: np.random.Generator, round_: int, clinics: int = 20, noise: float = 2.0
) -> np.ndarray:
    """Honest uploads by the detector's own model: directions that shrink, shards that differ."""
    shrunk = 0.2 + 0.8 * np.exp(-(round_ - 1.0))
    return SIZE * shrunk * course() + noise * rng.standard_normal((clinics, 10))
