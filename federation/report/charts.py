"""Pictures of a page: inline SVG that takes the page's colours, in light and dark."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

from federation.drawing import COLOURS, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, LINES = "#123456", "#e5e5e5"
"""Stand-ins that become the page's text and grid colours."""
_DASHES = ("-", "--", "-.", ":")
_SIZE = (4.6, 3.6)
_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "federation",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Line:
    """One line of a picture.

    Parameters
    ----------
    label : str
        In the legend; none when empty.
    x, y : sequence of float
        Its points.
    low, high : sequence of float
        95 % interval at each point; empty: none.
    style : int
        Which colour, marker and dash of the palette.
    thin : bool
        One of many.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    style: int = 0
    thin: bool = False


@dataclass(frozen=True)
class Chart:
    """What to draw.

    Parameters
    ----------
    name : str
        Makes the ids of the page's pictures differ.
    text : str
        What it shows, for those who do not see it.
    x, y : str
        Axes with units.
    lines : sequence of Line
        What to draw.
    marks : mapping
        Horizontal reference lines, ``{label: height}``.
    log : bool
        Logarithmic x with a tick at every point.
    limits : (float, float), optional
        Of y.
    points : bool
        Show every point as a marker with its interval; else lines with bands.
    """

    name: str
    text: str
    x: str
    y: str
    lines: Sequence[Line]
    marks: Mapping[str, float] = field(default_factory=dict)
    log: bool = False
    limits: tuple[float, float] | None = None
    points: bool = False


def draw(chart: Chart) -> str:
    """Return a chart as an ``<svg>`` element."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC):
        figure = Figure(figsize=_SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axis = figure.subplots()
        axis.grid(color=LINES, lw=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        for line in chart.lines:
            _draw_line(axis, line, chart.points)
        for label, height in chart.marks.items():
            axis.axhline(height, color=INK, lw=0.9, ls=":", label=label)
        _dress(axis, chart)
        names = axis.get_legend_handles_labels()[1]
        if names:
            columns = 2 if max(map(len, names)) < 30 else 1  # noqa: PLR2004 - what fits 390 px
            place: Any = {"loc": "outside lower center", "ncols": columns}
            for entry in figure.legend(fontsize=9, frameon=False, **place).get_lines():
                entry.set(linewidth=1.8, alpha=1.0)  # thin lines are told apart by their key
        buffer = StringIO()
        figure.savefig(buffer, format="svg", metadata=_METADATA)
    return _inline(buffer.getvalue(), chart)


def _draw_line(axis: "Axes", line: Line, points: bool) -> None:
    colour = COLOURS[line.style % len(COLOURS)]
    dash = _DASHES[line.style // len(COLOURS) % len(_DASHES)]
    heights = [float("nan") if value is None else value for value in line.y]
    style: dict[str, Any] = {"color": colour, "ls": dash, "label": line.label or "_"}
    if line.thin:
        axis.plot(line.x, heights, lw=0.8, alpha=0.7, **style)
        return
    if points:
        style |= {"marker": MARKERS[line.style % len(MARKERS)], "ms": 4.5, "lw": 1.5}
        error = _error(heights, line)
        axis.errorbar(line.x, heights, yerr=error, capsize=3, elinewidth=1, **style)
        return
    axis.plot(line.x, heights, lw=1.7, **style)
    if line.low:
        axis.fill_between(line.x, line.low, line.high, color=colour, alpha=0.16, lw=0)


def _error(heights: Sequence[float], line: Line) -> list[list[float]] | None:
    if not line.low:
        return None
    return [
        [y - low for y, low in zip(heights, line.low, strict=True)],
        [high - y for y, high in zip(heights, line.high, strict=True)],
    ]


def _dress(axis: "Axes", chart: Chart) -> None:
    axis.set_xlabel(chart.x)
    axis.set_ylabel(chart.y)
    if chart.limits is not None:
        axis.set_ylim(*chart.limits)
    if chart.log:
        from matplotlib.ticker import NullLocator

        ticks = sorted({x for line in chart.lines for x in line.x})
        axis.set_xscale("log")
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        from matplotlib.ticker import MaxNLocator

        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))  # rounds are whole


def _inline(text: str, chart: Chart) -> str:
    """Return the bare element: no header, ids of its own, the page's colours, a description."""
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{chart.name}-", svg)
    for place, colour in enumerate(COLOURS):
        svg = re.sub(colour, f"var(--c{place})", svg, flags=re.IGNORECASE)
    svg = svg.replace(INK, "currentColor").replace(LINES, "var(--grid)")
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    label = _escaped(chart.text)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()


def _escaped(text: str) -> str:
    from html import escape

    return escape(text, quote=True)
