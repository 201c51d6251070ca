"""From delivered scenes to the twin: what is shown in each cube, and who it is taken from.

Three ways. `medoid` shows in each cube what one device delivered, whose delivery agrees most
with all others weighted by reputation, so that a complaint can be traced to whom was shown.
`vote` clusters objects and shows those that at least half of the cube's weight reports, `union`
all that anybody reports. The first two hide most lies of a minority from the users, who then have
nothing to complain of; `union` shows phantoms and wrong classes as soon as one device reports them,
but not what is hidden or moved away while another device still reports it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.scene import Scene
from strategies.twin.errors import TwinError
from strategies.twin.grid import Bools, Floats, Grid
from strategies.twin.similarity import closeness, similarities
from strategies.twin.table import CONFIDENCE, FIELDS, LABEL, POSITION, Stack, check_table, stack

MAX_OBJECTS = 8
"""Rows of a cube in the broadcast; more are left out, the best supported first."""
QUORUM = 0.5
"""Share of a cube's weight that must report an object for `vote` to show it."""
SAME_OBJECT = 0.1
"""Least closeness of two reports of one object: 2.1 units of `similarity.SCALES` apart."""

Method = Literal["medoid", "vote", "union"]


@dataclass(frozen=True)
class Twin:
    """What the server shows of one time-step.

    Parameters
    ----------
    objects
        (K, `MAX_OBJECTS`, 5) fused objects of each cube, columns `table.FIELDS`, label 0 for none.
    covered
        (K,) whether any device vouched for the cube; the rest is unknown, not empty.
    source
        (K,) index of the scene that is shown, -1 if none is or several were fused. Not broadcast.
    """

    objects: Floats
    covered: Bools
    source: NDArray[np.intp]

    def as_array(self) -> Floats:
        """Return the broadcast: (K, 1 + `MAX_OBJECTS`, 5), row 0 starting with `covered`."""
        head = np.zeros((len(self.covered), 1, len(FIELDS)))
        head[:, 0, 0] = self.covered
        return np.concatenate([head, self.objects], axis=1)

    @classmethod
    def from_array(cls, array: Floats, grid: Grid) -> "Twin":
        """Read a broadcast.

        Parameters
        ----------
        array
            What `as_array` gave.
        grid
            The grid of the run.

        Raises
        ------
        TwinError
            If its shape is not that of the grid, or it holds anything but objects.
        """
        if array.shape != broadcast_shape(grid):
            raise TwinError(f"broadcast twin has shape {array.shape}, not {broadcast_shape(grid)}")
        check_table(array[:, 1:])
        unknown = np.full(grid.cubes, -1, np.intp)
        return cls(array[:, 1:].astype(np.float64), array[:, 0, 0] > 0, unknown)

    def table(self) -> Floats:
        """Return all objects of the twin: (n, 5)."""
        rows = self.objects.reshape(-1, len(FIELDS))
        return rows[rows[:, LABEL] > 0]


@dataclass(frozen=True)
class Deliveries:
    """What the server has in hand when it builds the twin.

    Parameters
    ----------
    scenes
        S scenes.
    covers
        (S, K) cubes that each device vouched for; `covers_of` reads them from the scenes.
    weights
        (S,) non-negative: reputations, or ones.
    tie_break
        (S,) distinct numbers that decide between equals, a per-round hash.
    """

    scenes: Sequence[Scene]
    covers: Bools
    weights: Floats
    tie_break: Floats

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit the scenes, and weights that are none."""
        count = len(self.scenes)
        if {len(self.covers), len(self.weights), len(self.tie_break)} != {count}:
            raise TwinError(f"{count} scenes want as many covers, weights and ties")
        if not np.all(np.isfinite(self.weights)) or np.any(self.weights < 0):
            raise TwinError("weights of scenes must be finite and not negative")


def covers_of(scenes: Sequence[Scene], grid: Grid) -> Bools:
    """Return the cubes that each scene says it covers: (S, K)."""
    rows = [grid.cubes_from_bits(scene.covers) for scene in scenes]
    return np.array(rows, np.bool_).reshape(len(rows), grid.cubes)


def broadcast_shape(grid: Grid) -> tuple[int, int, int]:
    """Return the shape of `Twin.as_array`."""
    return grid.cubes, 1 + MAX_OBJECTS, len(FIELDS)


def empty_twin(grid: Grid) -> Twin:
    """Return the twin of which nothing is known yet."""
    objects = np.zeros((grid.cubes, MAX_OBJECTS, len(FIELDS)))
    return Twin(objects, np.zeros(grid.cubes, np.bool_), np.full(grid.cubes, -1, np.intp))


def fuse(
    delivered: Deliveries,
    grid: Grid,
    method: Method = "medoid",
    compared: Floats | None = None,
) -> Twin:
    """Fuse delivered scenes.

    Parameters
    ----------
    delivered
        S scenes with who covers what.
    grid
        K cubes.
    method
        `medoid`, `vote` or `union`.
    compared
        `similarity.similarities` of these scenes if the caller has them; only `medoid` needs them.

    Returns
    -------
    Twin
        Cubes that nobody vouched for are not covered.

    Raises
    ------
    TwinError
        If there is no such method, or the covers are of another grid.
    """
    if method not in get_args(Method):
        raise TwinError(f"unknown fusion {method!r}: choose from {', '.join(get_args(Method))}")
    twin = empty_twin(grid)
    if not delivered.scenes:
        return twin
    covers = delivered.covers
    if covers.shape[1] != grid.cubes:
        raise TwinError(f"covers name {covers.shape[1]} cubes, the grid has {grid.cubes}")
    stacked = stack(delivered.scenes, grid)
    source = twin.source
    if method == "medoid":
        alike = similarities(delivered.scenes, grid) if compared is None else compared
        source = medoids(alike, covers, delivered.weights, delivered.tie_break)
    for cube in np.flatnonzero(covers.any(axis=0)):
        if method == "medoid":
            found = stacked.table[(stacked.cube == cube) & (stacked.scene == source[cube])]
        else:
            quorum = QUORUM if method == "vote" else 0.0
            found = _voted(stacked, int(cube), covers[:, cube], delivered.weights, quorum)
        shown = found[:MAX_OBJECTS]
        twin.objects[cube, : len(shown)] = shown
    return Twin(twin.objects, np.asarray(covers.any(axis=0)), source)


def medoids(alike: Floats, covers: Bools, weights: Floats, tie_break: Floats) -> NDArray[np.intp]:
    """Return the scene that agrees most with the others in each cube.

    Parameters
    ----------
    alike
        (K, S, S) similarities.
    covers
        (S, K) which scenes count in which cube.
    weights
        (S,) weight of each scene's vote.
    tie_break
        (S,) distinct; the larger wins.

    Returns
    -------
    numpy.ndarray
        (K,) argmax over a of sum_b w_b s_k(a, b); -1 where no scene counts.
    """
    votes = covers.T * weights
    # Its own vote is in the sum: with two scenes the more trusted one is shown.
    scores = np.sum(alike * votes[:, None, :], axis=2)
    scores = np.where(covers.T, np.round(scores, 12), -np.inf)
    tied = scores == scores.max(axis=1, keepdims=True)
    winner = np.argmax(np.where(tied & covers.T, tie_break, -np.inf), axis=1)
    return np.asarray(np.where(covers.any(axis=0), winner, -1))


def _voted(stacked: Stack, cube: int, covering: Bools, weights: Floats, quorum: float) -> Floats:
    """Return the objects of a cube that a quorum reports, best supported first."""
    total = float(weights[covering].sum())
    trusted = covering[stacked.scene]
    left = np.flatnonzero((stacked.cube == cube) & trusted)
    table, votes = stacked.table, weights[stacked.scene]
    found: list[tuple[float, Floats]] = []
    while left.size and total > 0:
        # Reports may lie beyond the wall of the cube; they support, but are fused over there.
        close = (closeness(table[left], table) >= SAME_OBJECT) & trusted
        supporters = [np.unique(stacked.scene[row]) for row in close]
        support = np.array([weights[scenes].sum() / total for scenes in supporters])
        seed = int(np.argmax(support))
        members = left[close[seed, left]]
        if support[seed] >= quorum:
            found.append((float(support[seed]), _mean(table[members], votes[members])))
        left = np.setdiff1d(left, members)
    found.sort(key=lambda entry: -entry[0])
    return np.array([row for _, row in found]).reshape(-1, len(FIELDS))


def _mean(members: Floats, votes: Floats) -> Floats:
    """Average positions by weight; all members have one class."""
    share = votes / votes.sum() if votes.sum() > 0 else np.full(len(votes), 1 / len(votes))
    mean: Floats = np.sum(members * share[:, None], axis=0)
    mean[LABEL] = members[0, LABEL]
    mean[CONFIDENCE] = min(mean[CONFIDENCE], 1.0)
    return mean


def occupied(table: Floats, grid: Grid) -> Bools:
    """Return which cubes hold an object of a table: (K,)."""
    return np.asarray(grid.cube_of(table[:, POSITION]).any(axis=0))
