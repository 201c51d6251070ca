"""Pictures of a market: acceptance by type, welfare and attacks, reputations over the rounds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from federation.drawing import BLUE, GREEN, GREY, ORANGE, VERMILION, canvas, mark, save
from strategies.wrappers.market_messages import MICRO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TYPE_COLOURS = {1: BLUE, 2: VERMILION, 3: ORANGE}
TYPE_NAMES = {
    1: "type 1: attacks 5 % of rounds",
    2: "type 2: attacks half of the rounds",
    3: "type 3: attacks half of the episodes",
}
STRATEGY_NAMES = {
    "no-reputation": "no\nreputation",
    "reputation-unfiltered": "reputation without\nAlgorithm 1",
    "reputation": "reputation with\nAlgorithm 1",
}
_SET_NAMES = {"A": "set A: cover 0.3, z 0.8", "B": "set B: cover 0.5, z 0.72"}


def draw_fig4(result: Mapping[str, Any], path: Path) -> Path:
    """Draw the share of deliveries bought from each type, with and without reputation."""
    sets = list(result["shape"])
    figure, axes = canvas(1, len(sets), (5.6 * len(sets), 4.6))
    for axis, name in zip(axes[0], sets, strict=True):
        for kind, colour in TYPE_COLOURS.items():
            rows = [_row(result, s, name, f"share_type{kind}") for s in _WITH_AND_WITHOUT]
            _bars(axis, kind - 2, 0.26, rows, 100.0, colour, TYPE_NAMES[kind])
        axis.axhline(100 / 3, color=GREY, lw=1, ls=":", label="a third each")
        axis.set_xticks([0, 1], [STRATEGY_NAMES[s].replace("\n", " ") for s in _WITH_AND_WITHOUT])
        axis.set(ylabel="share of deliveries bought (%)", title=_SET_NAMES[name], ylim=(0, 75))
        axis.legend(fontsize=8, loc="upper left")
    return save(figure, path, f"Acceptance rate by type of device. {_caption(result)}")


def draw_fig5(result: Mapping[str, Any], path: Path) -> Path:
    """Draw welfare, welfare less tampered deliveries, and attack rate of the three cases."""
    sets = list(result["shape"])
    figure, axes = canvas(2, len(sets), (5.6 * len(sets), 7.6))
    money = (
        ("welfare", BLUE, "welfare, eq. (7): value less cost"),
        ("adjusted_welfare", GREEN, "less the value of tampered deliveries"),
    )
    for column, name in enumerate(sets):
        top, bottom = axes[0][column], axes[1][column]
        for place, (metric, colour, label) in enumerate(money):
            rows = [_row(result, s, name, metric) for s in STRATEGY_NAMES]
            _bars(top, place - 0.5, 0.38, rows, 1 / MICRO, colour, label)
        rows = [_row(result, s, name, "attack_rate") for s in STRATEGY_NAMES]
        _bars(bottom, 0, 0.5, rows, 100.0, VERMILION, "tampered deliveries")
        for axis in (top, bottom):
            axis.set_xticks(range(3), list(STRATEGY_NAMES.values()), fontsize=9)
        top.set(ylabel="credits a round", title=_SET_NAMES[name])
        top.set_ylim(0, 1.25 * top.get_ylim()[1])
        top.legend(fontsize=8, loc="upper right")
        bottom.set(ylabel="successful attacks (% of deliveries)", ylim=(0, 48))
    return save(figure, path, f"Welfare and attacks. {_caption(result)}")


def draw_market(entry: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], out: Path) -> Path:
    """Draw one run: what each type sold in each episode, and its reputation over the rounds.

    Parameters
    ----------
    entry : mapping
        The run's entry in result.json, its settings under ``settings``.
    rows : sequence of mapping
        Its ledger.
    out : Path
        Existing directory; ``market.png`` is written there.
    """
    settings, devices = entry["settings"], entry["market"]["devices"]
    figure, axes = canvas(2, 1, (8.6, 7.2))
    top, bottom = axes[:, 0]
    rounds = np.arange(1, len(rows) + 1)
    for kind, colour in TYPE_COLOURS.items():
        names = devices[f"type{kind}"]
        shares = _episode_shares(rows, names, settings["episode_length"])
        where = (np.arange(len(shares)) + 0.5) * settings["episode_length"]
        top.plot(where, 100 * shares, marker="o", color=colour, label=TYPE_NAMES[kind])
        curves = [
            [row["reputations"].get(name, settings["alpha"]) for row in rows] for name in names
        ]
        for curve in curves:
            bottom.plot(rounds, curve, color=colour, lw=0.5, alpha=0.5)
        if curves:
            label = f"type {kind}, mean of {len(names)}"
            bottom.plot(rounds, np.mean(curves, axis=0), color=colour, lw=2.2, label=label)
    mark(bottom, settings["theta"], f"trusted from \u03b8 = {settings['theta']:g}")
    top.set(ylabel="share of deliveries bought (%)", xlabel="round (mean of an episode)")
    top.set_ylim(0, 100)
    top.set_xlim(bottom.get_xlim())  # the same round stands above itself
    bottom.set(ylabel="reputation R", xlabel="round")
    top.legend(fontsize=8, loc="upper left")
    bottom.legend(fontsize=8, loc="lower left")
    title = (
        f"{entry['strategy']}, {settings['market']} market, seed {entry['seed']}: "
        f"{entry['clients']} devices, {entry['users']} users"
    )
    return save(figure, out / "market.png", title)


_WITH_AND_WITHOUT = ("no-reputation", "reputation")


def _episode_shares(rows: Sequence[Mapping[str, Any]], names: Sequence[str], length: int) -> Any:
    own, all_ = [], []
    known = set(names)
    for start in range(0, len(rows), length):
        sold = [name for row in rows[start : start + length] for name in row["delivered"]]
        own.append(sum(name in known for name in sold))
        all_.append(max(len(sold), 1))
    return np.array(own) / np.array(all_)


def _bars(
    axis: "Axes",
    shift: float,
    width: float,
    rows: Sequence[Mapping[str, Any]],
    scale: float,
    colour: str,
    label: str,
) -> None:
    where = np.arange(len(rows)) + shift * width
    mean = np.array([scale * row["mean"] for row in rows])
    low = mean - [scale * _end(row, "ci95_low") for row in rows]
    high = np.array([scale * _end(row, "ci95_high") for row in rows]) - mean
    axis.bar(where, mean, 0.94 * width, color=colour, label=label)
    axis.errorbar(where, mean, yerr=[low, high], fmt="none", ecolor="black", capsize=3)
    for x, y, above in zip(where, mean, high, strict=True):
        axis.annotate(
            f"{y:.1f}",
            (float(x), float(y + above)),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )


def _row(result: Mapping[str, Any], strategy: str, set_: str, metric: str) -> Mapping[str, Any]:
    return next(
        row
        for row in result["summary"]
        if (row["strategy"], row["cell"]["set"], row["metric"]) == (strategy, set_, metric)
    )


def _end(row: Mapping[str, Any], name: str) -> float:
    return float(row["mean"] if row[name] is None else row[name])


def _caption(result: Mapping[str, Any]) -> str:
    settings, count = result["settings"], len(result["seeds"])
    return (
        f"{settings['market']} market, {settings['clients']} devices, {settings['rounds']} rounds; "
        f"mean and 95 % interval over {count} seeds"
    )
