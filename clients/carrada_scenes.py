"""What there is to see in a round of the payload market: the frames behind it.

Devices of an experiment share one CARRADA root and look at frames next to each other; users see
the frame itself. A device on its own machine would read its own sensors here.
"""

from dataclasses import replace
from functools import lru_cache

from datasets.carrada.generator import cached_root
from datasets.carrada.objects import Frame
from datasets.carrada.passes import Pass, choose_passes, passes, position_at
from datasets.carrada.reader import Carrada, open_root
from datasets.carrada.scene import Scene, scene_of
from datasets.carrada.value import detector_confidences
from strategies.market_settings import cubes_of
from strategies.market_world import device_part, moment
from strategies.randomness import Purpose, generator
from strategies.settings import Settings
from strategies.twin.coverage import covered_scene
from strategies.twin.grid import Grid

NEIGHBOURS = 1
"""Frames by which a device's camera may be before or behind the users'."""
STALE_FRAMES = (10, 30)
"""How old stale data are: 1 to 3 s."""


@lru_cache(maxsize=64)
def grid_of(settings: Settings) -> Grid:
    """Return the cubes of the twin."""
    return Grid.uniform(*cubes_of(settings))


@lru_cache(maxsize=4)
def root_of(data: str) -> Carrada:
    """Return the CARRADA root at a path, or the generated one.

    Raises
    ------
    datasets.errors.DataError
        If there is no CARRADA root at the path.
    """
    return open_root(data or cached_root())


@lru_cache(maxsize=4)
def _passes_of(data: str) -> tuple[Pass, ...]:
    return passes(root_of(data))


@lru_cache(maxsize=16)
def episodes_of(settings: Settings) -> tuple[Pass, ...]:
    """Return the scene of every episode of a run.

    Raises
    ------
    datasets.errors.DataError
        If the root has nothing to show.
    """
    episodes = -(-settings.rounds // settings.episode_length)
    rng = generator(settings.seed, Purpose.EPISODES)
    return choose_passes(_passes_of(settings.data), episodes, settings.episode_length, rng)


def true_frame(settings: Settings, server_round: int, shift: int = 0) -> Frame:
    """Return the frame of a round, or one so many frames later in its sequence."""
    episode, step = moment(settings, server_round)
    scene = episodes_of(settings)[episode]
    root = root_of(settings.data)
    names = root.frames(scene.sequence)
    at = position_at(scene, step, settings.episode_length) + shift
    return root.frame(scene.sequence, names[min(max(at, 0), len(names) - 1)])


def seen_scene(settings: Settings, device: int, server_round: int, age: int = 0) -> Scene:
    """Return what a device sees of a round's frame: its cubes, its detector's confidence.

    Parameters
    ----------
    settings : Settings
        Of the run.
    device : int
        0..N-1.
    server_round : int
        From 1.
    age : int
        How many frames earlier it looked.
    """
    episode, step = moment(settings, server_round)
    camera = generator(settings.seed, Purpose.CAMERA, device, episode)
    shift = int(camera.integers(-NEIGHBOURS, NEIGHBOURS + 1))
    frame = true_frame(settings, server_round, shift - age)
    detector = generator(settings.seed, Purpose.DETECTOR, device, server_round)
    # Rounded as they travel, so that device and server value a scene equally.
    sure = [round(value, 4) for value in detector_confidences(frame.objects, detector)]
    covers = device_part(settings, device, episode).covers[step]
    return covered_scene(scene_of(frame, sure), covers, grid_of(settings))


def older_scene(settings: Settings, device: int, server_round: int, age: int) -> Scene | None:
    """Return what a device saw some frames ago, None at the beginning of the sequence."""
    now = seen_scene(settings, device, server_round)
    then = seen_scene(settings, device, server_round, age)
    return replace(then, covers=now.covers) if then.captured_ms < now.captured_ms else None
