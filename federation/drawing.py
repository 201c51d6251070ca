"""What all pictures share: canvas, palette, reference lines."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart with every common colour vision, and in grey by marker.
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#666666"
VERMILION, SKY = "#D55E00", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, PINK, VERMILION, SKY, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def canvas(rows: int, columns: int, size: tuple[float, float]) -> "tuple[Figure, Any]":
    """Return a figure without a window and its axes, shape (rows, columns)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.grid(color="#E5E5E5", lw=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def mark(axis: "Axes", value: float, text: str, **style: Any) -> None:
    """Draw a horizontal reference line with its label at the right end."""
    line: dict[str, Any] = {"color": "black", "lw": 1, "ls": ":"} | style
    axis.axhline(value, **line)
    axis.annotate(
        text,
        xy=(1.0, value),
        xycoords=axis.get_yaxis_transform(),
        xytext=(-3, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
    )


def save(figure: "Figure", path: Path, title: str) -> Path:
    """Write the figure as PNG under a title."""
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130)
    return path
