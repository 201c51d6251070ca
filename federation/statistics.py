"""Summaries over seeds: mean, standard deviation and Student-t intervals.

Every figure and table of this project is a mean over independent seeds; what is printed
beside it comes from here. Rates that were undefined in a run (NaN, a sensitivity without
cases) are left out, and ``n`` counts what remained.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

REFERENCE_RUNS = 300


@dataclass(frozen=True)
class Summary:
    """Mean over n seeds with its spread and its 95 % Student-t interval.

    ``std`` is the sample standard deviation (n - 1). What n seeds cannot say is NaN: the
    mean of none, the spread of one.
    """

    mean: float
    std: float
    ci95_low: float
    ci95_high: float
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the fields in order, NaN as None: JSON has no NaN."""
        return {key: value if isfinite(value) else None for key, value in asdict(self).items()}


def summarise(values: ArrayLike) -> Summary:
    """Summarise one figure of n runs.

    Parameters
    ----------
    values : array_like, shape (n,)
        One value per seed; NaN are left out.

    Returns
    -------
    Summary
        ``mean +- t(0.975, n - 1) std / sqrt(n)``.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    kept = array[~np.isnan(array)]
    count = len(kept)
    mean = float(np.mean(kept)) if count else float("nan")
    std = float(np.std(kept, ddof=1)) if count > 1 else float("nan")
    half = _quantile(count - 1) * std / sqrt(count) if count > 1 else float("nan")
    return Summary(mean, std, mean - half, mean + half, count)


def paired_difference(first: ArrayLike, second: ArrayLike) -> Summary:
    """Summarise ``first - second`` seed by seed, which removes what a seed's split adds to both.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        The same figure of two strategies, in the same order of seeds; a pair with a NaN is
        left out.

    Raises
    ------
    ValueError
        When the two are not of the same length.
    """
    left = np.asarray(first, dtype=np.float64).ravel()
    right = np.asarray(second, dtype=np.float64).ravel()
    if len(left) != len(right):
        raise ValueError(f"pairs need equally many seeds, got {len(left)} and {len(right)}")
    return summarise(left - right)


def reproduction_tolerance(std: float, runs: int, reference_runs: int = REFERENCE_RUNS) -> float:
    """Return how far two means of the same figure may lie apart.

    Three standard errors of the difference between a mean of ``runs`` seeds and a reference
    mean of ``reference_runs`` seeds, both with spread ``std``: ``3 std sqrt(1/n + 1/300)``.
    """
    return 3.0 * std * sqrt(1.0 / runs + 1.0 / reference_runs)


def pick(runs: Sequence[dict[str, float]], metric: str) -> NDArray[np.float64]:
    """Return one metric of each run, NaN where a run lacks it."""
    return np.array([run.get(metric, float("nan")) for run in runs], dtype=np.float64)


def _quantile(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
