"""What an upload says of its clinic: the sum of descent directions behind a model vector.

A detector judges directions, a federation uploads models. Of every mechanism whose noise is known
a model is turned into ``u = (model - broadcast) m / eta``, and back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.global_dp import clip
from strategies.privacy.mechanisms import mechanism_of
from strategies.settings import Settings
from strategies.trust.detector import Detector
from strategies.trust.known_noise import KnownNoiseDetector
from strategies.trust.noise_free import NoiseFreeDetector
from strategies.trust.settings import FloatArray, IntArray, TrustError, TrustSettings

JUDGEABLE = ("none", "global-dp", "certified", "dp-gd")
"""Mechanisms whose uploads are a sum of directions plus noise of a known size."""
_CALIBRATED_CLIP = 0.3

NoiseOf = Callable[[FloatArray, IntArray], FloatArray]
"""``(m (n,), number of the upload (n,)) -> standard deviation of the noise in u (n,)``."""


@dataclass(frozen=True)
class UpdateLens:
    """How models of a round are read as directions.

    Attributes
    ----------
    step : float
        eta: learning rate times local steps.
    noise_of : callable
        Noise of each direction.
    ball : float
        B, to which the broadcast is clipped first where a mechanism clips models; 0: it is not.
    unequal : bool
        Whether the noise depends on the number of the upload.
    """

    step: float
    noise_of: NoiseOf
    ball: float = 0.0
    unequal: bool = False

    def origin(self, broadcast: FloatArray) -> FloatArray:
        """Return where an upload without any direction and noise would lie, shape (d,)."""
        return clip(broadcast, self.ball) if self.ball else broadcast

    def directions(
        self, models: FloatArray, broadcast: FloatArray, sizes: FloatArray
    ) -> FloatArray:
        """Return u of each model, shape (n, d)."""
        found: FloatArray = (models - self.origin(broadcast)) * (sizes / self.step)[:, None]
        return found

    def models(
        self, directions: FloatArray, broadcast: FloatArray, sizes: FloatArray
    ) -> FloatArray:
        """Return the models behind directions, shape (n, d)."""
        found: FloatArray = self.origin(broadcast) + directions * (self.step / sizes)[:, None]
        return found


def lens_of(settings: Settings, smallest_shard: int) -> UpdateLens:
    """Return the lens of the mechanism that ``settings`` name.

    Raises
    ------
    TrustError
        When the noise of its uploads is not known.
    """
    step = settings.learning_rate * settings.steps
    if settings.privacy not in JUDGEABLE:
        raise TrustError(f"the noise in uploads of {settings.privacy} is of no known size")
    if settings.privacy == "none":
        return UpdateLens(step, lambda sizes, _: np.zeros(sizes.shape))
    if settings.privacy == "global-dp":
        std = settings.calibration().upload_noise_std(smallest_shard)
        return UpdateLens(step, lambda sizes, _: std * sizes / step, ball=settings.clip_norm)
    mechanism = mechanism_of(settings)
    if isinstance(mechanism, DPGradientDescent):
        stds = np.array(mechanism.noise_stds)
        last = len(stds) - 1
        return UpdateLens(
            step,
            lambda _, numbers: stds[np.minimum(numbers - 1, last)],
            unequal=bool(mechanism.first_share),
        )
    if not isinstance(mechanism, CertifiedRelease):
        raise TrustError(f"the noise in uploads of {settings.privacy} is of no known size")
    return UpdateLens(
        step,
        lambda sizes, _: np.array([mechanism.noise_std(int(m)) for m in sizes]) * sizes / step,
        ball=settings.clip_norm,
    )


def detector_of(settings: Settings, dimension: int, norm_bound: float) -> Detector:
    """Return the likelihood detector for the uploads of a run.

    The detector's constants were chosen for contributions clipped to C = 0.3 and a learning rate
    of 3; the progress of a round grows with ``eta C^2``.

    Parameters
    ----------
    settings : Settings
    dimension : int
        d.
    norm_bound : float
        Largest norm of a feature vector: C where nothing clips a unit's contribution.
    """
    clip_norm = settings.clip_norm if settings.privacy == "dp-gd" else norm_bound
    if settings.privacy == "certified":
        clip_norm = settings.feature_bound
    chosen = TrustSettings(
        clip_norm=clip_norm,
        learning_rate=settings.learning_rate * settings.steps * (clip_norm / _CALIBRATED_CLIP) ** 2,
        threshold=settings.theta,
    )
    if settings.privacy == "none":
        return NoiseFreeDetector(dimension, chosen)
    return KnownNoiseDetector(dimension, chosen)
