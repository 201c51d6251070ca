"""The command line behind ``./run_federation.sh``."""

import os
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper

from federation.flags import Help, Parser, UsageError, add_settings, fail
from federation.live.view import add_live_flags, add_port

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")

MAX_WORKERS = 1024
PROGRAM = "./run_federation.sh"
DISTRIBUTION = "trusted-federation"
INTRODUCTION = """\
Federations of parties that do not trust each other, on Flower. Research only: not a medical device.

usage: {prog} [COMMAND] [flags]

Without a command: the main job. 20 clinics train a diagnosis SVM on the Breast Cancer Wisconsin
data under global differential privacy; the flags are those of simulate.

On this machine:
  simulate              one federated run; --dataset carrada: a market of devices that sell, some
                        that cheat, and users that complain
  compare               strategies and settings against each other, over paired seeds
  reproduce WHAT        a figure or table of the two papers; reproduce --help lists them
  audit privacy         attack a mechanism: does it keep what it claims?
  audit auction         search for lies that pay, with the server's checks on and off

With a finished run:
  predict --model DIR FILE   diagnose new records with a trained model
  report DIR            one offline HTML page of a run or a comparison
  live DIR              play it back on a local page (--live of simulate and compare: while it goes)
  runs list             the runs under runs/; also runs show N, runs export --out DIR, and
                        runs show --ledger FILE: the privacy that clinics have spent

On separate machines:
  shards --out DIR      write each clinic's own data file
  keys --host NAME      make keys and certificates
  server                run the server: encrypted, for registered clients
  client --keys DIR     run a client with this machine's own data
  submit                send a run to a server
  doctor --keys DIR     check keys, clocks, ports, versions, data

This installation:
  setup [NAME ...]      make or refresh .venv; with names, add optional extras
  test [--fast]         the test suite; --fast: without the slow tests
  --version             versions of this project, Flower and Python

Each command has its own --help with all its flags (setup and test have none).
Exit codes: 0 done, 2 bad input (nothing written), 1 a run that failed, 130 interrupted.
"""
Action = Callable[[Namespace], int]
_WHAT = (
    "privacy-fig3, privacy-fig4, privacy-table, privacy-mechanisms, shared-noise, market-fig4, "
    "market-fig5 or trust-under-attack"
)
DEPLOYMENT = ("keys", "server", "client", "submit", "doctor")
COMMANDS = (
    "simulate",
    "compare",
    "live",
    "reproduce",
    "shards",
    "predict",
    "audit",
    "runs",
    "report",
    *DEPLOYMENT,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; no mistake of a user ends in a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in ("--help", "-h", "help"):
        sys.stdout.write(INTRODUCTION.format(prog=PROGRAM))
        return 0
    for stream in (sys.stdout, sys.stderr):  # a file name may be no UTF-8, a terminal may not be
        if isinstance(stream, TextIOWrapper):
            with suppress(OSError):
                stream.reconfigure(errors="backslashreplace")
    if words == ["--version"]:
        sys.stdout.write(_versions())
        return 0
    try:
        return _run(words)
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as fault:
        code = _exit_code(fault)
        if code is None:
            raise
        return fail(str(fault), code)


def _versions() -> str:
    from importlib.metadata import version

    ours, flower = version(DISTRIBUTION), version("flwr")
    return f"{DISTRIBUTION} {ours}, Flower {flower}, Python {sys.version.split()[0]}\n"


def _run(words: list[str]) -> int:
    command = "simulate"
    default_seeds = "10"
    if words and not words[0].startswith("-"):
        command, default_seeds = words.pop(0), "1"
        if command not in COMMANDS:
            from strategies.settings import nearest

            raise UsageError(f"unknown command {command!r}{nearest(command, COMMANDS)}")
    if command == "audit" and words[:1] == ["auction"]:
        command = f"{command} {words.pop(0)}"
    parser, action = _PARSERS[command](default_seeds)
    return action()(parser.parse_args(words))


def _exit_code(fault: Exception) -> int | None:
    from datasets.errors import DataError
    from federation.commands import Interrupted
    from federation.deployment.errors import DeploymentError
    from federation.outputs import DatabaseError
    from federation.results import OutputError
    from server.errors import RunFailed, StateError
    from server.model import ModelError
    from strategies.settings import SettingsError

    bad = (UsageError, SettingsError, DataError, OutputError, ModelError, DatabaseError)
    if isinstance(fault, (*bad, StateError, DeploymentError)):
        return 2
    if isinstance(fault, Interrupted):
        return 130
    if isinstance(fault, RunFailed):
        return 1
    if isinstance(fault, OSError):
        return 1
    return None


def _simulate(seeds: str) -> tuple[Parser, Callable[[], Action]]:
    from federation.checkpoints import add_flags

    parser = _parser(
        "simulate",
        "Run one federation and report it beside baselines and floors. The defaults\n"
        "here are the main job's; strategies and presets have some of their own: docs/settings.md.",
    )
    add_settings(parser)
    _add_output(parser)
    add_flags(parser)
    _add_seeds(parser, seeds, "seeds that the run is repeated over for mean and interval")
    _add_database(parser)
    parser.add_argument(
        "--track",
        metavar="NAME,...",
        help="log every round to tensorboard, mlflow or wandb-offline, below --out",
    )
    add_live_flags(parser)
    return parser, _command("simulate")


def _compare(_: str) -> tuple[Parser, Callable[[], Action]]:
    parser = _parser("compare", "Run strategies and swept settings over paired seeds on all cores.")
    group = parser.add_argument_group("the grid")
    group.add_argument(
        "--strategies",
        metavar="A,B",
        help="strategies to compare (default global-dp,fedavg; on carrada all but trusted)",
    )
    group.add_argument(
        "--attacks", metavar="A,B", help="attacks to compare, none among them; see docs/attacks.md"
    )
    group.add_argument(
        "--sweep", action="append", metavar="NAME=V,V", help="setting and its values; repeatable"
    )
    add_settings(parser, without=("strategy",))
    _add_output(parser)
    _add_seeds(parser, "10", "paired seeds of each cell")
    _add_workers(parser)
    _add_database(parser)
    add_live_flags(parser)
    parser.add_argument(
        "--resume", action="store_true", help="keep the finished runs of this comparison, go on"
    )
    return parser, _command("compare")


def _reproduce(_: str) -> tuple[Parser, Callable[[], Action]]:
    parser = _parser(
        "reproduce",
        "Reproduce a figure of one of the two papers, or a table of what reproduces.",
        "WHAT [flags]",
    )
    parser.add_argument("what", metavar="WHAT", help=_WHAT)
    add_settings(parser)
    _add_output(parser)
    _add_seeds(parser, "30", "seeds behind each mean and interval")
    _add_workers(parser)
    _add_table(parser)
    return parser, _command("reproduce")


def _add_table(parser: Parser) -> None:
    group = parser.add_argument_group("trust-under-attack")
    group.add_argument("--rules", metavar="A,B", help="rows of the table; none: all but trusted")
    group.add_argument(
        "--levels", metavar="A,B", help="columns: none, an epsilon of dp-gd, global-EPSILON"
    )
    group.add_argument("--attacks", metavar="A,B", help="attacks on learning; none: nobody attacks")
    group.add_argument("--resume", action="store_true", help="keep finished runs in --out, go on")


def _shards(_: str) -> tuple[Parser, Callable[[], Action]]:
    parser = _parser("shards", "Cut the data and write one file for each clinic (mode 0600).")
    add_settings(parser)
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="directory for the files, new or empty"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace shards already there")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    return parser, _command("shards")


def _predict(_: str) -> tuple[Parser, Callable[[], Action]]:
    parser = _parser(
        "predict",
        "Diagnose new records with a trained model. Research only: not a medical device.",
        "--model DIR FILE",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help="records, in the format of the data that the model was trained on",
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="--out directory of a simulate or submit"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")

    def action() -> Action:
        from federation.predict import predict

        return predict

    return parser, action


def _live(_: str) -> tuple[Parser, Callable[[], Action]]:
    parser = _parser("live", "Play a finished run back on a local page, until Ctrl-C.", "DIR")
    parser.add_argument("directory", metavar="DIR", help="--out of a run or a comparison")
    add_port(parser)

    def action() -> Action:
        from federation.live.command import play

        return play

    return parser, action


def _runs(_: str) -> tuple[Parser, Callable[[], Action]]:
    parser = _parser(
        "runs",
        "What the results databases hold: list them, show a run, export every table; with "
        "--ledger, what clinics have spent over all runs on their data.",
        "list|show [N]|export [flags]",
    )
    parser.add_argument("what", metavar="WHAT", help="list, show or export")
    parser.add_argument("number", nargs="?", metavar="N", help="show: number of the run")
    parser.add_argument("--dir", metavar="DIR", help="directory of a run (default: all in runs/)")
    _add_database(parser)
    parser.add_argument("--format", default="csv", metavar="NAME", help="export: csv or parquet")
    parser.add_argument("--out", metavar="DIR", help="export: directory for the files")
    parser.add_argument("--ledger", metavar="FILE", help="show: privacy ledger, file or URL")
    parser.add_argument(
        "--delta",
        type=float,
        default=1e-5,
        metavar="X",
        help="show --ledger: delta at which epsilon is read (default 1e-5)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")

    def action() -> Action:
        from federation.runs_command import export_runs, list_runs, show_run

        return _only("runs", {"list": list_runs, "show": show_run, "export": export_runs})

    return parser, action


def _report(_: str) -> tuple[Parser, Callable[[], Action]]:
    parser = _parser(
        "report",
        "Write report.html, one offline page, from the result.json of a simulate or compare.",
        "DIR",
    )
    parser.add_argument("directory", metavar="DIR", help="--out directory of a run")

    def action() -> Action:
        from federation.report.page import report

        return report

    return parser, action


def _audit(_: str) -> tuple[Parser, Callable[[], Action]]:
    parser = _parser(
        "audit",
        "Attack a privacy mechanism in two worlds that differ in one record, and say whether the "
        "claim stands.",
        "privacy|auction [flags]",
    )
    parser.add_argument("what", metavar="WHAT", help="privacy; see also audit auction --help")
    add_audit_flags(parser)

    def action() -> Action:
        from federation.audit import audit_privacy

        return _only("audit", {"privacy": audit_privacy}, "privacy", "auction")

    return parser, action


def _audit_auction(_: str) -> tuple[Parser, Callable[[], Action]]:
    from federation.auction_audit import add_flags, audit_auction_command

    parser = _parser(
        "audit auction",
        "Search for lies that pay in the auction, with the server's checks on and off.",
    )
    add_flags(parser)
    _add_output(parser)
    return parser, lambda: audit_auction_command


def _deployment(command: str) -> Callable[[str], tuple[Parser, Callable[[], Action]]]:
    def make(_: str) -> tuple[Parser, Callable[[], Action]]:
        from federation.deployment import flags

        text, action = flags.COMMANDS[command]
        parser = _parser(command, text)
        getattr(flags, f"add_{command}_flags")(parser)
        if command == "submit":
            _add_output(parser)
            _add_database(parser)
        return parser, action

    return make


def _only(command: str, actions: dict[str, Action], *known: str) -> Action:
    def run(options: Namespace) -> int:
        if options.what not in actions:
            from strategies.settings import nearest

            raise UsageError(
                f"{command}: unknown {options.what!r}{nearest(options.what, known or set(actions))}"
            )
        return actions[options.what](options)

    return run


def add_audit_flags(parser: Parser) -> None:
    """Add the flags of ``audit privacy``."""
    parser.add_argument(
        "--privacy",
        default="global-dp",
        metavar="NAME",
        help="mechanism: global-dp, certified, dp-gd or dp-sgd (default global-dp)",
    )
    parser.add_argument("--epsilon", default="1", metavar="X", help="claim to test (default 1)")
    parser.add_argument("--delta", default="1e-5", metavar="X", help="its delta (default 1e-5)")
    parser.add_argument(
        "--trainer",
        default="converged",
        metavar="NAME",
        help="of global-dp: converged or paper-std (default converged)",
    )
    parser.add_argument(
        "--runs", default="20000", metavar="N", help="runs in each world (default 20000)"
    )
    parser.add_argument(
        "--seed", default="1", metavar="N", help="seed of noise and data (default 1)"
    )
    _add_output(parser)


def _command(name: str) -> Callable[[], Action]:
    def load() -> Action:
        from federation import commands

        return getattr(commands, name)  # type: ignore[no-any-return]

    return load


def _parser(command: str, text: str, arguments: str = "[flags]") -> Parser:
    usage = f"{PROGRAM} {command} {arguments}"
    return Parser(
        prog=f"{PROGRAM} {command}",
        usage=usage,
        description=text,
        formatter_class=Help,
        allow_abbrev=False,
    )


def _add_output(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--out", metavar="DIR", help="where results go (default: new under runs/)")
    group.add_argument("--quiet", action="store_true", help="print nothing but errors")
    group.add_argument("--json", action="store_true", help="print result.json and nothing else")


def _add_seeds(parser: Parser, default: str, text: str) -> None:
    parser.add_argument("--seeds", default=default, metavar="N", help=f"{text} (default {default})")


def _add_database(parser: Parser) -> None:
    parser.add_argument(
        "--database",
        metavar="URL",
        help="results database, a file or SQLAlchemy URL (default: results.db in --out; also "
        "FEDERATION_DATABASE)",
    )


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_WORKERS:
        raise ArgumentTypeError(f"must be a whole number from 1 to {MAX_WORKERS}, got {text!r}")
    return int(text)


def _add_workers(parser: Parser) -> None:
    parser.add_argument(
        "--workers", type=_positive, metavar="N", help="processes (default: all cores)"
    )


_PARSERS: dict[str, Callable[[str], tuple[Parser, Callable[[], Action]]]] = {
    "simulate": _simulate,
    "compare": _compare,
    "reproduce": _reproduce,
    "shards": _shards,
    "predict": _predict,
    "audit": _audit,
    "audit auction": _audit_auction,
    "live": _live,
    "runs": _runs,
    "report": _report,
    **{command: _deployment(command) for command in DEPLOYMENT},
}

if __name__ == "__main__":
    sys.exit(main())
