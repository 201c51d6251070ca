"""The command ``reproduce trust-under-attack``, after its flags are read."""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from federation.commands import Interrupted, out_from, print_result, seeds_from
from federation.console import share_bar
from federation.flags import UsageError, given
from federation.results import to_json, write_text
from federation.trust_figures import NOBODY, accuracy_of, draw_heat_map
from federation.trust_round_figures import draw_rounds, level_name
from federation.trust_rounds import over_rounds, read_rounds
from federation.trust_table import (
    LEVELS,
    ROUNDS,
    RULES,
    TABLE_RULES,
    Row,
    attacks_of,
    grid,
    run_grid,
    summary_of,
)

FIRST_SEED = 1000
"""Seeds from here on were never used to choose a constant of the detector."""
FIRST_SEED_OF_OBJECTS = 2000
"""On CARRADA: its learners were chosen on seeds 1001 to 1005."""
RUNS = "runs.csv"
SELECTING = [rule for rule in RULES if rule.startswith(("reputation", "trusted"))]
_GONE_THROUGH = (
    "privacy",
    "aggregation",
    "selection",
    "auction",
    "attack",
    "epsilon",
    "byzantine",
)


def reproduce_trust(options: argparse.Namespace) -> int:
    """Run the table, or what is left of it, and write runs, means and picture."""
    overrides = given(options)
    if options.preset or options.config:
        raise UsageError(
            "reproduce trust-under-attack takes flags only: leave --preset and --config out"
        )
    for name in _GONE_THROUGH:
        if name in overrides:
            raise UsageError(
                f"--{name} is what the table goes through: name some with --rules, --levels or "
                "--attacks"
            )
    overrides.setdefault("attackers", 6.0)
    carrada = overrides.get("dataset") == "carrada"
    first = FIRST_SEED_OF_OBJECTS if carrada else FIRST_SEED
    seeds = seeds_from(options, overrides.pop("seed", first))
    rules = _names(options.rules) or list(TABLE_RULES)
    levels = _names(options.levels) or list(LEVELS)
    attacks = attacks_of(options.attacks or "")
    tasks = grid(rules, levels, attacks, seeds, overrides)
    out = out_from(options, "trust-under-attack")
    if (out / RUNS).exists() and not options.resume:
        raise UsageError(
            f"{out / RUNS} has runs of an earlier table: add --resume to go on, or name another "
            "--out"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "settings.json", to_json({"overrides": overrides, "seeds": list(seeds)}))
    try:
        with share_bar(f"{len(tasks)} runs", options.quiet or options.json) as show:
            rows = run_grid(tasks, out / RUNS, options.workers, show)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: finished runs are kept in {out / RUNS}; add --resume to go on"
        ) from None
    summary = summary_of(rows)
    result: dict[str, Any] = {"settings": overrides, "seeds": list(seeds), "summary": summary}
    title = f"{_hostile(overrides)}, mean over {len(seeds)} seeds; 50 % or less is dark"
    picture = draw_heat_map(summary, out / "trust-under-attack.png", title)
    pictures = [picture, *draw_over_rounds(rows, out, overrides)]
    result["figures"] = [str(path) for path in pictures]
    write_text(out / "result.json", to_json(result))
    table = table_of(summary)
    write_text(out / "table.md", table)
    print_result(
        options, result, partial(_say, table, [out / "result.json", out / RUNS, *pictures])
    )
    return 0


def draw_over_rounds(rows: Sequence[Row], out: Path, overrides: Mapping[str, Any]) -> list[Path]:
    """Draw the rates over rounds of each rule that selects, a picture for each level of privacy."""
    kept = [row.key for row in rows if row.rule in SELECTING]
    rates = over_rounds(read_rounds(out / ROUNDS, kept))
    return [
        draw_rounds(
            {attack: found for (r, v, attack), found in rates.items() if (r, v) == (rule, level)},
            out / f"rounds-{rule.replace('+', '-')}-{level}.png",
            f"{rule}, {level_name(level)}; {_hostile(overrides)}",
        )
        for rule, level in dict.fromkeys(cell[:2] for cell in rates)
    ]


def _hostile(overrides: Mapping[str, Any]) -> str:
    clinics, hostile = overrides.get("clients", 20), overrides["attackers"]
    count = round(hostile * clinics) if hostile < 1 else int(hostile)
    data = "CARRADA objects" if overrides.get("dataset") == "carrada" else "BCWD"
    return f"{data}, {count} of {clinics} clinics attack"


def table_of(summary: Sequence[Mapping[str, Any]]) -> str:
    """Return worst attack, mean over attacks and no attack of each cell as a Markdown table."""
    rules = list(dict.fromkeys(row["strategy"] for row in summary))
    levels = list(dict.fromkeys(row["cell"]["privacy"] for row in summary))
    names = [level if level[0] not in "0123456789" else f"eps {level}" for level in levels]
    lines = [
        "accuracy %: worst attack (which) / mean over attacks / nobody attacks",
        "",
        "| rule | " + " | ".join(names) + " |",
        "| --- |" + " --- |" * len(levels),
    ]
    for rule in rules:
        cells = [_cell(accuracy_of(summary, rule, level)) for level in levels]
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n" + _rates(summary)


def _cell(found: dict[str, float]) -> str:
    calm = found.pop(NOBODY, None)
    shown = "-" if calm is None else f"{calm:.1f}"
    if not found:
        return shown
    worst = min(found, key=found.__getitem__)
    mean = sum(found.values()) / len(found)
    return f"{found[worst]:.1f} ({worst}) / {mean:.1f} / {shown}"


def _rates(summary: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each selecting rule and attack: who was shut out, rightly or not."""
    lines = [
        "",
        "| rule | privacy | attack | accuracy % | honest out % | attackers out % | malicious % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    cells: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
    for row in summary:
        key = (row["strategy"], row["cell"]["privacy"], row["cell"]["attack"])
        cells.setdefault(key, {})[row["metric"]] = row
    for key, metrics in cells.items():
        if metrics["honest_out"]["mean"] is not None:
            order = ("accuracy", "honest_out", "found", "malicious")
            shown = " | ".join(_percent(metrics[name]) for name in order)
            lines.append(f"| {' | '.join(key)} | {shown} |")
    return "\n".join(lines) + "\n" if len(lines) > 3 else ""  # noqa: PLR2004


def _percent(row: Mapping[str, Any]) -> str:
    if row["mean"] is None:
        return "-"
    low, high = row["ci95_low"], row["ci95_high"]
    half = "" if low is None or high is None else f" ± {50 * (high - low):.1f}"
    return f"{100 * row['mean']:.1f}{half}"


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _say(table: str, paths: Sequence[Path]) -> None:
    print("\n".join([table, *(str(path) for path in paths)]))
