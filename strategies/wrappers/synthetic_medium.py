"""Deliveries of the synthetic market: one token for each cube, what the device says is there.

Whoever sees the same thing has the same token, so that similarity is equality. The twin lists
every token that was delivered for a cube: a user who knows the true one sees each false one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from flwr.app import ConfigRecord, Message
from numpy.typing import NDArray

from strategies.wrappers.market_messages import BODY, TOKENS
from strategies.wrappers.medium import FloatArray

MAX_TOKEN = 2**53
"""Tokens lie below, so that they travel exactly in a float64 vector; 0: not covered."""


@dataclass(frozen=True, eq=False)
class TokenDelivery:
    """What one device delivered: a token for each cube, 0 where it saw nothing, and its size."""

    tokens: NDArray[np.int64]
    body_bytes: int


@dataclass(frozen=True)
class SyntheticMedium:
    """How tokens are read, compared and broadcast.

    Parameters
    ----------
    cubes : int
        K.
    """

    cubes: int

    def read(self, reply: Message) -> TokenDelivery:
        """Return the delivery of a reply that was judged."""
        record = next(r for r in reply.content.values() if isinstance(r, ConfigRecord))
        tokens = np.array(cast("list[int]", record[TOKENS]), np.int64)
        return TokenDelivery(tokens, len(cast(bytes, record[BODY])))

    def covers(self, deliveries: Sequence[TokenDelivery]) -> NDArray[np.bool_]:
        """Return which delivery has a token for which cube, shape (K, n)."""
        return np.asarray(_tokens(deliveries) > 0)

    def similarity(self, deliveries: Sequence[TokenDelivery]) -> FloatArray:
        """Return 1 where two tokens of a cube are equal, else 0, shape (K, n, n)."""
        tokens = _tokens(deliveries)
        return np.asarray(tokens[:, :, None] == tokens[:, None, :], dtype=np.float64)

    def fuse(
        self,
        deliveries: Sequence[TokenDelivery],
        similarity: FloatArray,
        weights: FloatArray,
        ties: FloatArray,
    ) -> FloatArray:
        """Return all tokens, one delivery after the other, shape (n K,)."""
        return np.asarray(_tokens(deliveries).T.ravel(), dtype=np.float64)


def _tokens(deliveries: Sequence[TokenDelivery]) -> NDArray[np.int64]:
    return np.stack([delivery.tokens for delivery in deliveries], axis=1)
