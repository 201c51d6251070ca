"""``audit auction``: a search for lies that pay, with the server's checks on and off."""

import argparse
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from federation.commands import out_from, print_result
from federation.console import share_bar
from federation.flags import Parser, UsageError
from federation.results import to_json, write_text
from strategies.auction.audit import CREDIT, KINDS, AuditResult, audit_auction
from strategies.setting_fields import nearest

PURPOSE = 4101
MAX_TRIES = 10_000_000
RULES = ("vcg", "greedy")
WHAT_IT_IS = {
    "cost": "asks for more or less than it costs",
    "value": "claims another value than it delivers",
    "channels": "books fewer channels than it needs",
    "overbooking": "books more channels than it needs",
    "pair": "two devices agree on their prices and share the gain",
}


def audit_auction_command(options: argparse.Namespace) -> int:
    """Try lies of every kind, print which paid, and write audit.json."""
    tries = _whole(options.tries, "--tries", 1, MAX_TRIES)
    seed = _whole(options.seed, "--seed", 0, 2**63)
    reserve = _whole(options.reserve, "--reserve", 0, 2**40)
    if options.rule not in RULES:
        raise UsageError(f"--rule: unknown value {options.rule!r}{nearest(options.rule, RULES)}")
    out = out_from(options, "audit-auction")
    found: list[AuditResult] = []
    cases = [(kind, checks) for kind in KINDS for checks in (True, False)]
    with share_bar(f"{len(cases) * tries} lies", options.quiet or options.json) as show:
        for number, (kind, checks) in enumerate(cases):
            rng = np.random.default_rng(np.random.SeedSequence((seed, PURPOSE, number // 2)))
            found.append(
                audit_auction(
                    rng, kind, tries, checks=checks, rule=options.rule, reserve=reserve or None
                )
            )
            show((number + 1) / len(cases))
    result = {
        "what": "auction",
        "rule": options.rule,
        "reserve": reserve,
        "tries": tries,
        "seed": seed,
        "cases": [_entry(each) for each in found],
    }
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "audit.json", to_json(result))
    print_result(options, result, partial(_print, result, out))
    return 0


def add_flags(parser: Parser) -> None:
    """Add the flags of ``audit auction``."""
    parser.add_argument(
        "--tries", default="2000", metavar="N", help="lies of each kind (default 2000)"
    )
    parser.add_argument("--rule", default="vcg", metavar="NAME", help="vcg or greedy (default vcg)")
    parser.add_argument(
        "--reserve", default="0", metavar="N", help="reserve price, micro-credits; 0: none"
    )
    parser.add_argument("--seed", default="1", metavar="N", help="default 1")


def _entry(found: AuditResult) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "checks": found.checks,
        "tried": found.tried,
        "profitable": found.profitable,
        "share": found.share,
        "markets": found.markets,
        "irrational": found.irrational,
        "best": [{"lie": str(lie), "gain": lie.gain / CREDIT} for lie in found.best],
    }


def _print(result: Mapping[str, Any], out: Any) -> None:
    console = Console(highlight=False)
    table = Table(
        title=f"lies that pay under {result['rule']}, {result['tries']} tried of each kind",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("a device ...")
    table.add_column("with checks", justify="right")
    table.add_column("without", justify="right")
    by_case = {(case["kind"], case["checks"]): case for case in result["cases"]}
    for kind in KINDS:
        cells = [f"{by_case[kind, checks]['share']:.1%}" for checks in (True, False)]
        table.add_row(WHAT_IT_IS[kind], *cells)
    console.print(table)
    irrational = sum(case["irrational"] for case in result["cases"])
    console.print(f"winners who told the truth and were paid less than their cost: {irrational}")
    for case in result["cases"]:
        if case["best"]:
            checks = "with checks" if case["checks"] else "without checks"
            console.print(f"{checks}, {case['kind']}: {case['best'][0]['lie']}")
    console.print(
        "checks: the server appraises what was delivered, and pays for booked channels only. "
        "No auction that is efficient stops pairs that share their gains."
    )
    console.print(f"result: {out / 'audit.json'}", soft_wrap=True)


def _whole(text: str, flag: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise UsageError(f"{flag} must be a whole number from {low} to {high}, got {text!r}")
    return value
