"""Reputations kept up to date slot by slot, exactly and in little memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strategies.reputation.evidence import NEGATIVE, POSITIVE
from strategies.reputation.opinion import FloatArray, Opinion, opinion
from strategies.reputation.settings import ReputationError, ReputationSettings

CountArray = NDArray[np.int32]


class ReputationLedger:
    """The last Y slots of evidence about every device, and the reputations they give.

    Fading (eq. 3) and the mean over users (eq. 4) are both linear, so the mean can be taken
    first: a slot is stored as two counts a device, users that rated it well and users that blame
    it, in a ring of Y slots. Every reading sums the ring afresh, so nothing drifts and a slot
    that leaves the window leaves no trace. 10^5 devices take 40 MB whatever the number of users.

    Parameters
    ----------
    devices : int
        Rows, one a device.
    users : int
        M, the denominator of eq. (4); a user that says nothing is vacuous.
    settings : ReputationSettings
    keep_users : bool
        Also keep each user's events (one byte a device, user and slot) for :meth:`opinions`.
    """

    def __init__(
        self, devices: int, users: int, settings: ReputationSettings, *, keep_users: bool = False
    ) -> None:
        if devices < 0 or users < 1:
            raise ReputationError(f"{devices} devices and {users} users: there must be a user")
        self.settings = settings
        self.users = users
        self.slots = 0
        self._positive: CountArray = np.zeros((settings.window, devices), dtype=np.int32)
        self._negative: CountArray = np.zeros_like(self._positive)
        self._events: NDArray[np.uint8] | None = None
        if keep_users:
            self._events = np.zeros((settings.window, devices, users), dtype=np.uint8)

    @property
    def devices(self) -> int:
        """Number of devices known."""
        return int(self._positive.shape[1])

    def record(self, events: NDArray[np.uint8]) -> None:
        """Add one slot; the slot of Y ago is forgotten.

        Parameters
        ----------
        events : ndarray of uint8, shape (devices, users)
            Of :func:`strategies.reputation.events`.

        Raises
        ------
        ReputationError
            If the shape is not the ledger's.
        """
        if events.shape != (self.devices, self.users):
            raise ReputationError(
                f"events have shape {events.shape}, not {(self.devices, self.users)}: "
                "pass a row per device and a column per user"
            )
        if self._events is not None:
            self._events[self.slots % self.settings.window] = events
        positive = np.count_nonzero(events == POSITIVE, axis=1)
        negative = np.count_nonzero(events == NEGATIVE, axis=1)
        self.record_counts(positive, negative)

    def record_counts(self, positive: ArrayLike, negative: ArrayLike) -> None:
        """Add one slot already counted: users for and against, each of shape (devices,)."""
        row = self.slots % self.settings.window
        self._positive[row] = positive
        self._negative[row] = negative
        self.slots += 1

    def reputation(self) -> FloatArray:
        """Return R (eqs. 1-4) of every device, shape (devices,); a newcomer has alpha."""
        step = opinion((1, 0), (0, 1), self.settings)
        gain, loss = step.reputation(self.settings) - self.settings.base_rate
        change = np.zeros(self.devices)
        for row in self._rows():
            change *= self.settings.fading
            change += gain * self._positive[row] + loss * self._negative[row]
        return self.settings.base_rate + change / (self.users * self._weight())

    def trusted(self) -> NDArray[np.bool_]:
        """Return which devices pass ``R >= theta`` (N', within 1e-9), shape (devices,)."""
        return self.settings.trusts(self.reputation())

    def opinions(self) -> Opinion:
        """Return each user's faded opinion of each device (eq. 3), shape (devices, users).

        Raises
        ------
        ReputationError
            If the ledger was made without ``keep_users``.
        """
        if self._events is None:
            raise ReputationError("this ledger keeps no opinions by user: make it with keep_users")
        belief = np.zeros(self._events.shape[1:])
        disbelief = np.zeros_like(belief)
        for row in self._rows():
            belief *= self.settings.fading
            belief += self._events[row] == POSITIVE
            disbelief *= self.settings.fading
            disbelief += self._events[row] == NEGATIVE
        step = opinion((1, 0), (0, 1), self.settings)
        belief *= step.belief[0] / self._weight()
        disbelief *= step.disbelief[1] / self._weight()
        return Opinion(belief, disbelief, 1.0 - belief - disbelief)

    def grow(self, devices: int, users: int | None = None) -> None:
        """Make room for newcomers, vacuous in every slot so far.

        Parameters
        ----------
        devices : int
            Devices in all from now on.
        users : int, optional
            Users in all from now on: M of eq. (4).

        Raises
        ------
        ReputationError
            If either is less than what the ledger has.
        """
        users = self.users if users is None else users
        more, extra = devices - self.devices, users - self.users
        if min(more, extra) < 0:
            raise ReputationError(
                f"a ledger of {self.devices} devices and {self.users} users cannot shrink to "
                f"{devices} and {users}: keep the rows of those who left"
            )
        self.users = users
        self._positive = np.pad(self._positive, ((0, 0), (0, more)))
        self._negative = np.pad(self._negative, ((0, 0), (0, more)))
        if self._events is not None:
            self._events = np.pad(self._events, ((0, 0), (0, more), (0, extra)))

    def state(self) -> dict[str, CountArray]:
        """Return the counts in the window, oldest slot first, for a database or checkpoint.

        Returns
        -------
        dict
            ``positive`` and ``negative``, each of shape (slots in the window, devices).
        """
        rows = self._rows()
        return {"positive": self._positive[rows], "negative": self._negative[rows]}

    def restore(self, state: Mapping[str, ArrayLike]) -> None:
        """Replace the evidence by what :meth:`state` returned; events by user start afresh."""
        positive, negative = np.asarray(state["positive"]), np.asarray(state["negative"])
        expected = (len(positive), self.devices)
        if positive.shape != expected or negative.shape != expected:
            raise ReputationError(
                f"saved evidence has shapes {positive.shape} and {negative.shape}, "
                f"not {expected}: it belongs to another ledger"
            )
        self.slots = 0
        self._positive[:] = 0
        self._negative[:] = 0
        for row in range(len(positive)):
            self.record_counts(positive[row], negative[row])

    def _rows(self) -> list[int]:
        """Return the ring's rows in use, oldest slot first."""
        window = self.settings.window
        return [slot % window for slot in range(max(0, self.slots - window), self.slots)]

    def _weight(self) -> float:
        """Return the sum of psi over all Y slots, whether they happened or not."""
        z = self.settings.fading
        return (1.0 - z**self.settings.window) / (1.0 - z)
