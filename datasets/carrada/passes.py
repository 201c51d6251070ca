"""Annotated passes: the stretches of a sequence in which there is something to see.

43 % of CARRADA's frames have no object and are worth nothing, so an episode of the market is a
pass. Devices see frames next to each other of the same scene (frames are 0.1 s apart).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.carrada.reader import Carrada
from datasets.errors import DataError


@dataclass(frozen=True)
class Pass:
    """Consecutive annotated frames of a sequence.

    Parameters
    ----------
    sequence
        Its name.
    first
        Position of the first frame among all frames of the sequence.
    frames
        How many there are.
    """

    sequence: str
    first: int
    frames: int


def passes(root: Carrada) -> tuple[Pass, ...]:
    """Return all annotated passes of a root, in the order of its sequences.

    Raises
    ------
    DataError
        If there is none.
    """
    found: list[Pass] = []
    for sequence in root.sequences:
        start = None
        names = root.frames(sequence)
        for position in range(len(names) + 1):
            seen = position < len(names) and bool(root.frame(sequence, names[position]).objects)
            if seen and start is None:
                start = position
            elif not seen and start is not None:
                found.append(Pass(sequence, start, position - start))
                start = None
    if not found:
        raise DataError(
            f"{root.root}: no frame of it has an object: a market has nothing to sell there; "
            "name a root with annotations"
        )
    return tuple(found)


def choose_passes(
    found: Sequence[Pass], episodes: int, steps: int, rng: np.random.Generator
) -> tuple[Pass, ...]:
    """Choose a scene for every episode, each from another sequence as far as they go.

    Parameters
    ----------
    found
        Of :func:`passes`.
    episodes, steps
        Episodes, and time-steps in each.
    rng
        Decides the order.

    Returns
    -------
    tuple of Pass
        One for each episode: the longest of its sequence, cut to ``steps`` frames from a drawn
        start. A pass with fewer frames keeps them all; sequences whose passes are too short are
        used only if there is no other.
    """
    longest: dict[str, Pass] = {}
    for each in found:
        known = longest.get(each.sequence)
        if known is None or each.frames > known.frames:
            longest[each.sequence] = each
    enough = [each for each in longest.values() if each.frames >= steps] or list(longest.values())
    order = rng.permutation(len(enough))
    chosen = []
    for episode in range(episodes):
        scene = enough[int(order[episode % len(enough)])]
        spare = max(scene.frames - steps, 0)
        start = scene.first + int(rng.integers(spare + 1))
        chosen.append(Pass(scene.sequence, start, min(scene.frames, steps)))
    return tuple(chosen)


def position_at(scene: Pass, step: int, steps: int) -> int:
    """Return the position in its sequence of the frame of a time-step.

    A pass shorter than the episode is slowed down: frames repeat.
    """
    return scene.first + step * scene.frames // max(steps, scene.frames)
