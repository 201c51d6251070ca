"""What the commands do on ``--dataset carrada``: simulate, compare and reproduce a market."""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from clients.carrada_scenes import episodes_of
from federation.checkpoints import keeper_from
from federation.commands import Interrupted, all_of, out_from, print_result, seeds_from
from federation.console import share_bar
from federation.details import details_of, trace_of
from federation.fingerprint import all_versions
from federation.flags import UsageError, given, read_config
from federation.live.view import View, run_source, watching
from federation.market_console import market_bar, print_market, print_markets
from federation.market_figures import draw_market
from federation.market_reproduce import COMPARED, market_figure
from federation.market_runs import entries_of, summary_of_markets
from federation.outputs import fresh, now, repeat_command, writing_in
from federation.recording import check_database, record_run
from federation.report.page import write_report
from federation.results import UNFINISHED_ROUNDS, to_json, write_rounds, write_text
from federation.runner import run_market_one
from federation.tracking import tracked, trackers_from
from federation.twin_picture import draw_twin
from server.loop import RoundRecord
from server.market import MarketOutcome
from server.market_report import market_entry
from strategies.market_presets import compose_market
from strategies.settings import Settings


def simulate_market(options: argparse.Namespace, settings: Settings) -> int:
    """Run one market over messages, repeat it over seeds for the interval, and report."""
    seeds = seeds_from(options, settings.seed)
    out = out_from(options, settings.strategy)
    check_data(settings)
    check_database(options, out)
    trackers = trackers_from(options.track)
    with watching(options, out, run_source(settings)) as live:
        return _simulate(options, settings, seeds, out, trackers, live)


def _simulate(
    options: argparse.Namespace,
    settings: Settings,
    seeds: list[int],
    out: Path,
    trackers: tuple[str, ...],
    live: View,
) -> int:
    quiet = options.quiet or options.json
    keeper = keeper_from(options, settings, out)
    started = now()
    records: list[RoundRecord] = []
    try:
        with market_bar(settings, quiet) as show, tracked(trackers, settings, out) as log:
            outcome = run_market_one(
                settings, all_of(records.append, show, log, live.round), keeper
            )
        live.say("all rounds done; now the figures beside it")
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted {_keep(out, settings, records)}") from None
    finally:
        keeper.close()
    repeated = _repeat(outcome.settings, seeds, quiet)
    entry = market_entry(outcome)
    details = details_of(records)
    entry["trace"] = trace_of(details, entry)
    result = result_of_markets(outcome.settings, [entry], summary_of_markets([entry, *repeated]))
    result["command"] = repeat_command("simulate", options)
    with writing_in(out):
        paths: dict[str, Any] = _write(out, result, outcome)
    paths["database"] = record_run(options, out, outcome.settings, entry, details, started)
    print_result(options, result, partial(print_market, result, paths))
    if len(repeated) < len(seeds) - 1:
        raise Interrupted(
            f"interrupted after 1 of {len(seeds)} seeds: the run and its files are in {out}"
        )
    return 0


def reproduce_market(options: argparse.Namespace) -> int:
    """Reproduce figure 4 or 5 of the market paper."""
    overrides, preset = given(options), options.preset
    if options.config is not None:
        listed = read_config(Path(options.config))
        named = listed.pop("preset", None)
        preset = preset or (None if named is None else str(named))
        listed.pop("strategy", None)
        overrides = listed | overrides
    for name, fixed in (("strategy", options.strategy), ("selection", overrides.get("selection"))):
        if fixed is not None:
            raise UsageError(
                f"reproduce {options.what} compares {', '.join(COMPARED)}: leave --{name} out"
            )
    if overrides.get("dataset", "carrada") != "carrada":
        raise UsageError(f"reproduce {options.what} is a figure of --dataset carrada")
    checked = compose_market(COMPARED[0], overrides, preset)
    seeds = seeds_from(options, checked.seed)
    overrides.pop("seed", None)
    check_data(checked)
    out = out_from(options, options.what)
    out.mkdir(parents=True, exist_ok=True)
    try:
        title = f"{options.what}, {len(seeds)} seeds"
        with share_bar(title, options.quiet or options.json) as show:
            result = market_figure(
                options.what, overrides, preset, seeds, out, options.workers, show
            )
    except KeyboardInterrupt:
        raise Interrupted(f"{options.what} interrupted: nothing was written") from None
    write_text(out / "result.json", to_json(result))
    paths = {"result": out / "result.json", "picture": result["figures"][0]}
    print_result(options, result, partial(print_markets, result, paths))
    return 0


def check_data(*markets: Settings) -> None:
    """Refuse a CARRADA root that cannot be used, before anything is shown or written.

    Raises
    ------
    datasets.errors.DataError
        With one line: what, why, what to do.
    """
    for settings in markets:
        if settings.market == "payload":
            episodes_of(settings)


def result_of_markets(
    settings: Settings, runs: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the dict of result.json; a market has no floors and no baselines."""
    return {
        "settings": settings.as_dict(),
        "versions": all_versions(),
        "floors": {},
        "baselines": {},
        "runs": list(runs),
        "summary": list(summary),
    }


def _repeat(settings: Settings, seeds: Sequence[int], quiet: bool) -> list[dict[str, Any]]:
    """Run the other seeds, with the same cell, for the interval."""
    if len(seeds) == 1:
        return []
    with (
        suppress(KeyboardInterrupt),
        share_bar(f"the same over {len(seeds)} seeds", quiet) as show,
    ):
        return entries_of(settings, seeds[1:], None, show)
    return []


def _write(out: Path, result: dict[str, Any], outcome: MarketOutcome) -> dict[str, Path]:
    fresh(out)
    entry = result["runs"][0]
    rows = outcome.ledger.rows
    paths = {
        "result": out / "result.json",
        "rounds": write_rounds(out, result["runs"]),
        "ledger": out / "ledger.jsonl",
    }
    write_text(paths["ledger"], outcome.ledger.text())
    paths["picture"] = draw_market(entry | {"settings": result["settings"]}, rows, out)
    if outcome.ledger.snapshot is not None:
        paths["twin"] = draw_twin(outcome.settings, outcome.ledger.snapshot, out / "twin.png")
    paths["report"] = write_report(out, result)
    write_text(paths["result"], to_json(result))
    return paths


def _keep(out: Path, settings: Settings, records: Sequence[RoundRecord]) -> str:
    finished = [record for record in records if record.round > 0]
    if not finished:
        return "before a round was finished: nothing was written"
    out.mkdir(parents=True, exist_ok=True)
    rounds = [record.as_dict() for record in finished]
    cell = {"market": settings.market, "attack": settings.attack}
    run = {"strategy": settings.strategy, "seed": settings.seed, "cell": cell, "rounds": rounds}
    path = write_rounds(out, [run], UNFINISHED_ROUNDS)
    return f"after round {len(finished)} of {settings.rounds}; its rounds are in {path}"
