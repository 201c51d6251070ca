"""``runs list|show|export``: what the results databases hold."""

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Any

from federation.flags import UsageError
from federation.outputs import DATABASE, DATABASE_VARIABLE, database_of
from federation.results import check_out

FOLDER = Path("runs")


def list_runs(options: argparse.Namespace) -> int:
    """Print one line for each run."""
    from federation.database.store import ResultsStore

    rows: list[dict[str, Any]] = []
    for place in _places(options):
        with ResultsStore(place, create=False) as store:
            rows += [{"database": store.shown, **row} for row in store.runs()]
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        _print_runs(rows)
    return 0


def show_run(options: argparse.Namespace) -> int:
    """Print one run: how it ended, its figures, what its noise certifies; all of it as JSON.

    With ``--ledger``, what clinics have spent over all runs instead.
    """
    if options.ledger is not None:
        from federation.ledgers import show

        return show(options)
    from federation.database.store import ResultsStore

    if options.number is None:
        raise UsageError("runs show: name a run by its number in runs list, or --ledger FILE")
    with ResultsStore(_place(options), create=False) as store:
        run = store.run(_number(options.number))
        if options.json:
            sys.stdout.write(json.dumps(run, indent=1) + "\n")
        else:
            _print_run(run, store.shown)
    return 0


def export_runs(options: argparse.Namespace) -> int:
    """Write every table as a file of its own, CSV or Parquet."""
    from federation.database.export import FORMATS, export
    from federation.database.store import ResultsStore
    from strategies.settings import nearest

    if options.format not in FORMATS:
        raise UsageError(
            f"--format: unknown {options.format!r}{nearest(options.format, set(FORMATS))}"
        )
    if options.out is None or not options.out.strip():
        raise UsageError("runs export: name the directory for the files with --out")
    out = check_out(Path(options.out))
    with ResultsStore(_place(options), create=False) as store:
        paths = export(store, out, options.format)
    for path, count in paths.items():
        sys.stdout.write(f"{path}: {count} rows\n")
    return 0


def _places(options: argparse.Namespace) -> Sequence[str | Path]:
    """Return the database that is named, or those of all directories under ``runs/``."""
    import os

    if options.database is not None or os.environ.get(DATABASE_VARIABLE) or options.dir is not None:
        return [_place(options)]
    found = sorted(FOLDER.glob(f"*/{DATABASE}"))
    if not found:
        raise UsageError(f"no {DATABASE} under {FOLDER}/: name one with --database, or a DIR")
    return found


def _place(options: argparse.Namespace) -> str | Path:
    """Return one database: ``--database``, that of ``--dir``, or the only one under ``runs/``."""
    import os

    if options.dir is not None:
        if options.database is not None:
            raise UsageError("--dir and --database name two databases: give one of them")
        return Path(options.dir) / DATABASE
    if options.database is not None or os.environ.get(DATABASE_VARIABLE):
        return database_of(options, FOLDER)
    found = sorted(FOLDER.glob(f"*/{DATABASE}"))
    if len(found) != 1:
        raise UsageError(
            f"{len(found)} directories under {FOLDER}/ have a {DATABASE}: name one with --dir DIR "
            "or --database"
        )
    return found[0]


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 62:
        raise UsageError(f"runs show: {text!r} is no number of a run: see runs list")
    return int(text)


def _print_runs(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table for each database: aligned for people, with tabs where a program reads."""
    for_people = sys.stdout.isatty()
    for database, own in groupby(rows, key=lambda row: str(row["database"])):
        listed = list(own)
        names = [name for name in listed[0] if name != "database"]
        table = [names, *([_text(row[name]) for name in names] for row in listed)]
        sys.stdout.write(f"{database}\n{_aligned(table) if for_people else _tabbed(table)}")
    if not rows:
        sys.stdout.write("no runs\n")
    elif for_people:
        place = Path(str(rows[-1]["database"]))
        where = f" --dir {place.parent}" if place.name == DATABASE else ""
        sys.stdout.write(
            "accuracy: share of held-out records; seconds: of the run\n"
            f"more of one: ./run_federation.sh runs show {rows[-1]['id']}{where}\n"
        )


def _aligned(table: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in table
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _tabbed(table: Sequence[Sequence[str]]) -> str:
    buffer = StringIO()
    csv.writer(buffer, delimiter="\t", lineterminator="\n").writerows(table)
    return buffer.getvalue()


def _print_run(run: Mapping[str, Any], place: str) -> None:
    entry = run["entry"]
    lines = [f"run {run['id']} of {place}: {run['command']}, {run['status']}, {run['started']}"]
    for title in ("strategy", "dataset", "seed", "seconds"):
        lines.append(f"{title}: {_text(run[title])}")
    lines += [f"cell {name}: {_text(value)}" for name, value in entry["cell"].items()]
    if entry.get("failure"):
        lines.append(f"failure: {entry['failure']}")
    lines += [f"{name}: {_text(value)}" for name, value in entry.get("final", {}).items()]
    lines.append(f"rounds: {len(entry.get('rounds', []))}")
    lines += [f"version {name}: {value}" for name, value in run["versions"].items()]
    lines.append("settings, rounds and privacy: the same command with --json")
    sys.stdout.write("\n".join(lines) + "\n")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
