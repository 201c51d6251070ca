"""``compare``: flags to a grid, the grid to a page."""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from clients.carrada_scenes import episodes_of
from federation.commands import Interrupted, check_strategy, out_from, print_result, seeds_from
from federation.compare import Cell, build_grid, parse_names, parse_sweeps, with_attacks
from federation.comparison import Comparison
from federation.console import print_comparison, share_bar
from federation.database.store import ResultsStore
from federation.flags import UsageError, given, read_config
from federation.live.view import comparison_source, watching
from federation.outputs import database_of, fresh, repeat_command, writing_in
from federation.report.page import write_report
from federation.results import to_json, write_rounds, write_text
from server.errors import RunFailed
from strategies.learning.task import federation_of
from strategies.market_presets import world_of
from strategies.presets import compose
from strategies.settings import Settings

DEFAULT = "global-dp,fedavg"


def compare(options: argparse.Namespace) -> int:
    """Run a grid of strategies, attacks, swept settings and paired seeds on all cores."""
    grid = grid_from(options)
    out = out_from(options, "compare")
    if not options.resume and (out / "result.json").exists():
        raise UsageError(f"--out {out}: holds results: name another, or --resume a comparison")
    check_grid(grid)
    with ResultsStore(database_of(options, out)) as store:
        comparison = Comparison(grid, store)
        comparison.take_over(options.resume)
        shown = comparison_source(
            [(cell.settings.strategy, dict(cell.swept)) for cell in grid],
            list(comparison.entries.values()),
            grid[0].settings,
            options.workers,
        )
        with watching(options, out, shown) as comparison.view:
            return _carry_out(comparison, options, out)


def _carry_out(comparison: Comparison, options: argparse.Namespace, out: Path) -> int:
    grid, quiet = comparison.grid, options.quiet or options.json
    _run(comparison, options, quiet)
    result = comparison.result(repeat_command("compare", options))
    place = comparison.store.shown
    if not result["runs"]:
        raise RunFailed(f"all {len(grid)} runs failed: {result['failed'][0]['reason']}")
    with writing_in(out):
        paths = _write(out, result, grid[0].swept) | {"database": place}
    print_result(options, result, partial(_table(result), result, paths))
    if result["failed"]:
        raise RunFailed(
            f"{len(result['failed'])} of {len(grid)} runs failed, the others are in {out}: "
            f"{result['failed'][0]['reason']}"
        )
    return 0


def grid_from(options: argparse.Namespace) -> list[Cell]:
    """Return every cell that the flags name, checked."""
    sweeps = with_attacks(parse_sweeps(options.sweep or []), options.attacks)
    overrides, preset = given(options), options.preset
    if options.config is not None:
        listed = read_config(Path(options.config))
        named = listed.pop("preset", None)
        preset = preset or (None if named is None else str(named))
        listed.pop("strategy", None)
        overrides = listed | overrides
    names = parse_names("--strategies", options.strategies or _default(overrides))
    values = {**overrides, **{name: found[0] for name, found in sweeps.items()}}
    seeds = seeds_from(options, compose(names[0], values, preset).seed)
    overrides.pop("seed", None)
    return build_grid(names, sweeps, seeds, overrides, preset)


def check_grid(grid: Sequence[Cell]) -> None:
    """Refuse data that cannot be used, before anything runs.

    Raises
    ------
    datasets.errors.DataError
        With one line: what, why, what to do.
    """
    for settings in dict.fromkeys(
        cell.settings.changed(seed=grid[0].settings.seed) for cell in grid
    ):
        check_data(settings)


def check_data(settings: Settings) -> None:
    """Refuse data that one cell cannot use."""
    if not settings.is_market:
        check_strategy(settings)
        federation_of(settings)
    elif settings.market == "payload":
        episodes_of(settings)


def _default(overrides: Mapping[str, Any]) -> str:
    if world_of(overrides) != "twin":
        return DEFAULT
    from federation.market_reproduce import COMPARED

    return ",".join(COMPARED)


def _run(comparison: Comparison, options: argparse.Namespace, quiet: bool) -> None:
    total, kept = len(comparison.grid), comparison.kept
    title = f"{total - kept} runs" + (f", {kept} kept" if kept else "")
    try:
        with share_bar(title, quiet) as show:
            comparison.run(options.workers, show)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted with {comparison.kept} of {total} runs finished; they are kept in "
            f"{comparison.store.shown}: the same command with --resume goes on"
        ) from None


def _write(
    out: Path, result: Mapping[str, Any], swept: Sequence[tuple[str, Any]]
) -> dict[str, Path | str]:
    fresh(out)
    paths: dict[str, Path | str] = {}
    if not _is_market(result):
        from federation.figures import draw_comparison

        paths["rounds"] = write_rounds(out, result["runs"])
        paths["picture"] = draw_comparison(out, result, [name for name, _ in swept])
    paths["report"] = write_report(out, result)
    write_text(out / "result.json", to_json(result))
    return {"result": out / "result.json"} | paths


def _table(result: Mapping[str, Any]) -> Any:
    if not _is_market(result):
        return print_comparison
    from federation.market_console import print_markets

    return print_markets


def _is_market(result: Mapping[str, Any]) -> bool:
    return world_of(result["settings"]) == "twin"
