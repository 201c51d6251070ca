"""What each number of uploads has cost a clinic, computed beside the run and seldom.

One figure takes 2 ms (dp-sgd: 40 ms) and is the same for all clinics that uploaded as often. So
it is computed for the newest round only while the run goes, and at most 1 % of the time.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from time import perf_counter
from typing import Any

from federation.live.feed import Feed
from federation.live.heads import PLAYBACK
from strategies.settings import Settings

SHARE = 0.01
"""Of the time that may go into these figures while a run goes."""
BURST = 0.1
"""Seconds after which what was computed is shown before more is."""


class EpsilonMeter:
    """Certified eps of a clinic against the server, by number of uploads.

    Parameters
    ----------
    settings : Settings
        Of a run with noise.
    smallest_shard : int, optional
        m of the run, from which global-dp's noise follows; read from the data when None.
    """

    def __init__(self, settings: Settings, smallest_shard: int | None = None) -> None:
        self._settings = settings
        self._smallest = smallest_shard
        self._bound: float | None = None
        self._known: dict[int, float] = {0: 0.0}
        self._lock = Lock()
        self._rest_until = 0.0

    def known(self) -> dict[int, float]:
        """Return ``{uploads: eps}`` of what was computed so far."""
        return dict(self._known)

    def advance(self, feed: Feed) -> bool:
        """Compute what the page needs next, if it is time; return whether all is known.

        While a run goes that is the newest round's, after its end too; a playback needs every
        round's, a tenth of a second at a time.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            started, first = perf_counter(), len(self._known) == 1
            if not feed.ended and started < self._rest_until:
                return False
            whole = feed.head.get("mode") == PLAYBACK
            rows = feed.rows() if whole else [row for row in (feed.last(),) if row]
            missing = [n for n in _counts(row.values for row in rows) if n not in self._known]
            for count in reversed(missing):
                self._known = self._known | {count: self.of(count)}
                if perf_counter() - started > BURST:
                    break
            if not first:  # the first loads the accountant, which the run's report needs anyway
                self._rest_until = perf_counter() + (perf_counter() - started) / SHARE
            return all(count in self._known for count in missing)
        finally:
            self._lock.release()

    def of(self, uploads: int) -> float:
        """Return the certified eps of so many uploads, from the smallest proven sensitivity."""
        from strategies.privacy.mechanisms import spent_epsilon

        if self._bound is None:
            self._smallest, self._bound = _shape_of(self._settings, self._smallest)
        # Noised ratings of the whole run are counted from the first upload on.
        ratings = self._settings.rounds if self._settings.rates_privately else 0
        cost = self._smallest or 1, self._bound, uploads, None, ratings
        return spent_epsilon(self._settings, *cost)


def meter_of(settings: Settings, smallest_shard: int | None = None) -> EpsilonMeter | None:
    """Return the meter of a run; None where nothing is promised."""
    if settings.is_market or not settings.private:
        return None
    return EpsilonMeter(settings, smallest_shard)


def _shape_of(settings: Settings, smallest: int | None) -> tuple[int, float]:
    """Return m and the largest norm of a feature vector; only global-dp's cost depends on them."""
    if settings.privacy != "global-dp":
        return 1, 1.0
    from strategies.learning.task import feature_bound, federation_of

    federation = federation_of(settings)
    return smallest or min(federation.sizes), feature_bound(federation.table, settings)


def _counts(rows: Iterable[Mapping[str, Any]]) -> list[int]:
    return sorted({count for row in rows for count in row.get("uploads", {}).values()})
