"""What each command of ``./run_federation.sh`` does, after its flags are read."""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from federation.console import print_comparison, print_run, round_bar, share_bar
from federation.flags import UsageError, given, read_config, settings_from
from federation.results import (
    baselines_of,
    check_out,
    result_of,
    single_run_entries,
    to_json,
    write_interrupted,
    write_result,
    write_text,
)
from federation.runner import run_one
from server.loop import RoundRecord
from strategies.learning.task import federation_of
from strategies.settings import Settings

MAX_SEEDS = 100_000


class Interrupted(Exception):
    """Ctrl-C; the message says what was kept."""


def simulate(options: argparse.Namespace) -> int:
    """Run one federation, repeat it over seeds for the interval, and report."""
    settings = settings_from(options)
    seeds = seeds_from(options, settings.seed)
    out = out_from(options, settings.strategy)
    federation_of(settings)  # refuse unusable data before anything is shown or written
    shown = options.quiet or options.json
    records: list[RoundRecord] = []
    try:
        with round_bar(settings, shown) as show:
            run = run_one(settings, _both(records.append, show))
        repetitions = _repeat(run.settings, seeds, shown)
    except KeyboardInterrupt:
        raise Interrupted(_keep_rounds(out, settings, records)) from None
    runs, summary = single_run_entries(run, repetitions)
    result = result_of(
        run.settings, runs, summary, baselines_of(repetitions) if repetitions else {}
    )
    write_result(out, result, run)
    picture = _draw_run(out, result, run.settings, records, repetitions)
    paths = {"result": out / "result.json", "rounds": out / "rounds.csv", "picture": picture}
    paths["model"] = out / "model.npz"
    _print(options, result, partial(print_run, result, paths))
    return 0


def compare(options: argparse.Namespace) -> int:
    """Run a grid of strategies, swept settings and paired seeds on all cores."""
    from federation.compare import build_grid, parse_sweeps, run_cell, summarise_grid
    from federation.parallel import map_parallel

    sweeps = parse_sweeps(options.sweep or [])
    overrides, preset = given(options), options.preset
    if options.config is not None:
        listed = read_config(Path(options.config))
        preset = preset or listed.pop("preset", None)
        listed.pop("strategy", None)
        overrides = listed | overrides
    names = [name.strip() for name in options.strategies.split(",") if name.strip()]
    if not names or len(set(names)) != len(names):
        raise UsageError(
            f"--strategies {options.strategies!r}: name each strategy once, with commas"
        )
    first_seed = int(overrides.pop("seed", 1))
    seeds = seeds_from(options, first_seed)
    grid = build_grid(names, sweeps, seeds, overrides, preset)
    out = out_from(options, "compare")
    for cell in grid[:: len(seeds)]:
        federation_of(cell.settings)
    done: list[dict[str, Any]] = []
    interrupted = False
    try:
        with share_bar(f"{len(grid)} runs", options.quiet or options.json) as show:
            map_parallel(run_cell, grid, options.workers, show, keep=done.append)
    except KeyboardInterrupt:
        interrupted = True
        if not done:
            raise Interrupted(
                "interrupted before a run was finished: nothing was written"
            ) from None
    order = {(c.settings.strategy, c.swept, c.settings.seed): n for n, c in enumerate(grid)}
    done.sort(key=lambda run: order[run["strategy"], tuple(run["swept"].items()), run["seed"]])
    result = result_of(grid[0].settings, done, summarise_grid(done, names[0]), {})
    if interrupted:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "interrupted.json", to_json(result))
        raise Interrupted(
            f"interrupted with {len(done)} of {len(grid)} runs finished; they are kept in "
            f"{out / 'interrupted.json'}"
        )
    write_result(out, result)
    from federation.figures import draw_comparison

    picture = draw_comparison(out, result, next(iter(sweeps), None))
    paths = {"result": out / "result.json", "rounds": out / "rounds.csv", "picture": picture}
    _print(options, result, partial(print_comparison, result, paths))
    return 0


def reproduce(options: argparse.Namespace) -> int:
    """Reproduce a figure or the accuracy table of the privacy paper."""
    from federation import reproduce as figures

    what = options.what
    if what not in REPRODUCIBLE:
        from strategies.settings import nearest

        raise UsageError(f"reproduce: unknown figure {what!r}{nearest(what, REPRODUCIBLE)}")
    options.preset = options.preset or "paper-std"
    defaults = figures.FIG4_DEFAULTS if what == "privacy-fig4" else {}
    settings = settings_from(options, **defaults)
    seeds = seeds_from(options, settings.seed)
    out = out_from(options, what)
    federation_of(settings)
    out.mkdir(parents=True, exist_ok=True)
    figure = {
        "privacy-fig3": figures.privacy_fig3,
        "privacy-fig4": figures.privacy_fig4,
    }[what]
    try:
        with share_bar(f"{what}, {len(seeds)} seeds", options.quiet or options.json) as show:
            result = figure(settings, seeds, out, options.workers, show)
    except KeyboardInterrupt:
        raise Interrupted(f"{what} interrupted: nothing was written") from None
    write_text(out / "result.json", to_json(result))
    paths = {"result": out / "result.json", "picture": result["figures"][0]}
    _print(options, result, partial(_print_figure, result, paths))
    return 0


REPRODUCIBLE = ("privacy-fig3", "privacy-fig4")


def shards(options: argparse.Namespace) -> int:
    """Cut the data as the settings say and write one file for each clinic."""
    from datasets.shards import write_shards

    settings = settings_from(options)
    parts = federation_of(settings)
    paths = write_shards(parts.table, parts.shards, options.out, overwrite=options.overwrite)
    if not options.quiet:
        for path, size in zip(paths, parts.sizes, strict=True):
            sys.stdout.write(f"{path}: {size} records\n")
        sys.stdout.write("give each clinic its file and schema.json, which must lie beside it\n")
    return 0


def seeds_from(options: argparse.Namespace, first: int) -> list[int]:
    """Return the seeds first, first + 1, ... that ``--seeds N`` asks for."""
    text = options.seeds
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= MAX_SEEDS:
        raise UsageError(f"--seeds must be a whole number from 1 to {MAX_SEEDS}, got {text!r}")
    return list(range(first, first + count))


def out_from(options: argparse.Namespace, name: str) -> Path:
    """Return the directory a command writes to: ``--out`` or a new one under ``runs/``."""
    if options.out is not None:
        return check_out(Path(options.out))
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")[:-3]  # noqa: DTZ005 - a local name
    return check_out(Path("runs") / f"{stamp}-{name}")


def _repeat(settings: Settings, seeds: Sequence[int], quiet: bool) -> list[Any]:
    from federation.repeat import repeat, repeatable

    if not repeatable(settings):
        return []
    found = []
    with share_bar(f"the same over {len(seeds)} seeds", quiet) as show:
        for number, seed in enumerate(seeds, start=1):
            found.append(repeat(settings, seed))
            show(number / len(seeds))
    return found


def _both(first: Callable[[RoundRecord], None], second: Callable[[RoundRecord], None]) -> Any:
    def call(record: RoundRecord) -> None:
        first(record)
        second(record)

    return call


def _draw_run(
    out: Path,
    result: dict[str, Any],
    settings: Settings,
    records: Sequence[RoundRecord],
    repetitions: Sequence[Any],
) -> Path:
    from federation.figures import draw_rounds

    accuracies = [record.metrics["accuracy"] for record in records[1:]]
    return draw_rounds(out, settings, accuracies, repetitions, result["floors"])


def _keep_rounds(out: Path, settings: Settings, records: Sequence[RoundRecord]) -> str:
    finished = [record for record in records if record.round > 0]
    if not finished:
        return "interrupted before a round was finished: nothing was written"
    path = write_interrupted(out, settings, finished)
    return f"interrupted after round {len(finished)} of {settings.rounds}; its rounds are in {path}"


def _print(options: argparse.Namespace, result: dict[str, Any], table: Callable[[], None]) -> None:
    if options.json:
        sys.stdout.write(to_json(result))
    elif not options.quiet:
        table()


def _print_figure(result: dict[str, Any], paths: dict[str, Any]) -> None:
    for label, path in paths.items():
        sys.stdout.write(f"{label}: {path}\n")
