"""Accuracy of all mechanisms over eps and random splits, without messages.

Rounds run on arrays (eps and clinics at once), one split after the other; the arithmetic is the
mechanisms' own, so a run by messages with the same seed gives the same models.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import nan, sqrt
from typing import Any

import numpy as np

from datasets.federated import FederatedTable, cut
from datasets.table import Table
from strategies.learning.linear_svm import sign_records
from strategies.privacy.accounting import AccountingError
from strategies.privacy.contenders import CONTENDERS, Cohort, Contender
from strategies.privacy.shared_contenders import SHARED_CONTENDERS
from strategies.privacy.units import FloatArray, group_units, stack_units

EPSILONS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
DELTA = 1e-5


@dataclass(frozen=True)
class Cell:
    """Held-out accuracy of one mechanism at one eps over ``n`` splits, as fractions."""

    mechanism: str
    epsilon: float
    unit: str
    mean: float
    std: float
    n: int

    @property
    def standard_error(self) -> float:
        """Return ``std / sqrt(n)``; NaN for one split."""
        return self.std / sqrt(self.n) if self.n > 1 else nan

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def cohort_of(
    parts: FederatedTable, contender: Contender, seed: int, unit: str = "record"
) -> tuple[Cohort, FloatArray]:
    """Return the shards of one cut as a contender sees them, and its held-out signed records.

    Parameters
    ----------
    parts : FederatedTable
        Table, held-out rows and shards.
    contender : Contender
        Its feature map is used, on the table's attribute bounds (1 to 10 on BCWD, public).
    seed : int
        Seed of the run's noise.
    unit : str
        ``record`` or ``patient``.
    """
    table = parts.table
    low, high = zip(*table.bounds, strict=True)
    mapped = contender.features(low, high)(table.features)
    signed = sign_records(mapped, table.labels)
    shards = [
        group_units(signed[rows], table.groups[rows] if unit == "patient" else None)
        for rows in parts.shards
    ]
    return Cohort(*stack_units(shards), seed), signed[parts.test]


def sweep(
    table: Table,
    mechanisms: Iterable[str] = tuple(CONTENDERS),
    *,
    epsilons: Sequence[float] = EPSILONS,
    splits: int = 100,
    unit: str = "record",
    clients: int = 20,
    delta: float = DELTA,
    first_seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> list[Cell]:
    """Return the held-out accuracy of each mechanism at each eps.

    Parameters
    ----------
    table : Table
        BCWD, complete.
    mechanisms : iterable of str
        Keys of ``CONTENDERS``.
    epsilons : sequence of float
        Targets; ``none`` ignores them, the paper's presets take them as nominal.
    splits : int
        Seeds ``first_seed ..``: each cuts, partitions and noises anew, the same for all.
    unit : str
        ``record`` or ``patient``: of privacy, of the split and of the shards.
    clients : int
        V.
    delta : float
        Of the certified mechanisms; the paper's presets keep their own.
    first_seed : int
        First seed.
    progress : callable, optional
        Told the number of finished splits.

    Raises
    ------
    AccountingError
        For an unknown mechanism or no split.
    """
    chosen = [_contender(name) for name in mechanisms]
    if splits < 1:
        raise AccountingError(f"splits must be at least 1, got {splits}")
    hits = np.zeros((len(chosen), splits, len(epsilons)))
    for split in range(splits):
        seed = first_seed + split
        parts = cut(table, clients=clients, seed=seed, split=unit, unit=unit)
        for index, contender in enumerate(chosen):
            cohort, test = cohort_of(parts, contender, seed, unit)
            models = contender.run(cohort, epsilons, delta)
            hits[index, split] = np.mean(test @ models.T > 0.0, axis=0)
        if progress is not None:
            progress(split + 1)
    mean = hits.mean(axis=1)
    std = hits.std(axis=1, ddof=1) if splits > 1 else np.full_like(mean, nan)
    return [
        Cell(contender.name, float(epsilon), unit, float(mean[i, j]), float(std[i, j]), splits)
        for i, contender in enumerate(chosen)
        for j, epsilon in enumerate(epsilons)
    ]


def _contender(name: str) -> Contender:
    known = {**CONTENDERS, **SHARED_CONTENDERS}
    if name not in known:
        raise AccountingError(f"unknown mechanism {name!r}: use one of {', '.join(known)}")
    return known[name]
