"""What all detectors share: a history of uploads, a verdict on each clinic, a way to continue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.trust.history import History
from strategies.trust.judgement import Judgement, judge
from strategies.trust.reasons import MAY_CLEAR, Reason
from strategies.trust.settings import BoolArray, FloatArray, IntArray, TrustSettings

DOUBT = 0.01
"""A posterior above it leaves a clinic in doubt: it is asked on, and counts as little as that."""
_HALF = 0.5


@dataclass(frozen=True)
class Verdict:
    """What is thought of every clinic in the history.

    Attributes
    ----------
    honest : ndarray, shape (V,)
        Posterior of being honest, before gates.
    separation : ndarray, shape (V,)
        ``D = ||M|| / tau``.
    gates : mapping of Reason to ndarray of bool, shape (V,)
        Who was shut out and why; the first reason is the one that is told.
    """

    honest: FloatArray
    separation: FloatArray
    gates: Mapping[Reason, BoolArray]

    @cached_property
    def shut(self) -> BoolArray:
        """Return who was shut out by any gate, shape (V,)."""
        shut = np.zeros(self.honest.shape, dtype=np.bool_)
        for gate in self.gates.values():
            shut |= gate
        return shut

    @cached_property
    def weights(self) -> FloatArray:
        """Return p, 0 for whom a gate shut out, shape (V,)."""
        return np.where(self.shut, 0.0, self.honest)

    @cached_property
    def unsettled(self) -> BoolArray:
        """Return who may be honest by its uploads and is shut by no gate but bad luck's, (V,)."""
        unsettled = self.honest >= DOUBT
        for reason, gate in self.gates.items():
            if reason not in MAY_CLEAR:
                unsettled &= ~gate
        return unsettled

    @cached_property
    def reasons(self) -> tuple[Reason, ...]:
        """Return the first gate that shut each clinic, or the posterior, or nothing."""
        reasons = [Reason.POSTERIOR if p < _HALF else Reason.NONE for p in self.honest]
        for reason, shut in reversed(list(self.gates.items())):
            for clinic in np.flatnonzero(shut):
                reasons[clinic] = reason
        return tuple(reasons)


class Detector(ABC):
    """Judge clinics by all that they uploaded.

    Parameters
    ----------
    dimension : int
        d, length of a model vector.
    settings : TrustSettings, optional
    """

    def __init__(self, dimension: int, settings: TrustSettings | None = None) -> None:
        self.settings = TrustSettings() if settings is None else settings
        self.dimension = dimension
        self._history = History(dimension)
        self._verdict = Verdict(np.zeros(0), np.zeros(0), {})
        self._copied: BoolArray = np.zeros(0, dtype=np.bool_)
        self._looked_at = 0

    def update(
        self,
        round_: int,
        identities: Sequence[str],
        uploads: FloatArray,
        sizes: ArrayLike,
        noise_std: ArrayLike,
    ) -> Judgement:
        """Take in a round and judge those who uploaded.

        Parameters
        ----------
        round_ : int
            Later than any so far; the first is 1, with the broadcast w = 0.
        identities : sequence of str
            Who uploaded; anybody may be missing or new.
        uploads : ndarray, shape (n, d)
            Noised sums of clipped descent directions: ``(model - broadcast) m / eta``.
        sizes : array_like, shape (n,) or ()
            m, units of each clinic.
        noise_std : array_like, shape (n,) or ()
            Standard deviation of the noise of each sum.

        Raises
        ------
        TrustError
            When what is passed cannot be used; nothing changes then.
        """
        size, noise = (
            np.broadcast_to(np.asarray(value, dtype=np.float64), (len(identities),))
            for value in (sizes, noise_std)
        )
        self._history.check(round_, identities, uploads, size, noise)
        kept = self.clipped(uploads, size, noise)
        columns = self._history.add(round_, identities, kept, size, noise)
        self._verdict = self._judge(columns)
        return self.standing(identities)

    def standing(self, identities: Sequence[str]) -> Judgement:
        """Return the judgement of any clinics by what is known so far; newcomers are vacuous."""
        columns = self._history.columns(identities)
        known = columns >= 0
        honest = np.full(len(columns), self.settings.prior_honest)
        separation = np.zeros(len(columns))
        honest[known] = self._verdict.weights[columns[known]]
        separation[known] = self._verdict.separation[columns[known]]
        told = self._verdict.reasons
        reasons = tuple(told[column] if column >= 0 else Reason.NONE for column in columns)
        return judge(tuple(identities), honest, separation, reasons)

    def unsettled(self, identities: Sequence[str]) -> BoolArray:
        """Return whose later uploads may still show it honest, shape (n,); newcomers' always."""
        columns = self._history.columns(identities)
        known = columns >= 0
        unsettled = np.ones(len(columns), dtype=np.bool_)
        unsettled[known] = self._verdict.unsettled[columns[known]]
        return unsettled

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the history as plain arrays; everything else follows from it."""
        return self._history.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what :meth:`state` returned.

        Raises
        ------
        TrustError
            When it is the state of a detector of another dimension.
        """
        self._history.restore(state)
        self._copied, self._looked_at = np.zeros(0, dtype=np.bool_), 0
        if self._history.rounds.size:
            self._verdict = self._judge(np.flatnonzero(self._history.present[-1]))

    def _copied_ever(self) -> BoolArray:
        """Return who copied another clinic in any round so far, shape (V,): for good."""
        known = np.zeros(self._history.sizes.size, dtype=np.bool_)
        known[: self._copied.size] = self._copied
        for place in range(self._looked_at, self._history.rounds.size):
            known |= self._copied_in(place)
        self._copied, self._looked_at = known, self._history.rounds.size
        return known

    @abstractmethod
    def _copied_in(self, place: int) -> BoolArray:
        """Return who copied another clinic in a round, by its place in the history, (V,)."""

    @abstractmethod
    def clipped(self, uploads: FloatArray, sizes: FloatArray, noise: FloatArray) -> FloatArray:
        """Return the round's uploads (n, d) no longer than an honest one can be."""

    @abstractmethod
    def _judge(self, columns: IntArray) -> Verdict:
        """Judge every clinic in the history; ``columns`` uploaded in the last round."""
