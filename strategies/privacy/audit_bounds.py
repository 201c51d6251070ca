"""Lower bounds on eps from the scores of a canary game.

A test that says "the canary is in" whenever a score passes a threshold has a false positive
and a false negative rate; (eps, delta)-DP bounds them (M. Jagielski, J. Ullman, A. Oprea,
"Auditing Differentially Private Machine Learning", 2020), and mu-GDP does so more tightly
(M. Nasr et al., "Tight Auditing of Differentially Private Machine Learning", 2023). The
threshold is chosen on one half of the runs and judged on the other, so that choosing costs no
confidence; rates get Clopper-Pearson bounds, at half of the stated error each.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from strategies.privacy.accounting import AccountingError, epsilon_of_mu

FloatArray = NDArray[np.float64]
THRESHOLDS = 400
LEAST_RUNS = 4


@dataclass(frozen=True)
class LowerBounds:
    """What the runs prove about eps, each bound wrong with probability at most ``error``.

    ``epsilon`` assumes nothing; ``epsilon_gdp`` assumes that the releases are Gaussian.
    """

    epsilon: float
    epsilon_gdp: float
    threshold: float
    error: float


def clopper_pearson_upper(
    successes: FloatArray | NDArray[np.int64] | int, trials: int, error: float
) -> FloatArray:
    """Return the upper end of a one-sided interval for a rate, wrong with at most ``error``.

    Parameters
    ----------
    successes : ndarray or int
        Counts, 0 .. trials; expected counts need not be whole.
    trials : int
        At least 1.
    error : float
        In (0, 1).
    """
    from scipy.special import betaincinv

    count = np.asarray(successes, dtype=np.float64)
    inner = np.minimum(count, trials - 1)
    bound = betaincinv(inner + 1, trials - inner, 1 - error)
    upper: FloatArray = np.where(count >= trials, 1.0, bound)
    return upper


def lower_bounds(
    without: FloatArray, with_canary: FloatArray, delta: float, error: float = 0.05
) -> LowerBounds:
    """Return lower bounds on eps at ``delta`` from the scores of two worlds.

    Parameters
    ----------
    without, with_canary : ndarray, shape (runs,)
        Scores, larger when the canary seems to be in; independent runs, the same number of
        both, at least 4.
    delta : float
        In (0, 1).
    error : float
        Probability with which each of the two bounds may be too high.

    Raises
    ------
    AccountingError
        For too few runs.
    """
    runs = min(len(without), len(with_canary))
    if runs < LEAST_RUNS:
        raise AccountingError(
            f"an audit needs at least {LEAST_RUNS} runs in each world, got {runs}"
        )
    half = runs // 2
    choosing = without[:half], with_canary[:half]
    judging = without[half:], with_canary[half:]
    candidates = np.unique(np.quantile(np.concatenate(choosing), np.linspace(0.0, 1.0, THRESHOLDS)))
    seen = _rates(*choosing, candidates, error)
    fitted = _expected_rates(*choosing, candidates, error)
    promise = np.minimum(_epsilon(*seen, delta), _epsilon(*fitted, delta))
    by_cp = candidates[int(np.argmax(promise))]
    by_gdp = candidates[int(np.argmax(np.minimum(_mu(*seen), _mu(*fitted))))]
    epsilon = float(_epsilon(*_rates(*judging, np.array([by_cp]), error), delta)[0])
    mu = float(_mu(*_rates(*judging, np.array([by_gdp]), error))[0])
    return LowerBounds(max(0.0, epsilon), epsilon_of_mu(max(0.0, mu), delta), float(by_cp), error)


def ceiling(runs: int, delta: float, error: float = 0.05) -> float:
    """Return the largest bound that ``runs`` can give at all: two worlds that never overlap."""
    trials = runs - runs // 2
    upper = clopper_pearson_upper(0, trials, error / 2)
    return float(_epsilon(upper, upper, delta))


def _rates(
    without: FloatArray, with_canary: FloatArray, thresholds: FloatArray, error: float
) -> tuple[FloatArray, FloatArray]:
    # Upper bounds on both error rates of "score > threshold".
    n0, n1 = len(without), len(with_canary)
    false_positive = n0 - np.searchsorted(np.sort(without), thresholds, side="right")
    false_negative = np.searchsorted(np.sort(with_canary), thresholds, side="right")
    return (
        clopper_pearson_upper(false_positive, n0, error / 2),
        clopper_pearson_upper(false_negative, n1, error / 2),
    )


def _expected_rates(
    without: FloatArray, with_canary: FloatArray, thresholds: FloatArray, error: float
) -> tuple[FloatArray, FloatArray]:
    # Rates of normal fits, beside the seen ones: the extreme thresholds that look best by chance
    # in the first half do not carry over. A bad choice costs power, never confidence.
    from scipy.special import ndtr

    tiny = np.finfo(np.float64).tiny
    high = ndtr((without.mean() - thresholds) / max(float(without.std()), tiny))
    low = ndtr((thresholds - with_canary.mean()) / max(float(with_canary.std()), tiny))
    return (
        clopper_pearson_upper(high * len(without), len(without), error / 2),
        clopper_pearson_upper(low * len(with_canary), len(with_canary), error / 2),
    )


def _epsilon(fpr: FloatArray, fnr: FloatArray, delta: float) -> FloatArray:
    # DP demands 1 - fnr <= e^eps fpr + delta, and the same with the worlds exchanged.
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.where(1 - fnr > delta, np.log((1 - fnr - delta) / fpr), -inf)
        other = np.where(1 - fpr > delta, np.log((1 - fpr - delta) / fnr), -inf)
    best: FloatArray = np.maximum(one, other)
    return best


def _mu(fpr: FloatArray, fnr: FloatArray) -> FloatArray:
    # mu-GDP demands mu >= Phi^-1(1 - fpr) - Phi^-1(fnr).
    from scipy.special import ndtri

    with np.errstate(invalid="ignore"):
        mu: FloatArray = np.nan_to_num(-ndtri(fpr) - ndtri(fnr), nan=-inf)
    return mu
