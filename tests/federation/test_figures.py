"""Pictures: whole rounds, points where their cell is, lines only where there is an order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation import figures
from federation.repeat import of_run
from federation.runner import run_one
from strategies.presets import compose


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Keep the axes of every picture instead of writing it."""
    found: list[Any] = []

    def keep(figure: Any, path: Path, title: str) -> Path:
        figure.suptitle(title)
        found.append(figure)
        return path

    monkeypatch.setattr(figures, "save", keep)
    yield found


def summary(*rows: tuple[str, dict[str, Any], float]) -> dict[str, Any]:
    return {
        "floors": {"majority": 0.65},
        "summary": [
            {"strategy": name, "cell": cell, "metric": "accuracy", "mean": mean, "n": 3}
            | {"ci95_low": mean - 0.1, "ci95_high": mean + 0.1}
            for name, cell, mean in rows
        ],
    }


def places(figure: Any) -> dict[str, tuple[list[int], str]]:
    """Return where each strategy's points are, to the whole cell, and its dash."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    return {
        label: ([round(x) for x in handle[0].get_xdata()], handle[0].get_linestyle())
        for handle, label in zip(handles, labels, strict=True)
        if not hasattr(handle, "get_xdata")
    }


def test_attacks_are_not_joined_and_a_missing_cell_moves_no_point(drawn: list[Any]) -> None:
    cells = [{"attack": name, "epsilon": eps} for name in ("none", "alie") for eps in (1.0, 5.0)]
    rows = [("a", cell, 0.9) for cell in cells] + [("b", cells[0], 0.8), ("b", cells[3], 0.8)]
    figures.draw_comparison(Path(), summary(*rows), ["attack", "epsilon"])
    assert places(drawn[0]) == {"a": ([0, 1, 2, 3], "None"), "b": ([0, 3], "None")}
    labels = [text.get_text() for text in drawn[0].axes[0].get_xticklabels()]
    assert labels == ["none\n1", "none\n5", "alie\n1", "alie\n5"]
    assert drawn[0].axes[0].get_xlabel() == "attack, \u03b5 (no unit)"


def test_numbers_are_joined(drawn: list[Any]) -> None:
    rows = [("a", {"epsilon": eps}, 0.9) for eps in (1.0, 5.0)]
    figures.draw_comparison(Path(), summary(*rows), ["epsilon"])
    assert places(drawn[0]) == {"a": ([0, 1], "-")}


def test_one_seed_has_no_mean_no_band_and_whole_rounds(drawn: list[Any]) -> None:
    settings = compose("fedavg", {"aggregation": "krum", "privacy": "dp-gd", "rounds": 3})
    run = run_one(settings.changed(attack="sign-flip"))
    curve = [record.metrics["accuracy"] for record in run.rounds[1:]]
    figures.draw_rounds(Path(), run.settings, curve, [of_run(run)], {"majority": 0.65})
    (axis,) = drawn[0].axes
    names = axis.get_legend_handles_labels()[1]
    assert names == [
        "fedavg (krum, dp-gd), \u03b5 = 1, seed 1", "no noise, same steps", "centralised linear SVM"
    ]  # fmt: skip
    assert all(tick == int(tick) for tick in axis.get_xticks())
    assert "sign-flip" in drawn[0].get_suptitle()
    assert "interval" not in drawn[0].get_suptitle()
