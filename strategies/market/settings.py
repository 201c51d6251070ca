"""Settings of the synthetic market and the two sets the targets are stated for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from strategies.reputation import ReputationSettings

TYPES = (1, 2, 3)
WHOLE_EPISODE_TYPE = 3


class MarketError(ValueError):
    """A market setting that cannot be used."""


@dataclass(frozen=True)
class MarketSettings:
    """A market of N devices and M users over a grid of K cubes.

    The defaults are the paper's section IV where it states a value; the rest is open there.

    Attributes
    ----------
    devices, users, cubes : int
        N, M and K.
    channels : int
        B, channels on offer a time-step.
    episodes, steps : int
        Episodes, and time-steps in each; a time-step is a round.
    cover, visit : float
        Probability that a device covers a cube, and that a user visits one, drawn every step.
    attack : tuple of float
        p of types 1 and 2 (a step) and of type 3 (a whole episode).
    value_range, cost_range : tuple of int
        Half-open ranges of micro-credits that values and costs are drawn from.
    size_range : tuple of int
        Fewest and most channels of an offer, both included.
    pair_rule : {"reputation", "coin"}
        How Algorithm 1 decides between two devices.
    discount : bool
        Whether the auction weighs a value by reputation.
    reputation : ReputationSettings
    """

    devices: int = 20
    users: int = 20
    cubes: int = 8
    channels: int = 20
    episodes: int = 10
    steps: int = 50
    cover: float = 0.3
    visit: float = 0.5
    attack: tuple[float, float, float] = (0.05, 0.5, 0.5)
    value_range: tuple[int, int] = (500_000, 1_500_000)
    cost_range: tuple[int, int] = (100_000, 500_000)
    size_range: tuple[int, int] = (1, 4)
    pair_rule: Literal["reputation", "coin"] = "reputation"
    discount: bool = False
    reputation: ReputationSettings = field(default_factory=ReputationSettings)

    @property
    def rounds(self) -> int:
        """Time-steps in all."""
        return self.episodes * self.steps

    def __post_init__(self) -> None:
        """Refuse a market that cannot run.

        Raises
        ------
        MarketError
            With one line: what, why, what to do.
        """
        for name in ("devices", "users", "cubes", "channels", "episodes", "steps"):
            if getattr(self, name) < 1:
                raise MarketError(f"{name} is {getattr(self, name)}: a market needs at least 1")
        rates = {"cover": (self.cover,), "visit": (self.visit,), "attack": self.attack}
        for name, probabilities in rates.items():
            if not all(0 <= p <= 1 for p in probabilities):
                raise MarketError(f"{name} is {getattr(self, name)}: probabilities lie in 0..1")
        if len(self.attack) != len(TYPES):
            raise MarketError(f"attack has {len(self.attack)} probabilities: give one per type, 3")
        if self.pair_rule not in ("coin", "reputation"):
            raise MarketError(f"pair_rule is {self.pair_rule!r}: use 'coin' or 'reputation'")
        for name in ("value_range", "cost_range"):
            low, high = getattr(self, name)
            if not 0 <= low < high:
                raise MarketError(f"{name} is {low}..{high}: it must rise from 0 or more")
        if not 1 <= self.size_range[0] <= self.size_range[1]:
            raise MarketError(f"size_range is {self.size_range}: it must rise from 1 or more")


SET_A = MarketSettings(cover=0.3, reputation=ReputationSettings(fading=0.8))
SET_B = MarketSettings(cover=0.5, reputation=ReputationSettings(fading=0.72))
