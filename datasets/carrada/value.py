"""What a scene is worth: class weight x distance weight x confidence, and a weather factor.

The paper refers to its [3] for the semantic value (weather, number of objects and positions) and
gives no formula; this one is ours, scaled so that annotated frames lie about in [0.5, 1.5].
"""

from collections.abc import Sequence

import numpy as np

from datasets.carrada import axes
from datasets.carrada.objects import RadarObject, pixels_in
from datasets.carrada.scene import Scene
from datasets.errors import DataError, shown

CLASS_WEIGHTS = (0.0, 1.0, 0.9, 0.8)
"""By label: the more vulnerable, the more a user of the twin wants to know of it."""
_NEAR_WEIGHT = 1.25
_FAR_WEIGHT = 0.75
_REPEAT = 0.5
"""Weight of each further object relative to the one before, the most valuable first."""
MAX_WEATHER = 1.5

_SURE_NEAR = 0.97
_SURE_FAR = 0.67
_SURE_NOISE = 0.05


def object_value(found: RadarObject) -> float:
    """Return class weight x distance weight x confidence of an object."""
    share = min(max(found.range_m or 0.0, 0.0) / axes.MAX_RANGE, 1.0)
    distance = _NEAR_WEIGHT + (_FAR_WEIGHT - _NEAR_WEIGHT) * share
    return CLASS_WEIGHTS[found.label] * distance * found.confidence


def semantic_value(scene: Scene, weather: float = 1.0) -> float:
    """Return the value of a scene, the paper's s_i.

    Only objects that the mask shows count. The best object counts whole, each further one half as
    much as the one before, so that inserting phantoms can at most double a value.

    Parameters
    ----------
    scene
        What was delivered, or is offered.
    weather
        The buyer's factor for conditions in which a scene is worth more, in [1, `MAX_WEATHER`].

    Returns
    -------
    float
        0 for a scene without objects, otherwise about 0.5 to 1.5 at a factor of 1.

    Raises
    ------
    DataError
        If the weather factor is out of range.
    """
    if not 1.0 <= weather <= MAX_WEATHER:
        raise DataError(f"weather factor {shown(weather)} must lie in 1..{MAX_WEATHER:g}")
    worth = sorted((object_value(f) for f in scene.objects if _shown(scene, f)), reverse=True)
    return weather * float(sum(value * _REPEAT**i for i, value in enumerate(worth)))


def _shown(scene: Scene, found: RadarObject) -> bool:
    return found.ra_box is not None and bool(pixels_in(scene.mask, found.ra_box, found.label).any())


def detector_confidences(
    objects: Sequence[RadarObject], rng: np.random.Generator | None = None
) -> list[float]:
    """Model how sure a device's detector is: less with distance, with a little noise.

    Parameters
    ----------
    objects
        What it detected.
    rng
        The device's stream; None for no noise.

    Returns
    -------
    list of float
        In [0, 1].
    """
    noise = np.zeros(len(objects)) if rng is None else rng.uniform(-1.0, 1.0, len(objects))
    shares = np.array([found.range_m or 0.0 for found in objects]) / axes.MAX_RANGE
    sure = _SURE_NEAR + (_SURE_FAR - _SURE_NEAR) * shares + _SURE_NOISE * noise
    return [float(value) for value in np.clip(sure, 0.0, 1.0)]
