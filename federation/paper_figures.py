"""Drawing the paper's figures with intervals over seeds and the floors as lines."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from federation.drawing import BLUE, GREEN, GREY, ORANGE, PINK, canvas, mark, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BY_CLIENTS = ((PINK, "o"), (ORANGE, "s"), (GREEN, "^"), (BLUE, "D"))
DESIGNS = {
    "fixed-total": "all training records, split among V clinics",
    "fixed-records": "10 records in every clinic",
}
NONE_AT = 57.0
SCALE = {"accuracy": 100.0, "loss": 1.0}
EPSILON_LABEL = "nominal \u03b5 (larger is less private)"


def draw_fig3(result: dict[str, Any], path: Path) -> Path:
    """Draw accuracy and loss over epsilon, one column for each design; return ``path``.

    Parameters
    ----------
    result : dict
        What :func:`federation.reproduce.privacy_fig3` collected.
    path : Path
        PNG to write.
    """
    figure, axes = canvas(2, 2, (11.0, 8.0))
    rows = [row for row in result["summary"] if "design" in row["cell"]]
    for column, (design, title) in enumerate(DESIGNS.items()):
        cells = [row for row in rows if row["cell"]["design"] == design]
        _over_epsilon(axes[0][column], cells, "accuracy")
        _over_epsilon(axes[1][column], cells, "loss")
        _floors(axes[0][column], result["floors"])
        axes[0][column].set(title=title, ylabel="held-out accuracy, %", ylim=(45, 100))
        axes[1][column].set(ylabel="held-out loss, hinge + L2", xlabel=EPSILON_LABEL)
        mark(axes[1][column], 1.0, "no model\n(w = 0)")
    axes[0][0].legend(title="clinics V", loc="lower center", ncols=4, fontsize=9)
    _align(axes[1])
    return save(figure, path, f"Privacy and accuracy, BCWD. {_caption(result)}")


def draw_fig4(result: dict[str, Any], path: Path) -> Path:
    """Draw accuracy over rounds and over the planned number of rounds; return ``path``."""
    figure, axes = canvas(1, 2, (12.0, 5.6))
    left, right = axes[0]
    rows = [row for row in result["summary"] if row["metric"] == "accuracy"]
    curves = _curves(result["settings"], rows)
    for label, cells, style in curves:
        _band(left, _values(cells, "round"), cells, label, **style)
    for label, cells, style in curves[1:]:
        _band(right, _values(cells, "round"), cells, label, **style)
    planned = [row for row in rows if "planned_rounds" in row["cell"]]
    _band(right, _values(planned, "planned_rounds"), planned, "private", color=BLUE, marker="o")
    svm = next(row for row in rows if row["strategy"] == "centralised-svm")
    for axis in (left, right):
        axis.axhline(100 * svm["mean"], color=PINK, lw=1.5, ls="-.", label="centralised LinearSVC")
        _floors(axis, result["floors"])
        axis.set(ylabel="held-out accuracy, %", ylim=(45, 100))
    left.set(xlabel="round", title="during one run")
    right.set(
        xlabel="planned number of rounds T", title="after T rounds, noise calibrated to that T"
    )
    left.legend(loc="lower right", fontsize=9)
    clients = result["settings"]["clients"]
    return save(figure, path, f"Accuracy over training, BCWD. V = {clients}, {_caption(result)}")


def _curves(
    settings: dict[str, Any], rows: list[dict[str, Any]]
) -> list[tuple[str, list[dict[str, Any]], dict[str, Any]]]:
    rate, epsilon = settings["learning_rate"], settings["epsilon"]
    rounds = [row for row in rows if "round" in row["cell"]]

    def of(strategy: str, paper_rate: bool = True) -> list[dict[str, Any]]:
        return [
            row
            for row in rounds
            if row["strategy"] == strategy and (row["cell"]["learning_rate"] == rate) == paper_rate
        ]

    fast = of("fedavg", paper_rate=False)
    fast_rate = fast[0]["cell"]["learning_rate"] if fast else 0.0
    private = f"private, \u03b5 = {epsilon:g}, \u03b7 = {rate:g}"
    return [
        (private, of("global-dp"), {"color": BLUE}),
        (f"non-private federation, \u03b7 = {rate:g}", of("fedavg"), {"color": ORANGE}),
        (f"centralised, \u03b7 = {rate:g}", of("centralised"), {"color": GREY, "ls": (0, (4, 4))}),
        (f"non-private federation, \u03b7 = {fast_rate:g}", fast, {"color": GREEN}),
    ]


def _over_epsilon(axis: "Axes", rows: list[dict[str, Any]], metric: str) -> None:
    scale = SCALE[metric]
    rows = [row for row in rows if row["metric"] == metric]
    counts = sorted({row["cell"]["clients"] for row in rows})
    for index, clients in enumerate(counts):
        colour, marker = BY_CLIENTS[index % len(BY_CLIENTS)]
        mine = [row for row in rows if row["cell"]["clients"] == clients]
        private = [row for row in mine if row["cell"]["epsilon"] is not None]
        apart = index - (len(counts) - 1) / 2
        where = [row["cell"]["epsilon"] + 0.3 * apart for row in private]
        _band(axis, where, private, str(clients), color=colour, marker=marker)
        plain = next(row for row in mine if row["cell"]["epsilon"] is None)
        ends = [[scale * (plain["mean"] - _low(plain))], [scale * (_high(plain) - plain["mean"])]]
        axis.errorbar(
            NONE_AT + 1.2 * apart,
            scale * plain["mean"],
            yerr=ends,
            color=colour,
            marker=marker,
            ms=5,
            capsize=2,
        )
    axis.set_xticks([5, 10, 15, 20, 25, 30, 40, 50, NONE_AT])
    axis.set_xticklabels(["5", "10", "15", "20", "25", "30", "40", "50", "no\nnoise"])
    axis.axvline((50 + NONE_AT) / 2, color="#CCCCCC", lw=0.8)


def _band(
    axis: "Axes", where: list[float], rows: list[dict[str, Any]], label: str, **style: Any
) -> None:
    scale = SCALE[rows[0]["metric"]]
    axis.plot(where, [scale * row["mean"] for row in rows], label=label, ms=5, lw=1.8, **style)
    low, high = ([scale * end(row) for row in rows] for end in (_low, _high))
    axis.fill_between(where, low, high, color=style["color"], alpha=0.15, lw=0)


def _values(rows: list[dict[str, Any]], key: str) -> list[float]:
    return [row["cell"][key] for row in rows]


def _low(row: dict[str, Any]) -> float:
    return float(row["mean"] if row["ci95_low"] is None else row["ci95_low"])


def _high(row: dict[str, Any]) -> float:
    return float(row["mean"] if row["ci95_high"] is None else row["ci95_high"])


def _floors(axis: "Axes", floors: dict[str, float]) -> None:
    majority = 100 * floors["majority"]
    mark(axis, majority, f"majority class\n{majority:.1f} %")
    if "mean_rule" in floors:
        rule = 100 * floors["mean_rule"]
        mark(axis, rule, f"untrained: mean attribute \u2265 {floors['threshold']:g}, {rule:.1f} %")


def _caption(result: dict[str, Any]) -> str:
    settings = result["settings"]
    return (
        f"T = {settings['rounds']}, E = {settings['exposures']}, \u03b4 = {settings['delta']:g}, "
        f"\u03c3 read as {settings['reading']}; mean and 95 % interval of the mean over "
        f"{len(result['seeds'])} seeds"
    )


def _align(axes: Any) -> None:
    top = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:
        axis.set_ylim(0, top)
