"""Attribute bounds: between which two values each feature lies, and how they are known.

Feature maps and clipping scale by these bounds. Stated ones (a grading scale, a detector's range)
are public. Observed ones are the minimum and maximum of the records: a statistic of private data
that no privacy ledger is charged for.
"""

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from datasets.errors import DataError, check_choice, shown

Bounds = tuple[tuple[float, float], ...]
StatedBounds = tuple[float, float] | dict[str, tuple[float, float]]

LARGEST = 1e300  # so that neither sums nor spans of bounds overflow
NARROWEST = 1e-300  # so that half a span does not vanish


def check_pair(what: str, pair: object) -> tuple[float, float]:
    """Accept the bounds of one feature.

    Parameters
    ----------
    what
        Whose bounds they are, for the message.
    pair
        (low, high), low < high, in the feature's own unit.

    Returns
    -------
    tuple of float
        The same two numbers.

    Raises
    ------
    DataError
        If these are not two ordered numbers of at most `LARGEST`, at least `NARROWEST` apart.
    """
    match pair:
        case [low, high] if _is_end(low) and _is_end(high):
            ends = float(low), float(high)
            if ends[1] - ends[0] >= NARROWEST:
                return ends
    raise DataError(
        f"{what} {shown(pair)} must be two numbers [low, high], low < high, up to 1e300"
    )


def _is_end(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(-LARGEST <= value <= LARGEST)


def observed(features: NDArray[np.float64]) -> Bounds:
    """Take the bounds from the records themselves.

    Parameters
    ----------
    features
        (n, d) finite values.

    Returns
    -------
    tuple of (float, float)
        Minimum and maximum of each column. A constant column is widened to a span of 1 (more
        where floats are coarser) about its value; without rows, (0, 1).
    """
    if not len(features):
        return ((0.0, 1.0),) * int(features.shape[1])
    low, high = features.min(axis=0), features.max(axis=0)
    pad = np.maximum(0.5, np.spacing(np.abs(low)))
    flat = high / 2 - low / 2 < NARROWEST  # halved: the span of hostile values may overflow
    low = np.where(flat, np.maximum(low - pad, -LARGEST), low)
    high = np.where(flat, np.minimum(high + pad, LARGEST), high)
    return tuple((float(lo), float(hi)) for lo, hi in zip(low, high, strict=True))


def check_stated(bounds: object) -> StatedBounds:
    """Accept what a schema says of bounds.

    Parameters
    ----------
    bounds
        One pair [low, high] for all features, or a mapping of column to pair.

    Returns
    -------
    tuple of float, or dict of str to tuple of float
        The same, as floats.

    Raises
    ------
    DataError
        If a pair is none.
    """
    if isinstance(bounds, dict):
        return {key: check_pair(f"bounds of {shown(key)}", pair) for key, pair in bounds.items()}
    return check_pair("bounds", bounds)


def per_feature(stated: StatedBounds, features: tuple[str, ...]) -> Bounds:
    """Line up stated bounds with the feature columns.

    Parameters
    ----------
    stated
        One pair for all, or a mapping of column to pair.
    features
        The d feature columns.

    Returns
    -------
    tuple of (float, float)
        d pairs (low, high).

    Raises
    ------
    DataError
        If bounds are given by name, and not for exactly these columns.
    """
    if not isinstance(stated, dict):
        return (stated,) * len(features)
    unknown = stated.keys() - set(features)
    if unknown:
        check_choice("feature column in bounds", min(unknown), features)
    for name in features:
        if name not in stated:
            raise DataError(f"bounds say nothing about {shown(name)}: name every feature in them")
    return tuple(stated[name] for name in features)
