"""What a clinic puts into a secure sum, and what the sum says: the same on every path.

The vector is ``(contributions on a grid, weight)``. By record or patient a contribution is the
sum of clipped gradients at the broadcast model and the weight the number of units; by clinic the
clipped update and 1; without noise the update times the records, and the records. Nobody but the
clinic learns its weight: the server reads total over total.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from strategies.privacy.accounting import AccountingError
from strategies.privacy.discrete_gaussian import ExactBits
from strategies.privacy.global_dp import clip
from strategies.privacy.gradients import unit_pulls
from strategies.privacy.shared_noise import Grid, SharedNoise
from strategies.randomness import Purpose, generator
from strategies.settings import Settings, SettingsError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ANY_DIMENSION = 16
_BLOCK = 1 << 14


@lru_cache(maxsize=256)
def shared_noise_of(settings: Settings, dimension: int) -> SharedNoise:
    """Return the mechanism of ``--privacy shared-noise`` for models of ``dimension``.

    Raises
    ------
    SettingsError
        When its parameters do not go together.
    """
    try:
        return SharedNoise(
            settings.epsilon,
            settings.delta,
            settings.rounds,
            settings.clip_norm,
            dimension,
            settings.colluders,
            settings.dropouts,
            settings.modulus_bits,
            1 if settings.unit == "clinic" else settings.largest_shard,
        )
    except AccountingError as fault:
        raise SettingsError(f"shared-noise: {fault}") from fault


def upload_mu(settings: Settings, cohort: int, survivors: int) -> float:
    """Return the mu that one opened round costs a clinic, whatever the dimension."""
    return shared_noise_of(settings, 1).mu(cohort, survivors)


def check_grid(settings: Settings) -> None:
    """Refuse settings that leave nobody's noise to count on.

    Raises
    ------
    SettingsError
        With what to change.
    """
    try:
        shared_noise_of(settings, _ANY_DIMENSION).counted_on(settings.clients)
    except AccountingError as fault:
        raise SettingsError(f"{fault}: lower --dropouts or --colluders") from fault


@lru_cache(maxsize=256)
def grid_of(settings: Settings, dimension: int, cohort: int) -> Grid:
    """Return the grid on which a cohort of so many clinics adds up.

    Raises
    ------
    AccountingError
        When the modulus has no room, or nobody's noise could be counted on.
    """
    if settings.privacy == "shared-noise":
        return shared_noise_of(settings, dimension).grid(cohort)
    room = 2.0 ** (settings.modulus_bits - 2) / (cohort * settings.largest_shard)
    if room < 1:
        raise AccountingError(
            f"2^{settings.modulus_bits} has no room for the sum of {cohort} clinics of up to "
            f"{settings.largest_shard} records: raise --modulus-bits or lower --largest-shard"
        )
    return Grid(settings.clip_norm / room, 0, float("inf"), settings.modulus_bits)


def gradient_rows(weights: FloatArray, units: FloatArray, clip_norm: float) -> FloatArray:
    """Return each unit's clipped contribution to a gradient sum, shape (units, d)."""
    return unit_pulls(weights, units, clip_norm)


def update_row(start: FloatArray, trained: FloatArray, clip_norm: float) -> FloatArray:
    """Return a clinic's clipped update as its only row, shape (1, d)."""
    return clip(trained - start, clip_norm)[None, :]


def contribution(grid: Grid, rows: FloatArray, weight: int, bits: ExactBits) -> IntArray:
    """Return a clinic's vector for the sum, shape (d + 1,).

    Raises
    ------
    ValueError
        For values that are not finite.
    """
    if not np.isfinite(rows).all():
        raise ValueError("the trained model has values that are not finite")
    return np.append(grid.contribution(rows, bits), np.int64(weight))


def merged(
    weights: FloatArray, total: IntArray, grid: Grid, settings: Settings
) -> tuple[FloatArray, int]:
    """Return the model that a sum of vectors (d + 1,) makes of the broadcast one, and the weight.

    Raises
    ------
    ValueError
        When the weights do not add up to a positive number.
    """
    weight = int(total[-1])
    if weight < 1:
        raise ValueError(f"the weights in the sum add up to {weight}: some clinic's was false")
    moved = total[:-1].astype(np.float64) * grid.width / float(weight)
    by_record = settings.privacy == "shared-noise" and settings.unit != "clinic"
    rate = settings.learning_rate if by_record else 1.0
    return weights + rate * moved, weight


def bits_of(seeded: bool, seed: int, partition: int, server_round: int) -> ExactBits:
    """Return a clinic's randomness of a round: the system's, or seeded and then not private."""
    if not seeded:
        return ExactBits()
    return ExactBits(_Stream(generator(seed, Purpose.CLINIC_NOISE, partition, server_round)))


class _Stream:
    """Bytes of a seeded generator, drawn in blocks: many small draws cost a hundred times more."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._block, self._at = rng, b"", 0

    def __call__(self, size: int) -> bytes:
        start = self._at
        if start + size > len(self._block):
            self._block, start = self._rng.bytes(max(size, _BLOCK)), 0
        self._at = start + size
        return self._block[start : self._at]
