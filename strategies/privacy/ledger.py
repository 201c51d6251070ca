"""The privacy ledger of one clinic's data: what each round cost, against whom, and the limit.

A pure value: :meth:`Ledger.charged` returns a new ledger. Costs add up over runs on the same
data, exactly for Gaussian releases and by PLD once sampled ones are among them. A repeated
(run, round, broadcast) is the same release and costs nothing twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, isfinite
from typing import Any, Self

from strategies.privacy.accounting import (
    AccountingError,
    SampledRelease,
    compose,
    epsilon_of_releases,
)
from strategies.privacy.gaussian import check_delta

Key = tuple[str, int, str]
RATING = "rating:"
"""What the broadcast of a charge begins with that is no upload but a rating of that broadcast."""


class PrivacyBudgetExhausted(RuntimeError):
    """A clinic refuses an upload that would pass its own limit; the message is one line."""


@dataclass(frozen=True)
class Charge:
    """What one upload, or one noised rating, of a clinic costs.

    Parameters
    ----------
    run : str
        Name of the run.
    round_ : int
        Its round.
    broadcast : str
        Hash of the broadcast model that was answered.
    mus : mapping of str to float
        mu of the round by adversary (:meth:`Release.round_mus`), from a proven sensitivity.
    sampled : SampledRelease, optional
        Instead of ``mus`` for a round of DP-SGD; the same for every adversary.
    """

    run: str
    round_: int
    broadcast: str
    mus: Mapping[str, float] = field(default_factory=dict)
    sampled: SampledRelease | None = None

    @property
    def key(self) -> Key:
        """Return what identifies the release."""
        return (self.run, self.round_, self.broadcast)

    @property
    def is_upload(self) -> bool:
        """Return whether this paid for an upload, not for a rating."""
        return not self.broadcast.startswith(RATING)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; an infinite mu (no noise) is null."""
        release = self.sampled
        return {
            "run": self.run,
            "round": self.round_,
            "broadcast": self.broadcast,
            "mus": {name: mu if isfinite(mu) else None for name, mu in self.mus.items()},
            "sampled": None
            if release is None
            else [release.noise_multiplier, release.sample_rate, release.steps],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the charge that :meth:`as_dict` wrote."""
        mus = {
            name: float("inf") if mu is None else float(mu) for name, mu in values["mus"].items()
        }
        sampled = values["sampled"]
        release = None if sampled is None else SampledRelease(*sampled)
        return cls(values["run"], int(values["round"]), values["broadcast"], mus, release)


@dataclass(frozen=True)
class Budget:
    """A clinic's own limits, whatever the server asks for.

    Parameters
    ----------
    delta : float
        Delta at which the limit is read.
    max_epsilon : float, optional
        Most eps against a curious server over all runs on the data; None is no limit.
    max_uploads : int, optional
        Most uploads in one run; None is no limit.

    Raises
    ------
    AccountingError
        For a limit that allows nothing or is no number.
    """

    delta: float
    max_epsilon: float | None = None
    max_uploads: int | None = None

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        check_delta(self.delta)
        if self.max_epsilon is not None and not self.max_epsilon > 0:
            raise AccountingError(f"max epsilon must be above 0, got {self.max_epsilon}")
        if self.max_uploads is not None and self.max_uploads < 0:
            raise AccountingError(f"max uploads must be at least 0, got {self.max_uploads}")


@dataclass(frozen=True)
class Ledger:
    """All charges on one clinic's data, in order."""

    charges: tuple[Charge, ...] = ()

    def has(self, key: Key) -> bool:
        """Return whether this release was charged already."""
        return any(charge.key == key for charge in self.charges)

    def uploads(self, run: str | None = None) -> int:
        """Return the number of uploads, of one run or in all."""
        return sum(c.is_upload and run in (None, c.run) for c in self.charges)

    def ratings(self, run: str | None = None) -> int:
        """Return the number of noised ratings, of one run or in all."""
        return sum(not c.is_upload and run in (None, c.run) for c in self.charges)

    def epsilon(self, adversary: str, delta: float, run: str | None = None) -> float:
        """Return the eps spent against ``adversary``, in one run or in all (replace-one)."""
        charges = [charge for charge in self.charges if run is None or charge.run == run]
        mu = compose(charge.mus[adversary] for charge in charges if charge.sampled is None)
        sampled = [charge.sampled for charge in charges if charge.sampled is not None]
        return epsilon_of_releases(mu, sampled, delta)

    def charged(self, charge: Charge, budget: Budget | None = None) -> Self:
        """Return the ledger with one more upload; itself when that release is known.

        Raises
        ------
        PrivacyBudgetExhausted
            When the upload would pass the budget; nothing is charged then.
        """
        if self.has(charge.key):
            return self
        after = type(self)((*self.charges, charge))
        if budget is not None:
            after._check(charge, budget)
        return after

    def marginal_epsilon(self, charge: Charge, adversary: str, delta: float) -> float:
        """Return how much eps one more upload adds: what a clinic may ask to be paid for."""
        after = self.charged(charge).epsilon(adversary, delta)
        return max(0.0, after - self.epsilon(adversary, delta))

    def _check(self, charge: Charge, budget: Budget) -> None:
        uploads = self.uploads(charge.run)
        most = budget.max_uploads if charge.is_upload else None
        if most is not None and uploads > most:
            raise PrivacyBudgetExhausted(
                f"upload {uploads} of run {charge.run} refused: this clinic allows "
                f"{most} a run; raise max_uploads at the clinic to go on"
            )
        if budget.max_epsilon is None:
            return
        spent = self.epsilon("server", budget.delta)
        if spent > budget.max_epsilon:
            raise PrivacyBudgetExhausted(
                f"round {charge.round_} of run {charge.run} refused: it would bring epsilon "
                f"against a curious server to {spent:.4g}, this clinic allows "
                f"{budget.max_epsilon:g} at delta {budget.delta:g} over all runs on this data"
            )

    def as_list(self) -> list[dict[str, Any]]:
        """Return all charges as JSON values."""
        return [charge.as_dict() for charge in self.charges]

    @classmethod
    def from_list(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """Return the ledger that :meth:`as_list` wrote."""
        return cls(tuple(Charge.from_dict(row) for row in rows))


def privacy_price(epsilon: float, micro_credits_per_epsilon: int) -> int:
    """Return the price of ``epsilon`` in whole micro-credits, rounded up.

    The bid and the payment call this with the number that the ledger is charged.

    Raises
    ------
    AccountingError
        For an unbounded or negative eps, which has no price.
    """
    if not (isfinite(epsilon) and epsilon >= 0):
        raise AccountingError(f"epsilon {epsilon} has no price: a release without noise is refused")
    return ceil(Fraction(epsilon) * micro_credits_per_epsilon)
