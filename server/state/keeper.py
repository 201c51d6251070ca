"""What the round loop needs of whoever keeps its rounds; by itself it keeps nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from flwr.app import ArrayRecord
from flwr.serverapp import Grid

from server.registry import Registry

if TYPE_CHECKING:
    from server.loop import RoundRecord
    from server.state.charges import Charges

ChargesOf = Callable[["RoundRecord"], "Charges"]
"""What a round adds to accounts."""


@dataclass(frozen=True)
class Progress:
    """How far a run had come.

    Parameters
    ----------
    arrays : ArrayRecord
        The last broadcast model.
    records : list of RoundRecord
        One a round, from round 0.
    seconds : float
        Wall time spent on them.
    """

    arrays: ArrayRecord
    records: list["RoundRecord"]
    seconds: float


class Keeper(Protocol):
    """Keeps a run round by round, and gives it back.

    Parts that are :class:`~strategies.wrappers.state.Stateful` are kept as they are after each
    round, those that are a :class:`~strategies.wrappers.state.Journal` by what they learnt.
    """

    @property
    def run_name(self) -> str:
        """Return the run's lasting name, empty when nobody keeps it."""

    @property
    def secret(self) -> bytes:
        """Return what the run's nonces are made from, empty when nobody keeps it."""

    def prepare(self, grid: Grid) -> None:
        """Put clients that live in this process back to where they were, before any message."""

    def resume(
        self, registry: Registry, parts: Mapping[str, object], charges: ChargesOf | None = None
    ) -> Progress | None:
        """Put every part back to where it was; None when the run begins."""

    def keep(self, arrays: ArrayRecord, record: "RoundRecord", seconds: float) -> None:
        """Keep a round that has just ended, with the state of every part."""

    def close(self) -> None:
        """Let go of whatever is held open."""


class KeepsNothing:
    """The keeper of a run that need not survive its process."""

    run_name = ""
    secret = b""

    def prepare(self, grid: Grid) -> None:
        """Do nothing."""

    def resume(
        self, registry: Registry, parts: Mapping[str, object], charges: ChargesOf | None = None
    ) -> Progress | None:
        """Return None: every run begins."""

    def keep(self, arrays: ArrayRecord, record: "RoundRecord", seconds: float) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


NOTHING_KEPT = KeepsNothing()
