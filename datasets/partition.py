"""Cutting a table into one shard per clinic: iid, of given sizes, or skewed by label.

`dirichlet` makes label skew in the manner of T.-M. H. Hsu, H. Qi, M. Brown, "Measuring the effects
of non-identical data distribution for federated visual classification" (arXiv:1909.06335), in the
per-label form of M. Yurochkin et al., "Bayesian nonparametric federated learning of neural
networks" (ICML 2019) that is common since: the records of each label are divided among the clinics
in proportions drawn from Dir(alpha, ..., alpha). (Hsu et al. draw one label mixture per clinic,
at equal shard sizes; here sizes vary too.)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datasets.apportion import place, repair, shard_sizes
from datasets.errors import DataError, check_choice, shown
from datasets.seeding import Purpose, generator
from datasets.table import Table
from datasets.units import Units, units_of

SCHEMES = ("iid", "sizes", "dirichlet")
BY_RECORDING = "sequence"
"""A scheme of its own, for tables of recordings."""
MAX_DRAWS = 10
ALPHA_BOUNDS = (1e-6, 1e6)


def partition(
    table: Table,
    clients: int,
    scheme: str = "iid",
    *,
    seed: int,
    minimum: int = 1,
    alpha: float = 0.5,
    sizes: Sequence[float] | None = None,
    unit: str = "record",
) -> list[NDArray[np.int64]]:
    """Cut a table into disjoint shards that cover it, each with at least `minimum` rows.

    Parameters
    ----------
    table
        n records.
    clients
        Number of shards V.
    scheme
        `iid`: random shards of equal size (for records within 1). `sizes`: random shards in
        proportion to `sizes`. `dirichlet`: skewed by label (see the module); drawn anew up to
        `MAX_DRAWS` times while a shard is under the minimum, after which rows are moved from the
        largest shards to those that lack some. `sequence`: whole recordings, spread evenly.
    seed
        Run seed.
    minimum
        Smallest number of rows in a shard, at least 1.
    alpha
        Concentration for `dirichlet`: small is skewed, large is iid. Within `ALPHA_BOUNDS`.
    sizes
        V positive weights for `sizes`; by default 1, 2, ..., V.
    unit
        A unit of `datasets.units.UNITS`. `patient` (or `track`): nobody sits in two shards, and
        sizes come as near the wanted ones as they allow.

    Returns
    -------
    list of numpy.ndarray
        V sorted int64 arrays of row positions.

    Raises
    ------
    DataError
        If a setting is not usable or the minimum cannot be met.
    """
    check_choice("partition scheme", scheme, (*SCHEMES, BY_RECORDING))
    if scheme == BY_RECORDING:
        unit = "sequence"
    units = units_of(table, unit)
    rng = generator(seed, Purpose.PARTITION)
    _check_counts(len(table), units, unit, clients, minimum)
    if scheme == "dirichlet":
        owner = _dirichlet(units, clients, minimum, alpha, rng)
    else:
        weights = _weights(sizes, clients) if scheme == "sizes" else np.ones(clients)
        owner = place(units.sizes, shard_sizes(len(table), weights, minimum), rng)
    owner = _meet_minimum(owner, units, clients, minimum, rng)
    return _shards(owner[units.of_row], clients)


def _check_counts(rows: int, units: Units, unit: str, clients: int, minimum: int) -> None:
    for name, value in (("number of clients", clients), ("minimum shard size", minimum)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise DataError(f"{name} {shown(value)} must be a whole number, 1 or more")
    if clients > len(units):
        raise DataError(
            f"{clients} clients cannot share {len(units)} {unit}s: take {len(units)} or fewer"
        )
    if clients * minimum > rows:
        raise DataError(
            f"{clients} clients with at least {minimum} records each need {clients * minimum}, "
            f"there are {rows}: take fewer clients or a smaller minimum"
        )


def _weights(sizes: Sequence[float] | None, clients: int) -> NDArray[np.float64]:
    if sizes is None:
        return np.arange(1, clients + 1, dtype=np.float64)
    try:
        weights = np.asarray(sizes, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"shard sizes {shown(sizes)} must be {clients} numbers") from error
    if weights.shape != (clients,):
        raise DataError(f"shard sizes {shown(sizes)} must be one for each of {clients} clients")
    if not np.isfinite(weights).all() or not (weights > 0).all():
        raise DataError(f"shard sizes {shown(sizes)} must be finite and above 0")
    return weights


def _dirichlet(
    units: Units, clients: int, minimum: int, alpha: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    lowest, highest = ALPHA_BOUNDS
    if not isinstance(alpha, int | float | np.number) or not lowest <= alpha <= highest:
        raise DataError(f"alpha {shown(alpha)} must lie within {lowest:g}..{highest:g}")
    owner = np.empty(len(units), dtype=np.int64)
    for _ in range(MAX_DRAWS):
        for label in np.unique(units.labels):
            members = rng.permutation(np.flatnonzero(units.labels == label))
            shares = np.cumsum(rng.dirichlet(np.full(clients, float(alpha))))
            cuts = np.floor(shares[:-1] * len(members) + 0.5)
            owner[members] = np.searchsorted(cuts, np.arange(len(members)), side="right")
        loads = np.bincount(owner, weights=units.sizes, minlength=clients)
        if loads.min() >= minimum:
            break
    return owner


def _meet_minimum(
    owner: NDArray[np.int64],
    units: Units,
    clients: int,
    minimum: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Repair; where whole patients get stuck, place them afresh in equal shards."""
    try:
        return repair(owner, units.sizes, clients, minimum)
    except DataError:
        equal = shard_sizes(int(units.sizes.sum()), np.ones(clients), minimum)
    try:
        return repair(place(units.sizes, equal, rng), units.sizes, clients, minimum)
    except DataError:
        raise DataError(
            f"found no way to give {clients} clients {minimum} records each with whole patients: "
            "take fewer clients or a smaller minimum"
        ) from None


def _shards(owner_of_row: NDArray[np.int64], clients: int) -> list[NDArray[np.int64]]:
    by_shard = np.argsort(owner_of_row, kind="stable").astype(np.int64)
    loads = np.bincount(owner_of_row, minlength=clients)
    return np.split(by_shard, np.cumsum(loads)[:-1])
