"""When an attacker attacks; in between it is honest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from strategies.trust.settings import TrustError

Kind = Literal["always", "probability", "episode", "from"]
_EPISODE = 5


@dataclass(frozen=True)
class Schedule:
    """When an attacker attacks.

    Attributes
    ----------
    kind : {"always", "probability", "episode", "from"}
        ``probability``: each round anew with probability ``value``; ``episode``: the same, but
        drawn once for ``length`` rounds; ``from``: honest before round ``value`` (a sleeper).
    value : float
        Probability, or the first round of the attack.
    length : int
        Rounds of an episode.
    """

    kind: Kind = "always"
    value: float = 1.0
    length: int = _EPISODE

    def __post_init__(self) -> None:
        """Refuse what is no schedule.

        Raises
        ------
        TrustError
            With one line: what, why, what to do.
        """
        if self.kind not in ("always", "probability", "episode", "from"):
            raise TrustError(
                f"unknown schedule {self.kind!r}: use always, probability:P, episode:P or from:R"
            )
        if self.kind in ("probability", "episode") and not 0 <= self.value <= 1:
            raise TrustError(f"schedule probability is {self.value}: it must lie in 0..1")
        if self.kind == "from" and not (self.value >= 1 and self.value == int(self.value)):
            raise TrustError(f"schedule from:{self.value}: name a round, the first is 1")
        if self.length < 1:
            raise TrustError(f"an episode has {self.length} rounds: it must have at least one")

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read ``always``, ``probability:0.3``, ``episode:0.5`` or ``from:5``.

        Raises
        ------
        TrustError
            When it is none of these.
        """
        kind, colon, value = text.partition(":")
        try:
            number = float(value) if colon else 1.0
        except ValueError:
            raise TrustError(f"schedule {text!r}: {value!r} is not a number") from None
        return cls(kind, number)  # type: ignore[arg-type]  # checked in __post_init__

    def draw(self, round_: int) -> int:
        """Return the number of the draw that decides about a round: its own, or its episode's."""
        return (round_ - 1) // self.length + 1 if self.kind == "episode" else round_

    def active(self, round_: int, uniform: float) -> bool:
        """Return whether an attacker attacks.

        Parameters
        ----------
        round_ : int
            The first is 1.
        uniform : float
            In [0, 1): the attacker's own draw of number :meth:`draw`.
        """
        if self.kind == "from":
            return round_ >= self.value
        return self.kind == "always" or uniform < self.value
