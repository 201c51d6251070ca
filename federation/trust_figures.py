"""Pictures of trust under attack: where each rule breaks, and each clinic over time."""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.drawing import VERMILION, canvas, save
from federation.trust_round_figures import split_level

Summary = Sequence[Mapping[str, Any]]
NOBODY = "none"
_BROKEN, _FINE = 50.0, 98.0
_DARK = 78.0


def accuracy_of(summary: Summary, rule: str, level: str) -> dict[str, float]:
    """Return the mean accuracy in percent by attack, of one rule at one level of privacy."""
    return {
        row["cell"]["attack"]: 100 * row["mean"]
        for row in summary
        if row["strategy"] == rule
        and row["cell"]["privacy"] == level
        and row["metric"] == "accuracy"
        and row["mean"] is not None
    }


def draw_heat_map(summary: Summary, path: Path, title: str) -> Path:
    """Draw accuracy of rule by privacy: worst attack, mean over attacks, and nobody attacking."""
    rules = list(dict.fromkeys(row["strategy"] for row in summary))
    levels = list(dict.fromkeys(row["cell"]["privacy"] for row in summary))
    panels: list[tuple[str, Callable[[Collection[float]], float]]] = [
        ("worst attack", min),
        ("mean over attacks", _mean),
    ]
    figure, axes = canvas(1, len(panels), (5.6 * len(panels) + 0.6, 0.62 * len(rules) + 2.0))
    image = None
    for axis, (name, of) in zip(axes[0], panels, strict=True):
        values = np.full((len(rules), len(levels)), nan)
        worst = np.full(values.shape, "", dtype=object)
        for place in np.ndindex(*values.shape):
            found = accuracy_of(summary, rules[place[0]], levels[place[1]])
            found.pop(NOBODY, None)
            if found:
                values[place] = of(found.values())
                worst[place] = min(found, key=found.__getitem__) if of is min else ""
        image = _heat(axis, values, worst, [_level(level) for level in levels], rules)
        axis.set_title(name, fontsize=11)
    for axis in axes[0][1:]:
        axis.set_yticklabels([])
    if image is not None:
        bar = figure.colorbar(image, ax=axes[0].tolist(), shrink=0.85, pad=0.01)
        bar.set_label("held-out accuracy (%)")
    return save(figure, path, title)


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def _level(level: str) -> str:
    mechanism, epsilon = split_level(level)
    nominal = " (nominal)" if mechanism == "global-dp" else ""
    return f"{mechanism}\nε {epsilon}{nominal}" if epsilon else mechanism


def _heat(
    axis: Any,
    values: NDArray[np.float64],
    worst: NDArray[Any],
    columns: Sequence[str],
    rows: Sequence[str],
) -> Any:
    image = axis.imshow(values, cmap="cividis", vmin=_BROKEN, vmax=_FINE, aspect="auto")
    axis.grid(visible=False)
    axis.set_xticks(range(len(columns)), columns, fontsize=8)
    axis.set_yticks(range(len(rows)), rows, fontsize=9)
    for place in np.ndindex(*values.shape):
        value = values[place]
        if np.isnan(value):
            continue
        colour = "black" if value > _DARK else "white"
        size = {"ha": "center", "color": colour}
        axis.text(place[1], place[0], f"{value:.1f}", va="bottom", fontsize=10, **size)
        axis.text(place[1], place[0] + 0.06, worst[place], va="top", fontsize=6.5, **size)
    return image


def draw_clinics_of(out: Path, entry: Mapping[str, Any], title: str) -> Path:
    """Draw the clinics of a run of ``simulate`` into its directory; see :func:`draw_clinics`.

    ``title`` is what the strategy is called.
    """
    attack = entry.get("attack") or {}
    hostile = len(attack.get("attackers", ()))
    epsilon = entry["cell"].get("epsilon")
    parts = [title, "no noise" if epsilon is None else f"ε {epsilon:g}"]
    parts.append(f"{hostile} of {entry['clients']} clinics attack" if hostile else "no attack")
    parts[-1] += f" ({entry['cell']['attack']})" if hostile else ""
    return draw_clinics(entry, out / "clinics.png", ", ".join(parts))


def draw_clinics(entry: Mapping[str, Any], path: Path, title: str) -> Path:
    """Draw each clinic's reputation over the rounds, attackers marked, and the malicious share.

    Parameters
    ----------
    entry : mapping
        A run's entry in result.json.
    path : Path
        PNG to write.
    title : str
    """
    rounds = [record for record in entry["rounds"] if record.get("trust")]
    hostile = set((entry.get("attack") or {}).get("attackers", ()))
    names = sorted(
        {name for record in rounds for name in record["trust"]["reputations"]},
        key=lambda name: (name in hostile, _number(name)),
    )
    values = np.array(
        [[record["trust"]["reputations"].get(name, nan) for record in rounds] for name in names]
    )
    figure, axes = canvas(2, 1, (0.34 * len(rounds) + 4.0, 0.19 * len(names) + 3.0))
    strip, share = axes[0, 0], axes[1, 0]
    image = strip.imshow(values, cmap="cividis", vmin=0.0, vmax=1.0, aspect="auto")
    strip.grid(visible=False)
    _mark_choices(strip, rounds, names)
    strip.set_yticks(range(len(names)), [_short(name, name in hostile) for name in names])
    for label, name in zip(strip.get_yticklabels(), names, strict=True):
        label.set_fontsize(7)
        label.set_color(VERMILION if name in hostile else "black")
    strip.set_xticks(range(len(rounds)), [str(record["round"]) for record in rounds], fontsize=7)
    strip.set_title("reputation before the round; dot: merged, cross: uploaded but not merged")
    strip.title.set_fontsize(9)
    figure.colorbar(image, ax=strip, pad=0.01, label="R")
    _draw_share(share, rounds, hostile)
    return save(figure, path, title)


def _mark_choices(axis: Any, rounds: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    for column, record in enumerate(rounds):
        honest = record["trust"].get("honest")
        merged = set(record["trust"]["winners"])
        for row, name in enumerate(names):
            if name not in merged:
                continue
            kept = honest is None or honest.get(name, 0.0) > 0.5  # noqa: PLR2004
            style = {"ms": 3.5, "color": "white", "mec": "black", "mew": 0.5}
            axis.plot(column, row, "o" if kept else "X", **style)


def _draw_share(axis: Any, rounds: Sequence[Mapping[str, Any]], hostile: set[str]) -> None:
    shares, weights = [], []
    for record in rounds:
        chosen = set(record["trust"]["winners"])
        honest = record["trust"].get("honest") or dict.fromkeys(chosen, 1.0)
        weight = {name: honest.get(name, 0.0) for name in chosen}
        total = sum(weight.values())
        shares.append(100 * len(chosen & hostile) / len(chosen) if chosen else nan)
        bad = sum(weight[name] for name in chosen & hostile)
        weights.append(100 * bad / total if total else nan)
    places = range(len(rounds))
    axis.plot(places, shares, "s-", color=VERMILION, ms=4, lw=1.4, label="among those chosen")
    axis.plot(places, weights, "o-", color="black", ms=4, lw=1.4, label="by weight in the merge")
    axis.set_ylim(-3, 103)
    axis.set_xticks(places, [str(record["round"]) for record in rounds], fontsize=7)
    axis.set_xlim(-0.5, len(rounds) - 0.5)
    axis.set_xlabel("round")
    axis.set_ylabel("malicious (%)")
    axis.legend(fontsize=8, loc="upper right")


def _number(name: str) -> tuple[str, int]:
    head = name.rstrip("0123456789")
    return head, int(name[len(head) :] or 0)


def _short(name: str, hostile: bool) -> str:
    text = name.replace("partition:", "clinic ") if len(name) < 24 else f"{name[:12]}…"  # noqa: PLR2004
    return f"{text} (attacks)" if hostile else text
