"""What deliveries of the market are made of: the part of the twin that differs by ``--market``."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from flwr.app import Message
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Medium(Protocol):
    """How deliveries are read, compared and fused; a delivery is whatever ``read`` returns."""

    @property
    def cubes(self) -> int:
        """Return K."""

    def read(self, reply: Message) -> Any:
        """Return the delivery of a reply that was judged."""

    def covers(self, deliveries: Sequence[Any]) -> NDArray[np.bool_]:
        """Return which delivery covers which cube, shape (K, n)."""

    def similarity(self, deliveries: Sequence[Any]) -> FloatArray:
        """Return how alike deliveries are in each cube, shape (K, n, n)."""

    def fuse(
        self,
        deliveries: Sequence[Any],
        similarity: FloatArray,
        weights: FloatArray,
        ties: FloatArray,
    ) -> FloatArray:
        """Return the vector that is broadcast."""
