"""A rule that names an object's class without training: the floor of the learning task.

The class whose published medians (:mod:`datasets.carrada.measured`, taken over the real data set:
a choice with sight of the data) are nearest in log units: speed, range extent, Doppler extent and
angle extent at the object's range band.
"""

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.measured import BAND_EDGES_M, PROFILES

USED = ("speed_mps", "range_extent", "doppler_extent", "angle_extent")


def nearest_class(rows: NDArray[np.float64], names: tuple[str, ...]) -> NDArray[np.int8]:
    """Return the label 1..3 of each object.

    Parameters
    ----------
    rows
        (n, d) descriptors.
    names
        Their d columns, `range_m` and `USED` among them.

    Returns
    -------
    numpy.ndarray
        (n,) int8; the lowest label when tied.
    """
    band = np.searchsorted(BAND_EDGES_M, rows[:, names.index("range_m")], side="right")
    seen = np.log(np.maximum(rows[:, [names.index(name) for name in USED]], 0.5))
    medians = np.array(
        [
            [
                (profile.speed_mps[0], *extents, angle)
                for extents, angle in zip(profile.rd_extents, profile.angle_extents, strict=True)
            ]
            for profile in PROFILES.values()
        ]
    )
    distances = np.square(seen - np.log(medians)[:, band]).sum(axis=-1)
    labels: NDArray[np.int8] = (distances.argmin(axis=0) + 1).astype(np.int8)
    return labels
