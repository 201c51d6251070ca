"""Deliveries of CARRADA payloads: decoded scenes, compared by mask and objects, fused by cube."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import numpy as np
from flwr.app import ConfigRecord, Message
from numpy.typing import NDArray

from datasets.carrada.payload import Payload, decode
from datasets.carrada.scene import Scene
from strategies.twin.fusion import Deliveries, Method, Twin, covers_of, empty_twin, fuse
from strategies.twin.grid import Grid
from strategies.twin.similarity import similarities
from strategies.wrappers.market_messages import MASK, METADATA
from strategies.wrappers.medium import FloatArray


@dataclass
class PayloadMedium:
    """How payloads are read, compared and fused.

    Parameters
    ----------
    grid : Grid
        The twin's cubes.
    method : {"medoid", "vote", "union"}
        What the twin shows of a cube.
    """

    grid: Grid
    method: Method = "medoid"
    twin: Twin = field(init=False)

    def __post_init__(self) -> None:
        """Start from a twin of which nothing is known."""
        self.twin = empty_twin(self.grid)

    @property
    def cubes(self) -> int:
        """Return K."""
        return self.grid.cubes

    def read(self, reply: Message) -> Scene:
        """Return the scene of a reply that was judged."""
        return scene_of_payload(payload_of(reply))

    def covers(self, deliveries: Sequence[Scene]) -> NDArray[np.bool_]:
        """Return the cubes that each device vouches for, shape (K, n)."""
        return covers_of(deliveries, self.grid).T

    def similarity(self, deliveries: Sequence[Scene]) -> FloatArray:
        """Return how far masks and objects agree in each cube, shape (K, n, n)."""
        return similarities(deliveries, self.grid)

    def fuse(
        self,
        deliveries: Sequence[Scene],
        similarity: FloatArray,
        weights: FloatArray,
        ties: FloatArray,
    ) -> FloatArray:
        """Return the fused twin as a vector."""
        covers = covers_of(deliveries, self.grid)
        found = Deliveries(deliveries, covers, weights, ties)
        self.twin = fuse(found, self.grid, self.method, similarity)
        return np.ascontiguousarray(self.twin.as_array().ravel())


def payload_of(reply: Message) -> Payload:
    """Return the two parts of a delivered payload."""
    record = next(r for r in reply.content.values() if isinstance(r, ConfigRecord))
    return Payload(cast(bytes, record[MASK]), cast(bytes, record[METADATA]))


@lru_cache(maxsize=256)
def scene_of_payload(payload: Payload) -> Scene:
    """Decode a payload, checking everything in it; judged, appraised and fused from one decoding.

    Raises
    ------
    datasets.carrada.errors.PayloadError
        For every fault in it.
    """
    scene = decode(payload.mask_png, payload.metadata)
    scene.mask.flags.writeable = False
    return scene
