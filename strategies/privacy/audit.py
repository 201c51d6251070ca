"""White-box canary audit: does a mechanism keep what it claims on the worst shard we know.

Two worlds, one clinic. Its shard holds m records at one and the same point, half of each
label, and one more, the canary, whose label alone differs between the worlds (replace-one).
The adversary is the curious server: it knows the shard, the code and the start of every round
(it sends the same model each time, the worst it can do here) and sees all T uploads. Its score
is their sum projected on the direction in which the worlds differ.

Nothing is simulated but the noise: uploads come from the mechanisms' own code. A claim that
survives is not proven; a claim that is refuted is wrong, with the stated error.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategies.privacy.accounting import AccountingError
from strategies.privacy.audit_bounds import LowerBounds, ceiling, lower_bounds

FloatArray = NDArray[np.float64]
Uploads = Callable[[FloatArray, np.random.Generator, int], FloatArray]

RUNS = 20_000
CHUNK = 10_000


@dataclass(frozen=True)
class Game:
    """A claim to be tested.

    Parameters
    ----------
    name : str
        What is audited.
    claimed_epsilon, delta : float
        The claim, against a curious server, replace-one, unit record.
    record : ndarray, shape (d,)
        The point where all records of the shard lie.
    records : int
        m, odd: the canary decides between equal numbers of both labels.
    uploads : callable
        ``(signed (m, d), rng, runs) -> (runs, d)``: the sum of a run's uploads.
    gaussian : bool
        Whether the releases are Gaussian, so that the GDP bound means something.
    """

    name: str
    claimed_epsilon: float
    delta: float
    record: FloatArray
    records: int
    uploads: Uploads = field(repr=False)
    gaussian: bool = True

    def shard(self, canary: bool) -> FloatArray:
        """Return the signed records (m, d) of one world; the canary is the last."""
        signs = np.where(np.arange(self.records) % 2 == 0, 1.0, -1.0)
        signs[-1] = 1.0 if canary else -1.0
        signed: FloatArray = signs[:, None] * self.record
        return signed


@dataclass(frozen=True)
class AuditResult:
    """What an audit found; ``scores`` are for a picture of the two distributions."""

    name: str
    claimed_epsilon: float
    delta: float
    bounds: LowerBounds
    gaussian: bool
    runs: int
    scores_without: FloatArray = field(repr=False)
    scores_with: FloatArray = field(repr=False)

    @property
    def refuted(self) -> bool:
        """Return whether the assumption-free bound passes the claim."""
        return self.bounds.epsilon > self.claimed_epsilon

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON values of ``audit privacy --json``."""
        gdp = self.bounds.epsilon_gdp if self.gaussian else None
        return {
            "mechanism": self.name,
            "claimed_epsilon": self.claimed_epsilon,
            "delta": self.delta,
            "unit": "record",
            "relation": "replace-one",
            "adversary": "server",
            "epsilon_lower_bound": self.bounds.epsilon,
            "epsilon_lower_bound_gdp": gdp if gdp is None or isfinite(gdp) else None,
            "largest_possible_bound": ceiling(self.runs, self.delta, self.bounds.error),
            "error_rate": self.bounds.error,
            "threshold": self.bounds.threshold,
            "runs": self.runs,
            "verdict": "refuted" if self.refuted else "not refuted",
        }


def play(
    game: Game, rng: np.random.Generator, runs: int = RUNS, error: float = 0.05
) -> AuditResult:
    """Play ``runs`` rounds of the game in each world and bound eps from below.

    Raises
    ------
    AccountingError
        For too few runs or an even number of records.
    """
    if game.records % 2 == 0:
        raise AccountingError(
            f"the crafted shard needs an odd number of records, got {game.records}"
        )
    shards = [game.shard(canary) for canary in (False, True)]
    direction = game.record / np.sqrt(np.add.reduce(game.record * game.record))
    scores = [np.empty(runs), np.empty(runs)]
    for start in range(0, runs, CHUNK):
        stop = min(start + CHUNK, runs)
        for world, shard in enumerate(shards):
            outcome = game.uploads(shard, rng, stop - start)
            scores[world][start:stop] = np.add.reduce(outcome * direction, axis=-1)
    bounds = lower_bounds(scores[0], scores[1], game.delta, error)
    return AuditResult(
        game.name, game.claimed_epsilon, game.delta, bounds, game.gaussian, runs, *scores
    )


def summary(result: AuditResult) -> str:
    """Return the verdict in one line."""
    found = asdict(result.bounds)
    return (
        f"{result.name}: claimed epsilon {result.claimed_epsilon:g} at delta {result.delta:g}; "
        f"{result.runs:,} runs a world prove at least {found['epsilon']:.3g}: "
        f"{'REFUTED' if result.refuted else 'not refuted'}"
    )
