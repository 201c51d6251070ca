"""What each command of ``./run_federation.sh`` does, after its flags are read."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import DataError
from federation.attack_console import start_lines
from federation.checkpoints import keeper_from, settings_to_run
from federation.console import print_run, round_bar, share_bar
from federation.details import Detail, details_of, ledger_text, trace_of
from federation.flags import UsageError, given, settings_from
from federation.live.view import View, run_source, watching
from federation.outputs import fresh, now, repeat_command, writing_in
from federation.recording import check_database, record_run
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
from federation.titles import strategy_title
from federation.tracking import tracked, trackers_from
from server.errors import RunFailed
from server.federation import FederatedRun
from server.loop import RoundRecord
from strategies.learning.one_versus_rest import BINARY
from strategies.learning.task import federation_of
from strategies.setting_fields import is_import_path
from strategies.settings import Settings, flag
from strategies.wrappers.aggregation import build_aggregation

if TYPE_CHECKING:
    from federation.repeat import Repetition

MAX_SEEDS = 100_000


class Interrupted(Exception):
    """Ctrl-C; the message says what was kept."""


def simulate(options: argparse.Namespace) -> int:
    """Run one federation, repeat it over seeds for the interval, and report."""
    settings = settings_to_run(options)
    if settings.is_market:
        from federation.market_commands import simulate_market

        return simulate_market(options, settings)
    seeds = seeds_from(options, settings.seed)
    out = out_from(options, settings.strategy)
    check_classes(settings)  # refuse unusable data before anything is shown or written
    check_strategy(settings)
    trackers = trackers_from(options.track)
    if settings.ledger:
        from federation.ledgers import check_ledger

        check_ledger(settings.ledger)
    check_database(options, out)
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
    shown = options.quiet or options.json
    if not shown:
        sys.stderr.writelines(f"{line}\n" for line in start_lines(settings))
    keeper = keeper_from(options, settings, out)
    records: list[RoundRecord] = []
    started = now()
    try:
        with round_bar(settings, shown) as show, tracked(trackers, settings, out) as log:
            run = run_one(settings, all_of(records.append, show, log, live.round), keeper)
        live.say("all rounds done; now the figures beside it")
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted {keep_rounds(out, settings, records)}") from None
    except RunFailed as stop:
        if any(record.round for record in records):
            stop = type(stop)(f"{stop}; {keep_rounds(out, settings, records)}")
        raise stop from None
    finally:
        keeper.close()
    repetitions = _repeat(run, seeds, shown)
    result, details = _result_of_run(options, run, records, repetitions)
    with writing_in(out):
        paths = _write_run(out, result, run, records, repetitions)
    entry = result["runs"][0]
    paths["database"] = record_run(options, out, run.settings, entry, details, started)
    print_result(options, result, partial(print_run, result, paths))
    if len(repetitions) < len(seeds):
        raise Interrupted(
            f"interrupted after {len(repetitions)} of {len(seeds)} seeds: the run, its model and "
            f"what these seeds give are in {out}"
        )
    return 0


def _result_of_run(
    options: argparse.Namespace,
    run: FederatedRun,
    records: Sequence[RoundRecord],
    repetitions: Sequence["Repetition"],
) -> tuple[dict[str, Any], list[Detail]]:
    runs, summary = single_run_entries(run, repetitions)
    details = details_of(records)
    if details:
        runs[0]["trace"] = trace_of(details, runs[0])
    result = result_of(run.settings, runs, summary, baselines_of(repetitions))
    return result | {"command": repeat_command("simulate", options)}, details


def _write_run(
    out: Path,
    result: dict[str, Any],
    run: FederatedRun,
    records: Sequence[RoundRecord],
    repetitions: Sequence["Repetition"],
) -> dict[str, Any]:
    """Write all files of a run, result.json last: where it is, the others are too."""
    from federation.report.page import write_report

    fresh(out)
    paths: dict[str, Any] = {"result": out / "result.json", "rounds": out / "rounds.csv"}
    paths["picture"] = draw_run(out, result, run.settings, records, repetitions)
    paths |= draw_clinics(out, result)
    paths["report"] = write_report(out, result)
    paths["model"] = out / "model.npz"
    if ledger := ledger_text(records):
        write_text(out / "ledger.jsonl", ledger)
    write_result(out, result, run)
    return paths


def check_classes(settings: Settings) -> None:
    """Refuse data that cannot be read, cut or learnt from.

    Raises
    ------
    DataError
        Also when the records to train on are all of one class.
    """
    parts = federation_of(settings)
    if len(set(parts.table.labels[parts.train].tolist())) < len(parts.table.classes):
        raise DataError(
            "the records to train on are all of one class: give a table with both, or another seed"
            if len(parts.table.classes) == BINARY
            else "the records to train on lack a class: take another seed, or --split track"
        )


def check_strategy(settings: Settings) -> None:
    """Refuse a strategy of the user's own that cannot be imported or made.

    Raises
    ------
    SettingsError
        With the import error, in one line.
    """
    if is_import_path(settings.aggregation):
        build_aggregation(settings)


def compare(options: argparse.Namespace) -> int:
    """Run a grid of strategies, attacks, swept settings and paired seeds on all cores."""
    from federation.compare_command import compare as run_grid

    return run_grid(options)


def reproduce(options: argparse.Namespace) -> int:
    """Reproduce a figure or a table of one of the two papers."""
    from federation import reproduce as figures

    what = options.what
    if what not in REPRODUCIBLE:
        from strategies.settings import nearest

        raise UsageError(f"reproduce: unknown figure {what!r}{nearest(what, REPRODUCIBLE)}")
    if what in ("market-fig4", "market-fig5"):
        from federation.market_commands import reproduce_market

        return reproduce_market(options)
    if what == "trust-under-attack":
        from federation.trust_commands import reproduce_trust

        return reproduce_trust(options)
    if options.rules or options.levels or options.attacks or options.resume:
        raise UsageError(
            f"--rules, --levels, --attacks and --resume are of trust-under-attack, not {what}"
        )
    if what == "privacy-table":
        return _reproduce_table(options)
    if what == "shared-noise":
        from federation.shared_noise_command import reproduce_shared_noise

        return reproduce_shared_noise(options)
    if what == "privacy-mechanisms":
        return _reproduce_mechanisms(options)
    options.preset = options.preset or "paper-std"
    defaults = figures.FIG4_DEFAULTS if what == "privacy-fig4" else {}
    settings = settings_from(options, **defaults)
    seeds = seeds_from(options, settings.seed)
    _refuse_ignored(what, settings, given(options))
    out = out_from(options, what)
    check_classes(settings)
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
    print_result(options, result, partial(_print_figure, result, paths))
    return 0


REPRODUCIBLE = (
    "privacy-fig3",
    "privacy-fig4",
    "privacy-table",
    "privacy-mechanisms",
    "shared-noise",
    "market-fig4",
    "market-fig5",
    "trust-under-attack",
)


_NOT_OF_FIGURES = {
    "attack",
    "attack_schedule",
    "attackers",
    "backend",
    "ledger",
    "max_epsilon",
    "max_uploads",
    "noise",
    "price_per_epsilon",
}
_OWN_OF_FIG3 = {"clients", "epsilon", "partition", "sizes"}


def _refuse_ignored(what: str, settings: Settings, named: dict[str, Any]) -> None:
    """Refuse settings that a figure of the paper would pass over."""
    if settings.is_learning:
        raise UsageError(
            f"reproduce {what} draws the paper's data, bcwd: for --task learn use compare"
        )
    if settings.privacy != "global-dp":
        raise UsageError(
            f"reproduce {what} draws the paper's protocol, global-dp, not {settings.privacy}; for "
            "other mechanisms use reproduce privacy-mechanisms or compare"
        )
    own = _NOT_OF_FIGURES | (_OWN_OF_FIG3 if what == "privacy-fig3" else set())
    for name in named:
        if name in own:
            raise UsageError(f"reproduce {what} does not read {flag(name)}: leave it out")


def _reproduce_table(options: argparse.Namespace) -> int:
    """Measure the reproduction table of docs/reproduction.md; both presets are its own."""
    from federation.paper_table import markdown, privacy_table

    if given(options) or options.preset or options.config:
        raise UsageError(
            "reproduce privacy-table fixes every setting: it takes --seeds, --out only"
        )
    seeds, out = seeds_from(options, 1), out_from(options, "privacy-table")
    try:
        with share_bar(f"privacy-table, {len(seeds)} seeds", options.quiet or options.json) as show:
            result = privacy_table(seeds, options.workers, show)
    except KeyboardInterrupt:
        raise Interrupted("privacy-table interrupted: nothing was written") from None
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "result.json", to_json(result))
    write_text(out / "table.md", markdown(result))
    print_result(options, result, partial(print, f"{markdown(result)}\nresult: {out}"))
    return 0 if result["reproduces"] else 1


def _reproduce_mechanisms(options: argparse.Namespace) -> int:
    """Measure every mechanism over eps and random splits, by record or by patient."""
    from federation.mechanism_sweep import missed, privacy_mechanisms, table_of

    asked = given(options)
    unit = asked.pop("unit", "record")
    if asked or options.preset or options.config:
        raise UsageError(
            "reproduce privacy-mechanisms has one configuration for each mechanism: it takes "
            "--unit, --seeds and --out only"
        )
    if unit not in ("record", "patient"):
        raise UsageError(f"--unit must be record or patient, got {unit!r}")
    seeds, out = seeds_from(options, 1), out_from(options, "privacy-mechanisms")
    out.mkdir(parents=True, exist_ok=True)
    quiet = options.quiet or options.json
    try:
        with share_bar(f"privacy-mechanisms, {len(seeds)} splits", quiet) as show:
            result = privacy_mechanisms(seeds, unit, out, options.workers, show)
    except KeyboardInterrupt:
        raise Interrupted("privacy-mechanisms interrupted: nothing was written") from None
    write_text(out / "result.json", to_json(result))
    write_text(out / "table.md", table_of(result))
    lines = [table_of(result), *(f"below target: {text}" for text in missed(result))]
    lines += [f"result: {out / 'result.json'}", f"picture: {result['figures'][0]}"]
    print_result(options, result, partial(print, "\n".join(lines)))
    return 1 if missed(result) else 0


def shards(options: argparse.Namespace) -> int:
    """Cut the data as the settings say and write one file for each clinic."""
    from datasets.shards import write_shards

    settings = settings_from(options)
    if settings.is_market:
        raise UsageError("shards cuts records of clinics: --dataset carrada has none")
    if settings.is_learning:
        raise UsageError(
            "shards writes tables of two classes: --task learn has three; each device reads its "
            "part of the CARRADA root in a simulation"
        )
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
        if not options.out.strip():
            raise UsageError("--out is empty: name a directory")
        return check_out(Path(options.out))
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")[:-3]  # noqa: DTZ005 - a local name
    return check_out(Path("runs") / f"{stamp}-{name}")


def _repeat(run: FederatedRun, seeds: Sequence[int], quiet: bool) -> list["Repetition"]:
    from federation.repeat import of_run, repeat

    """Return the run and its repetitions; Ctrl-C ends them early and loses none."""
    found = [of_run(run)]
    if len(seeds) > 1:
        with (
            suppress(KeyboardInterrupt),
            share_bar(f"the same over {len(seeds)} seeds", quiet) as show,
        ):
            for number, seed in enumerate(seeds[1:], start=2):
                found.append(repeat(run.settings, seed))
                show(number / len(seeds))
    return found


def all_of(*told: Callable[[RoundRecord], None]) -> Callable[[RoundRecord], None]:
    """Return one callback that tells each of ``told`` of a round."""

    def call(record: RoundRecord) -> None:
        for tell in told:
            tell(record)

    return call


def draw_clinics(out: Path, result: Mapping[str, Any]) -> dict[str, Path]:
    """Draw each clinic over time where clinics are selected."""
    entry = result["runs"][0]
    if "trust" not in entry["rounds"][-1]:
        return {}
    from federation.trust_figures import draw_clinics_of

    return {"clinics": draw_clinics_of(out, entry, strategy_title(result["settings"]))}


def draw_run(
    out: Path,
    result: dict[str, Any],
    settings: Settings,
    records: Sequence[RoundRecord],
    repetitions: Sequence["Repetition"],
) -> Path:
    """Draw a run's accuracy over its rounds into ``out``; round 0 is not drawn."""
    from federation.figures import draw_rounds

    accuracies = [record.metrics["accuracy"] for record in records[1:]]
    return draw_rounds(out, settings, accuracies, repetitions, result["floors"])


def keep_rounds(out: Path, settings: Settings, records: Sequence[RoundRecord]) -> str:
    """Write the finished rounds of a run that did not end; return words that say where."""
    finished = [record for record in records if record.round > 0]
    if not finished:
        return "before a round was finished: nothing was written"
    path = write_interrupted(out, settings, finished)
    return f"after round {len(finished)} of {settings.rounds}; its rounds are in {path}"


def print_result(
    options: argparse.Namespace, result: dict[str, Any], table: Callable[[], None]
) -> None:
    """Print a result as ``--json`` or ``--quiet`` ask: JSON alone, nothing, or the table."""
    if options.json:
        sys.stdout.write(to_json(result))
    elif not options.quiet:
        table()


def _print_figure(result: dict[str, Any], paths: dict[str, Any]) -> None:
    for label, path in paths.items():
        sys.stdout.write(f"{label}: {path}\n")
