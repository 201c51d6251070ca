"""What a market run recorded, and the figures of the paper's section IV-B."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.market.settings import TYPES, MarketSettings

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class MarketRun:
    """Record of S seeds over T time-steps of N devices.

    Attributes
    ----------
    settings : MarketSettings
    types : ndarray of int8, shape (S, N)
        1, 2 or 3.
    values, costs, payments : ndarray of int64, shape (S, T, N)
        Micro-credits; payments are 0 for those that did not win.
    wins, attacks : ndarray of bool, shape (S, T, N)
        Who won, and whose delivery would be tampered with.
    reputations : ndarray of float64, shape (S, T, N)
        R before each step's auction.
    blamed, guilty : ndarray of int64, shape (S,)
        Devices blamed for a cube over the run, and those of them that had spoiled it.
    """

    settings: MarketSettings
    types: NDArray[np.int8]
    values: IntArray
    costs: IntArray
    payments: IntArray
    wins: BoolArray
    attacks: BoolArray
    reputations: FloatArray
    blamed: IntArray
    guilty: IntArray

    @property
    def shares(self) -> FloatArray:
        """Wins of types 1, 2, 3 over all wins, shape (S, 3)."""
        won = self.wins.sum(axis=1)
        by_type = [np.where(self.types == kind, won, 0).sum(axis=1) for kind in TYPES]
        return np.asarray(np.stack(by_type, axis=1) / np.maximum(won.sum(axis=1), 1)[:, None])

    @property
    def welfare(self) -> FloatArray:
        """Value less cost of the winners a step (eq. 7), micro-credits, shape (S,)."""
        return self._per_step(self.values - self.costs)

    @property
    def adjusted_welfare(self) -> FloatArray:
        """Welfare less the value of tampered deliveries, micro-credits a step, shape (S,)."""
        return self._per_step(np.where(self.attacks, 0, self.values) - self.costs)

    @property
    def attack_rate(self) -> FloatArray:
        """Tampered deliveries over deliveries, shape (S,)."""
        tampered = self._count(self.wins & self.attacks)
        return np.asarray(tampered / np.maximum(self._count(self.wins), 1))

    @property
    def honest_excluded(self) -> FloatArray:
        """Share of type 1's device-steps with R below theta, shape (S,)."""
        shut = ~self.settings.reputation.trusts(self.reputations)
        honest = np.broadcast_to((self.types == 1)[:, None, :], shut.shape)
        return self._count(shut & honest) / np.maximum(self._count(honest), 1)

    @property
    def paid(self) -> FloatArray:
        """Payments a step, micro-credits, shape (S,)."""
        return self._per_step(self.payments)

    @property
    def surplus(self) -> FloatArray:
        """What is left to the provider, value less payments (eq. 6), a step, shape (S,)."""
        return self._per_step(self.values - self.payments)

    @property
    def overpayment(self) -> FloatArray:
        """Payments over the winners' costs, shape (S,)."""
        return np.asarray(self.paid / np.maximum(self._per_step(self.costs), 1))

    @property
    def precision(self) -> FloatArray:
        """Share of the blamed that had spoiled the cube, shape (S,); 0 if nobody was blamed."""
        return np.asarray(self.guilty / np.maximum(self.blamed, 1))

    @staticmethod
    def _count(mask: BoolArray) -> FloatArray:
        return np.asarray(mask.sum(axis=(1, 2)), dtype=np.float64)

    def _per_step(self, amounts: IntArray) -> FloatArray:
        return np.asarray(np.where(self.wins, amounts, 0).sum(axis=(1, 2)) / self.wins.shape[1])
