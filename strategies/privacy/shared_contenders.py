"""Shared noise over eps and splits without masks: the sums of real rounds, to the last bit.

Masks cancel in the sum, so adding up the clinics' integers gives what a secure session opens;
tests hold runs over messages to these models.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from strategies.learning.features import FeatureMap
from strategies.learning.linear_svm import descend
from strategies.presets import compose
from strategies.privacy.contenders import Bounds, Cohort, Contender
from strategies.privacy.dp_gd import features
from strategies.privacy.shared_upload import (
    bits_of,
    contribution,
    gradient_rows,
    grid_of,
    merged,
    update_row,
)
from strategies.privacy.units import FloatArray
from strategies.settings import Settings

Rows = Callable[[Cohort, int, FloatArray, Settings], tuple[FloatArray, int]]


@dataclass(frozen=True)
class _SharedRun:
    """A contender's run: the settings of each eps come from the strategy of the command line."""

    rows: Rows
    overrides: tuple[tuple[str, object], ...]

    def __call__(self, cohort: Cohort, epsilons: Sequence[float], delta: float) -> FloatArray:
        clinics, dimension = len(cohort.count), cohort.signed.shape[-1]
        models = []
        for epsilon in epsilons:
            settings = compose(
                "shared-noise",
                {
                    **dict(self.overrides),
                    "epsilon": float(epsilon),
                    "delta": delta,
                    "clients": clinics,
                    "seed": cohort.seed,
                },
            )
            grid, model = grid_of(settings, dimension, clinics), np.zeros(dimension)
            for round_ in range(1, settings.rounds + 1):
                total = np.zeros(dimension + 1, dtype=np.int64)
                for clinic in range(clinics):
                    rows, weight = self.rows(cohort, clinic, model, settings)
                    bits = bits_of(True, cohort.seed, clinic, round_)
                    total += contribution(grid, rows, weight, bits)
                model, _ = merged(model, total, grid, settings)
            models.append(model)
        return np.stack(models)


def _gradients(
    cohort: Cohort, clinic: int, model: FloatArray, settings: Settings
) -> tuple[FloatArray, int]:
    count = int(cohort.count[clinic])
    return gradient_rows(model, cohort.signed[clinic, :count], settings.clip_norm), count


def _updates(
    cohort: Cohort, clinic: int, model: FloatArray, settings: Settings
) -> tuple[FloatArray, int]:
    count = int(cohort.count[clinic])
    trained = descend(
        model,
        cohort.signed[clinic, :count, 0],
        float(count),
        learning_rate=settings.learning_rate,
        steps=settings.steps,
        l2=settings.l2,
    )
    return update_row(model, trained, settings.clip_norm), 1


def _by_clinic_features(low: Bounds, high: Bounds) -> FeatureMap:
    settings = compose("shared-noise", {"unit": "clinic"})
    return FeatureMap("log", low, high, bias=settings.bias, scale=settings.feature_scale)


SHARED_CONTENDERS: dict[str, Contender] = {
    item.name: item
    for item in (
        Contender("shared-noise", features, _SharedRun(_gradients, ())),
        Contender(
            "shared-noise, 6 colluders", features, _SharedRun(_gradients, (("colluders", 6),))
        ),
        Contender(
            "shared-noise by clinic",
            _by_clinic_features,
            _SharedRun(_updates, (("unit", "clinic"),)),
        ),
    )
}
"""Kept apart from ``CONTENDERS``: exact discrete noise takes a hundred times as long to draw."""
