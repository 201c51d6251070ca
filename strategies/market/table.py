"""The comparison of figures 4 and 5: three modes side by side, and the shape they must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strategies.market.draws import draw_world
from strategies.market.run import FloatArray, MarketRun
from strategies.market.settings import MarketSettings
from strategies.market.simulate import MODES, simulate_market

SHAPE = (
    "type 1 dominates",
    "type 3 above type 2 by 0.10 or more",
    "welfare: none > with Algorithm 1 > without",
    "attacks: none above twice the others",
    "welfare less tampered deliveries: with Algorithm 1 above none",
)


@dataclass(frozen=True)
class MarketTable:
    """Means over seeds of each mode, and how often the shape holds.

    Attributes
    ----------
    rows : mapping
        ``rows[mode][figure]``: mean over seeds. Welfare figures are ratios to mode "none".
    shape : mapping
        ``shape[statement]``: share of seeds for which it holds.
    seeds : int
        How many seeds.
    """

    rows: Mapping[str, Mapping[str, float]]
    shape: Mapping[str, float]
    seeds: int

    def __str__(self) -> str:
        """Return the table as text, a column per mode."""
        figures = list(next(iter(self.rows.values())))
        lines = [f"{'':22s}" + "".join(f"{mode:>12s}" for mode in self.rows)]
        for figure in figures:
            cells = "".join(f"{row[figure]:12.3f}" for row in self.rows.values())
            lines.append(f"{figure:22s}" + cells)
        lines.extend(f"{share:6.1%} of seeds: {name}" for name, share in self.shape.items())
        return "\n".join(lines)


def compare_modes(settings: MarketSettings, seeds: Sequence[int]) -> dict[str, MarketRun]:
    """Run all three modes in the same world."""
    world = draw_world(settings, seeds)
    return {mode: simulate_market(settings, seeds, mode, world) for mode in MODES}


def market_table(runs: Mapping[str, MarketRun]) -> MarketTable:
    """Summarise runs of the modes "none", "unfiltered" and "filtered" in one world."""
    base, adjusted = runs["none"].welfare.mean(), runs["none"].adjusted_welfare.mean()
    rows = {
        mode: {
            **{f"share_type{k + 1}": float(run.shares[:, k].mean()) for k in range(3)},
            "welfare": float(run.welfare.mean() / base),
            "adjusted_welfare": float(run.adjusted_welfare.mean() / adjusted),
            "attack_rate": float(run.attack_rate.mean()),
            "honest_excluded": float(run.honest_excluded.mean()),
            "blame_precision": float(run.precision.mean()),
            "payments_over_cost": float(run.overpayment.mean()),
        }
        for mode, run in runs.items()
    }
    shape = {name: float(held.mean()) for name, held in shape_by_seed(runs).items()}
    return MarketTable(rows, shape, len(runs["none"].types))


def shape_by_seed(runs: Mapping[str, MarketRun]) -> dict[str, FloatArray]:
    """Return for each statement of ``SHAPE`` the seeds it holds for, 0 or 1, shape (S,)."""
    none, raw, filtered = (runs[mode] for mode in MODES)
    first, second, third = filtered.shares.T
    others = np.maximum(raw.attack_rate, filtered.attack_rate)
    held = (
        first > np.maximum(second, third),
        third >= second + 0.10,
        (none.welfare > filtered.welfare) & (filtered.welfare > raw.welfare),
        none.attack_rate > 2 * others,
        filtered.adjusted_welfare > none.adjusted_welfare,
    )
    return {name: mask.astype(np.float64) for name, mask in zip(SHAPE, held, strict=True)}
