"""What a page is told once: what runs, with which settings, and how to read its figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from datasets.errors import DataError
from federation.titles import strategy_title
from strategies.attack_settings import attackers_of
from strategies.settings import Settings

SCHEMA = 1
LIVE, PLAYBACK = "live", "playback"


def head_of_run(
    settings: Settings, mode: str = LIVE, floors: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return the head of a run.

    Parameters
    ----------
    settings : Settings
        Of the run.
    mode : {"live", "playback"}
        Whether it goes on or is over.
    floors : mapping, optional
        Of a finished run; read from the data when None.
    """
    head = {
        "schema": SCHEMA,
        "kind": "run",
        "mode": mode,
        "title": title_of(settings),
        "settings": settings.shown(),
        "rounds": settings.rounds,
        "market": settings.is_market,
        "floors": _floors(settings) if floors is None else dict(floors),
        "epsilon": _epsilon(settings),
        "threshold": settings.theta,
    }
    if settings.is_market:
        return head | {"kinds": _kinds(settings), "grid": _grid(settings)}
    hostile = attackers_of(settings)
    if hostile:
        head["kinds"] = {
            str(place): "attacker" if place in hostile else "honest"
            for place in range(settings.clients)
        }
    return head


def head_of_comparison(settings: Settings, runs: int, mode: str) -> dict[str, Any]:
    """Return the head of a comparison of so many runs; ``settings`` are those of its first."""
    return {
        "schema": SCHEMA,
        "kind": "compare",
        "mode": mode,
        "title": f"comparison: {settings.dataset}, {runs} runs",
        "settings": settings.shown(),
        "market": settings.is_market,
    }


def title_of(settings: Settings) -> str:
    """Return what runs, in one line."""
    if settings.is_market:
        what = f"{settings.market} market, {settings.clients} devices, {settings.users} users"
    else:
        what = f"{settings.dataset}, {settings.clients} clinics"
    return f"{strategy_title(settings.as_dict())}: {what}{_attack(settings)}, seed {settings.seed}"


def _attack(settings: Settings) -> str:
    if not settings.attack:
        return ""
    return f", {len(attackers_of(settings))} attack ({settings.attack})"


def _floors(settings: Settings) -> dict[str, float]:
    if settings.is_market:
        return {}
    from federation.results import floors_of

    try:
        return floors_of(settings)
    except DataError:
        return {}


def _epsilon(settings: Settings) -> dict[str, Any] | None:
    """Return what the eps of a clinic means; None where nothing is promised."""
    if settings.is_market or not settings.private:
        return None
    return {
        "mechanism": settings.privacy,
        "nominal": settings.epsilon,
        "delta": settings.delta,
        "unit": settings.unit,
        "seeded": settings.noise == "seeded",
    }


def _kinds(settings: Settings) -> dict[str, int]:
    """Return the type of each device: the experimenter's truth, which no strategy sees."""
    from strategies.market_world import types_of

    return {str(place): int(kind) for place, kind in enumerate(types_of(settings))}


def _grid(settings: Settings) -> dict[str, Any]:
    from strategies.market_settings import cubes_of
    from strategies.twin.grid import Grid

    grid = Grid.uniform(*cubes_of(settings))
    return {
        "shape": list(grid.shape),
        "range_m": list(grid.range_edges),
        "azimuth_deg": [float(np.rad2deg(edge)) for edge in grid.azimuth_edges],
        "doppler_mps": list(grid.doppler_edges),
    }
