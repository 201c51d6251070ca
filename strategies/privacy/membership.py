"""Membership inference on the broadcast model: how well it tells who was trained on.

The attack of S. Yeom et al., "Privacy Risk in Machine Learning", 2018: a record with a smaller
loss is taken for a member. Its success is the area under the ROC curve, 0.5 for guessing. An
intuition, not a bound: a stronger attack may exist, and eps bounds all of them.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import nan, sqrt
from typing import Any

import numpy as np

from strategies.learning.linear_svm import FloatArray, margins
from strategies.learning.metrics import auc
from strategies.privacy.accounting import AccountingError


@dataclass(frozen=True)
class MembershipResult:
    """Mean AUC of the attack over independent runs, with a 95 % interval of the mean."""

    auc: float
    low: float
    high: float
    runs: int

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def attack_auc(model: FloatArray, members: FloatArray, others: FloatArray) -> float:
    """Return the AUC of telling members from others by their loss.

    Parameters
    ----------
    model : ndarray, shape (d,)
        The broadcast model.
    members, others : ndarray, shape (n, d)
        Signed records ``y x`` that were and were not trained on.
    """
    scores = margins(model, np.concatenate([members, others]))
    inside = np.arange(len(scores)) < len(members)
    return auc(scores, inside)


def summarise(aucs: Iterable[float]) -> MembershipResult:
    """Return mean and 95 % Student interval of the AUCs of independent runs.

    Raises
    ------
    AccountingError
        Without any run.
    """
    values = np.array(list(aucs), dtype=np.float64)
    if not len(values):
        raise AccountingError("a membership attack needs at least one run")
    mean = float(values.mean())
    if len(values) == 1:
        return MembershipResult(mean, nan, nan, 1)
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.975)) * float(values.std(ddof=1)) / sqrt(len(values))
    return MembershipResult(mean, mean - half, mean + half, len(values))
