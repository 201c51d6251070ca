"""A picture of the twin of one frame: the truth, what was delivered, what users saw, who paid.

Range over azimuth as a driver would read it, one marker for each object, the cubes' walls
between range and azimuth as lines. Doppler is written beside an object.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clients.attack_plan import MITM, STALE, TAMPER, attack_at
from clients.carrada_scenes import grid_of, true_frame
from clients.payload_delivery import sale_of
from datasets.carrada.objects import CLASSES
from federation.drawing import BLUE, GREEN, VERMILION, canvas, save
from server.market_ledger import Snapshot
from strategies.settings import Settings
from strategies.twin.grid import Floats, Grid
from strategies.twin.table import object_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {1: VERMILION, 2: BLUE, 3: GREEN}
MARKERS = {1: "o", 2: "^", 3: "s"}
ATTACKS = {STALE: "stale data", TAMPER: "tampering", MITM: "man in the middle"}
MOST_DELIVERIES = 6
_COLUMNS = 4


def draw_twin(settings: Settings, shot: Snapshot, path: Path) -> Path:
    """Draw one round of a payload market; return ``path``.

    Parameters
    ----------
    settings : Settings
        Of the run; the experimenter reads from them who attacked.
    shot : Snapshot
        The round.
    path : Path
        PNG to write.
    """
    names = sorted(shot.scenes, key=int)
    blamed = {name for _, name in shot.blamed}
    shown = sorted(names, key=lambda name: name not in blamed)[:MOST_DELIVERIES]
    shown = [name for name in names if name in shown]
    rows = ceil((len(shown) + 2) / _COLUMNS)
    figure, axes = canvas(rows, _COLUMNS, (4.0 * _COLUMNS, 3.9 * rows))
    grid = grid_of(settings)
    frame = true_frame(settings, shot.round)
    truth = object_table(frame.objects)
    _panel(axes.flat[0], truth, grid, "what is there, as users see it")
    _panel(axes.flat[1], shot.twin.table(), grid, "the twin that was broadcast")
    _cubes(axes.flat[1], grid, shot.complained)
    for axis, name in zip(axes.flat[2:], shown, strict=False):
        attack = attack_at(settings, int(name), shot.round)
        delivered = object_table(shot.scenes[name].objects)
        cubes = [cube for cube, who in shot.blamed if who == name]
        said = "honest" if attack is None else f"ATTACK: {ATTACKS[attack.kind]}"
        verdict = f", BLAMED for cube {', '.join(map(str, cubes))}" if cubes else ""
        _panel(axis, delivered, grid, f"device {name} delivered\n{said}{verdict}")
        _vouched(axis, grid, shot.scenes[name].covers)
        if attack is not None:
            _ghosts(axis, object_table(sale_of(settings, int(name), shot.round).seen.objects))
            axis.patch.set_facecolor("#FDECE6")
        if cubes:
            for spine in axis.spines.values():
                spine.set(visible=True, color=VERMILION, linewidth=2.5)
    for axis in list(axes.flat)[2 + len(shown) :]:
        axis.set_axis_off()
    left = len(names) - len(shown)
    more = f"; {left} more deliveries not shown" if left else ""
    title = (
        f"Round {shot.round}: frame {frame.frame} of {frame.sequence}, fusion {settings.fusion}. "
        f"Red cubes: complained of. Shaded: attacks, hollow: what the device saw{more}"
    )
    _legend(axes.flat[0])
    return save(figure, path, title)


def _panel(axis: "Axes", table: Floats, grid: Grid, title: str) -> None:
    for label, range_m, azimuth, speed, _ in table:
        kind = int(label)
        where = (float(np.rad2deg(azimuth)), float(range_m))
        axis.plot(*where, MARKERS[kind], color=COLOURS[kind], ms=9, mec="black", mew=0.6)
        axis.annotate(
            f"{CLASSES[kind]}\n{speed:+.1f} m/s",
            where,
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    for edge in grid.range_edges[1:-1]:
        axis.axhline(edge, color="grey", lw=0.8)
    for edge in grid.azimuth_edges[1:-1]:
        axis.axvline(float(np.rad2deg(edge)), color="grey", lw=0.8)
    axis.set(xlim=(-90, 90), ylim=(grid.range_edges[0], grid.range_edges[-1]))
    axis.set_xlabel("azimuth (degrees, left negative)", fontsize=8)
    axis.set_ylabel("range (m)", fontsize=8)
    axis.set_title(title, fontsize=9)
    axis.set_xticks([-90, -45, 0, 45, 90])
    axis.tick_params(labelsize=7)


def _ghosts(axis: "Axes", table: Floats) -> None:
    """Draw what a device saw before an attack changed it."""
    for label, range_m, azimuth, _, _ in table:
        where = (float(np.rad2deg(azimuth)), float(range_m))
        axis.plot(*where, MARKERS[int(label)], mfc="none", mec="grey", ms=13, mew=1.2)


def _cubes(axis: "Axes", grid: Grid, bits: int) -> None:
    """Shade the columns of cubes of which users complained, and name the cubes."""
    for (left, low, width, height), cubes in _columns(grid):
        named = [cube for cube in cubes if bits >> cube & 1]
        if named:
            from matplotlib.patches import Rectangle

            axis.add_patch(Rectangle((left, low), width, height, color=VERMILION, alpha=0.18, lw=0))
            text = f"complaint: cube {', '.join(map(str, named))}"
            axis.text(left + 2, low + height - 1, text, fontsize=7, va="top", color=VERMILION)


def _vouched(axis: "Axes", grid: Grid, bits: int) -> None:
    """Name the cubes that a device vouches for, in the corner of their column."""
    for (left, low, _, _), cubes in _columns(grid):
        named = [str(cube) for cube in cubes if bits >> cube & 1]
        text = f"covers {', '.join(named)}" if named else "not covered"
        axis.text(left + 2, low + 0.5, text, fontsize=6.5, color="grey", va="bottom")


def _columns(grid: Grid) -> Sequence[tuple[tuple[float, float, float, float], list[int]]]:
    """Return the rectangle on azimuth x range of each column of cubes, and the cubes in it."""
    dopplers = grid.shape[2]
    found: list[tuple[tuple[float, float, float, float], list[int]]] = []
    for r in range(grid.shape[0]):
        for a in range(grid.shape[1]):
            left, right = np.rad2deg(grid.azimuth_edges[a : a + 2]).clip(-90.0, 90.0).tolist()
            low, high = grid.range_edges[r : r + 2]
            first = (r * grid.shape[1] + a) * dopplers
            cubes = list(range(first, first + dopplers))
            found.append(((left, low, right - left, high - low), cubes))
    return found


def _legend(axis: Any) -> None:
    for kind, colour in COLOURS.items():
        axis.plot([], [], MARKERS[kind], color=colour, mec="black", mew=0.6, label=CLASSES[kind])
    axis.legend(fontsize=7, loc="upper right")
