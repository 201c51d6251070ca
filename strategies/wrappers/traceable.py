"""What a strategy must tell so that a complaint can be traced to who delivered what."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Delivered:
    """The deliveries that went into what was broadcast in a round.

    Attributes
    ----------
    nodes : tuple of int, length n
        Who delivered.
    covers : ndarray of bool, shape (K, n)
        Which delivery covers which cube.
    similarity : ndarray of float64, shape (K, n, n)
        How alike two deliveries are in a cube, for Algorithm 1.
    """

    nodes: tuple[int, ...]
    covers: NDArray[np.bool_]
    similarity: NDArray[np.float64]


def nothing_delivered(cubes: int) -> Delivered:
    """Return a round in which nothing was delivered."""
    return Delivered((), np.zeros((cubes, 0), np.bool_), np.zeros((cubes, 0, 0)))


@runtime_checkable
class Traceable(Protocol):
    """A strategy that knows who is behind what it broadcast."""

    def delivered(self) -> Delivered:
        """Return the deliveries of the last round."""
