"""Everything that clinics have uploaded, as one array with gaps for who was not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategies.trust.settings import BoolArray, FloatArray, IntArray, TrustError


class History:
    """Uploads by round and clinic.

    Parameters
    ----------
    dimension : int
        d, length of an upload.

    Attributes
    ----------
    identities : list of str
        Clinics in the order in which they were first seen; the columns.
    rounds : ndarray of int, shape (T,)
        Rounds with an upload, in order.
    sizes : ndarray, shape (V,)
        m, units of each clinic.
    """

    def __init__(self, dimension: int) -> None:
        if dimension < 1:
            raise TrustError(f"dimension is {dimension}: an upload has at least one value")
        self.dimension = dimension
        self.identities: list[str] = []
        self.rounds: IntArray = np.zeros(0, dtype=np.int64)
        self.sizes: FloatArray = np.zeros(0)
        self._uploads: FloatArray = np.zeros((0, 0, dimension))
        self._noise: FloatArray = np.zeros((0, 0))
        self._column: dict[str, int] = {}

    @property
    def uploads(self) -> FloatArray:
        """Return sums of descent directions, shape (T, V, d), zeros where there is none."""
        return self._uploads

    @property
    def noise(self) -> FloatArray:
        """Return the noise's standard deviation, shape (T, V), NaN where there is no upload."""
        return self._noise

    @property
    def present(self) -> BoolArray:
        """Return who uploaded in which round, shape (T, V)."""
        return ~np.isnan(self._noise)

    def columns(self, identities: Sequence[str]) -> IntArray:
        """Return the columns of known clinics, -1 for a newcomer."""
        return np.array([self._column.get(name, -1) for name in identities], dtype=np.int64)

    def add(
        self,
        round_: int,
        identities: Sequence[str],
        uploads: FloatArray,
        sizes: FloatArray,
        noise: FloatArray,
    ) -> IntArray:
        """Append a round that passed :meth:`check` and return the clinics' columns.

        Parameters
        ----------
        round_ : int
            Later than any so far.
        identities : sequence of str
            Who uploaded, each once.
        uploads : ndarray, shape (n, d)
        sizes, noise : ndarray, shape (n,)
        """
        for name in identities:
            if name not in self._column:
                self._column[name] = len(self.identities)
                self.identities.append(name)
        columns = self.columns(identities)
        rounds, clinics = self._noise.shape
        self.sizes = np.concatenate([self.sizes, np.zeros(len(self.identities) - clinics)])
        self.sizes[columns] = sizes
        shape = (rounds + 1, len(self.identities))
        grown, noises = np.zeros((*shape, self.dimension)), np.full(shape, np.nan)
        grown[:rounds, :clinics], noises[:rounds, :clinics] = self._uploads, self._noise
        grown[-1, columns], noises[-1, columns] = uploads, noise
        self._uploads, self._noise = grown, noises
        self.rounds = np.append(self.rounds, round_)
        return columns

    def state(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays for a database or checkpoint."""
        return {
            "identities": np.array(self.identities, dtype=np.str_),
            "rounds": self.rounds.copy(),
            "sizes": self.sizes.copy(),
            "uploads": self._uploads.copy(),
            "noise": self._noise.copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Replace everything by what :meth:`state` returned.

        Raises
        ------
        TrustError
            When the arrays do not fit together or the dimension is another.
        """
        uploads = np.array(state["uploads"], dtype=np.float64)
        rounds, sizes = np.array(state["rounds"]), np.array(state["sizes"], dtype=np.float64)
        expected = (rounds.size, sizes.size, self.dimension)
        noise = np.array(state["noise"], dtype=np.float64)
        if uploads.shape != expected or noise.shape != expected[:2]:
            raise TrustError(
                f"saved uploads have shape {uploads.shape}, not {expected}: they belong to "
                "another detector"
            )
        self.identities = [str(name) for name in state["identities"]]
        self._column = {name: column for column, name in enumerate(self.identities)}
        self.rounds, self.sizes = rounds.astype(np.int64), sizes
        self._uploads, self._noise = uploads, noise

    def check(
        self,
        round_: int,
        identities: Sequence[str],
        uploads: FloatArray,
        sizes: FloatArray,
        noise: FloatArray,
    ) -> None:
        """Raise TrustError when a round is not new or what was uploaded cannot be used."""
        count = len(identities)
        if self.rounds.size and round_ <= self.rounds[-1]:
            raise TrustError(
                f"round {round_} was already judged (last: {self.rounds[-1]}): restore the state "
                "of the round before to judge it again"
            )
        if len(set(identities)) != count:
            raise TrustError("a clinic uploaded twice in a round: keep one reply of each")
        if uploads.shape != (count, self.dimension):
            raise TrustError(
                f"uploads have shape {uploads.shape}, not {(count, self.dimension)}: pass one row "
                "for each identity"
            )
        if sizes.shape != (count,) or noise.shape != (count,):
            raise TrustError("pass one size and one noise for each identity")
        if not np.isfinite(uploads).all():
            raise TrustError("an upload is not finite: judge only replies that were checked")
        if not (np.isfinite(sizes).all() and (sizes > 0).all()):
            raise TrustError("a shard size is not above 0: pass the sizes that were enrolled")
        if not (np.isfinite(noise).all() and (noise >= 0).all()):
            raise TrustError("noise must be at least 0 and finite for each clinic")
