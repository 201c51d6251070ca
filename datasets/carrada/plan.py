"""What the generated sequences are about: who is in which frame.

The counts are those measured on the real annotations: 30 sequences, 12,666 frames, 8,750 objects.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.carrada.objects import LABELS

FIRST_FRAME = 4
"""Real sequences begin at frame 000004."""
ANNOTATED_SHARE = 0.568
MAX_PASSES = 4
_GAP = 5
"""Fewest empty frames around a pass."""
_SHORTEST_PASS = 30


@dataclass(frozen=True)
class Scenario:
    """A kind of scene.

    Parameters
    ----------
    classes
        One or two class names.
    shares
        Annotated frames in which each of them is seen, as a fraction of all annotated ones.
    lengths
        Frames of each sequence of the kind.
    """

    classes: tuple[str, ...]
    shares: tuple[float, ...]
    lengths: tuple[int, ...]


SCENARIOS = (
    Scenario(("car",), (1.0,), (157, 180, 200, 215, 230, 250, 262, 285, 310)),
    Scenario(("car", "car"), (1.0, 0.270), (300, 345, 400)),
    Scenario(("pedestrian", "pedestrian"), (1.0, 0.242), (755, 1000, 1017)),
    Scenario(("pedestrian", "cyclist"), (0.473, 0.800), (450, 600, 720, 900)),
    Scenario(("cyclist", "car"), (0.3466, 0.9023), (240, 265, 285, 300, 320, 325, 335, 360, 400)),
    Scenario(("pedestrian", "car"), (0.790, 0.489), (560, 700)),
)


@dataclass(frozen=True)
class Visit:
    """An object that is seen in consecutive frames `first` .. `first + frames - 1`."""

    label: int
    first: int
    frames: int


@dataclass(frozen=True)
class SequencePlan:
    """One sequence: its name, its frames and who visits it."""

    name: str
    frames: int
    split: str
    visits: tuple[Visit, ...]

    @property
    def frame_ids(self) -> tuple[str, ...]:
        """Six digits of every frame."""
        return tuple(f"{FIRST_FRAME + i:06d}" for i in range(self.frames))


def plan_sequences(rng: np.random.Generator) -> tuple[SequencePlan, ...]:
    """Lay out the 30 sequences.

    Parameters
    ----------
    rng
        Stream that decides annotated shares, passes and the order of the sequences.

    Returns
    -------
    tuple of SequencePlan
        In the order of their names, scenarios mixed.
    """
    kinds = [(scenario, length) for scenario in SCENARIOS for length in scenario.lengths]
    lengths = np.array([length for _, length in kinds])
    annotated = _annotated_frames(lengths, rng)
    plans = []
    for position, which in enumerate(rng.permutation(len(kinds)).tolist()):
        scenario, length = kinds[which]
        visits = _visits(scenario, length, int(annotated[which]), rng)
        # Dates before the recordings, so that nobody takes a generated sequence for a real one.
        name = f"2000-01-{position + 1:02d}-12-00-00"
        split = ("Train", "Train", "Train", "Validation", "Test")[position % 5]
        plans.append(SequencePlan(name, length, split, visits))
    return tuple(plans)


def _annotated_frames(lengths: NDArray[np.int_], rng: np.random.Generator) -> NDArray[np.int_]:
    share = ANNOTATED_SHARE * rng.uniform(0.88, 1.12, lengths.size)
    share *= ANNOTATED_SHARE * lengths.sum() / np.sum(share * lengths)
    return np.rint(share * lengths).astype(np.int_)


def _visits(
    scenario: Scenario, length: int, annotated: int, rng: np.random.Generator
) -> tuple[Visit, ...]:
    passes = int(rng.integers(1, max(1, min(MAX_PASSES, annotated // _SHORTEST_PASS)) + 1))
    sizes = _split(annotated, passes, _SHORTEST_PASS, rng)
    gaps = _split(length - annotated, passes + 1, _GAP, rng)
    labels = [LABELS[name] for name in scenario.classes]
    visits: list[Visit] = []
    start = 0
    for gap, size in zip(gaps, sizes, strict=False):
        start += gap
        # The first comes with the pass, the second leaves with it: the overlap has both.
        counts = [max(1, round(share * size)) for share in scenario.shares]
        visits.append(Visit(labels[0], start, counts[0]))
        if len(labels) > 1:
            visits.append(Visit(labels[1], start + size - counts[1], counts[1]))
        start += size
    return tuple(visits)


def _split(total: int, parts: int, least: int, rng: np.random.Generator) -> list[int]:
    """Split a count at random into parts of at least `least` (less if it does not suffice)."""
    least = min(least, total // parts)
    cuts = np.sort(rng.integers(0, total - parts * least + 1, parts - 1))
    edges = np.concatenate([[0], cuts, [total - parts * least]])
    return [int(size) for size in np.diff(edges) + least]
