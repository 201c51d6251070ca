"""The grid of K cubes over range, azimuth and Doppler.

Lotfi et al., "A Reputation-based approach for the vehicular Metaverse", Section III.C: feedback
refers to the cubes of a three-dimensional grid. The paper leaves its size open; ours is 2 x 2 x 2.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from datasets.carrada import axes
from strategies.twin.errors import TwinError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MAX_CUBES = 63
"""So that a set of cubes is a non-negative 64-bit integer."""


@dataclass(frozen=True)
class Grid:
    """Cubes in row-major order: range slowest, Doppler fastest.

    Parameters
    ----------
    range_edges, azimuth_edges, doppler_edges
        Ascending edges of the slices in metres, radians and m/s; what lies beyond the outermost
        belongs to the outermost slice.
    """

    range_edges: tuple[float, ...]
    azimuth_edges: tuple[float, ...]
    doppler_edges: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse edges that do not ascend, and more cubes than a set of bits holds."""
        for name, edges in zip(("range", "azimuth", "Doppler"), self.edges, strict=True):
            finite = np.all(np.isfinite(edges))
            if len(edges) < 2 or not finite or any(b <= a for a, b in pairwise(edges)):  # noqa: PLR2004
                raise TwinError(f"{name} edges {edges} must ascend, two or more of them")
        if self.cubes > MAX_CUBES:
            raise TwinError(f"{self.cubes} cubes are too many, at most {MAX_CUBES}")

    @classmethod
    def uniform(cls, ranges: int = 2, azimuths: int = 2, dopplers: int = 2) -> "Grid":
        """Cut the radar's field of view into equal slices.

        Parameters
        ----------
        ranges, azimuths, dopplers
            Slices along each axis, at least 1.

        Raises
        ------
        TwinError
            If there is an axis without slices, or more than `MAX_CUBES` cubes.
        """
        counts = (ranges, azimuths, dopplers)
        if min(counts) < 1 or ranges * azimuths * dopplers > MAX_CUBES:
            raise TwinError(f"a grid of {counts} cubes: want 1 to {MAX_CUBES}, 1 or more an axis")
        return cls(
            _cut(0.0, axes.MAX_RANGE, ranges),
            _cut(-axes.MAX_AZIMUTH, axes.MAX_AZIMUTH, azimuths),
            _cut(-axes.MAX_SPEED, axes.MAX_SPEED, dopplers),
        )

    @property
    def edges(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """Edges on range, azimuth and Doppler."""
        return self.range_edges, self.azimuth_edges, self.doppler_edges

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices on range, azimuth and Doppler."""
        ranges, azimuths, dopplers = (len(edges) - 1 for edges in self.edges)
        return ranges, azimuths, dopplers

    @property
    def cubes(self) -> int:
        """Number of cubes, K."""
        ranges, azimuths, dopplers = self.shape
        return ranges * azimuths * dopplers

    def slices(self, values: Floats, axis: int) -> NDArray[np.intp]:
        """Return the slice of each value along an axis (0 range, 1 azimuth, 2 Doppler)."""
        return np.searchsorted(np.array(self.edges[axis])[1:-1], values, side="right")

    def locate(self, positions: Floats) -> NDArray[np.intp]:
        """Return the cube in which each position lies.

        Parameters
        ----------
        positions
            (n, 3) metres, radians, m/s.

        Returns
        -------
        numpy.ndarray
            (n,) cubes 0..K-1.
        """
        along = [self.slices(positions[:, axis], axis) for axis in range(3)]
        return np.ravel_multi_index(tuple(along), self.shape)

    def cube_of(self, positions: Floats) -> Bools:
        """Return `locate` as rows of one True: (n, K)."""
        return np.asarray(self.locate(positions)[:, None] == np.arange(self.cubes))

    def cubes_from_bits(self, bits: int) -> Bools:
        """Return the set of cubes that the `covers` of a scene names, (K,)."""
        return np.array([bool(bits >> cube & 1) for cube in range(self.cubes)])

    def bits_from_cubes(self, cubes: Bools) -> int:
        """Return a set of cubes (K,) as the bits of `covers`."""
        return sum(1 << int(cube) for cube in np.flatnonzero(cubes))


def _cut(first: float, last: float, slices: int) -> tuple[float, ...]:
    return tuple(np.linspace(first, last, slices + 1).tolist())
