"""What the terminal says of attackers, of replies that were not used, and of Krum's f."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from strategies.attack_settings import count_attackers
from strategies.settings import Settings, byzantine_limit
from strategies.trust_settings import largest_cohort
from strategies.wrappers.byzantine import BYZANTINE

MOST_NAMED = 12
SIMULATED = "partition:"
"""Begins the identity of who is simulated; behind it stands the number."""


def attack_line(entry: Mapping[str, Any], who: str = "clinics") -> str:
    """Return who attacked how in one line, empty without an attack."""
    attack = entry["attack"]
    if not attack:
        return ""
    names = [name.removeprefix(SIMULATED) for name in attack["attackers"]]
    listed = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    return (
        f"attack: {attack['name']}, {attack['schedule']}, by {len(names)} of {entry['clients']} "
        f"{who}" + (f": {listed}" if names else "")
    )


def lowered_line(entry: Mapping[str, Any], byzantine: int) -> str:
    """Return in how many rounds f was lower than set, empty when in none."""
    rounds = entry["rounds"][1:]
    lower = [row[BYZANTINE] for row in rounds if row.get(BYZANTINE, byzantine) < byzantine]
    if not lower:
        return ""
    return (
        f"f = {byzantine} was lowered in {len(lower)} of {len(rounds)} rounds, down to "
        f"{min(lower)}: fewer clinics were asked, or attackers were found out before"
    )


def print_attack(
    console: Console, entry: Mapping[str, Any], byzantine: int = 0, who: str = "clinics"
) -> None:
    """Print who attacked, and for each client and reason how many replies were not used."""
    line = attack_line(entry, who)
    if line:
        console.print(line, soft_wrap=True)
    lowered = lowered_line(entry, byzantine)
    if lowered:
        console.print(lowered, soft_wrap=True)
    unused = Counter(
        (verdict["identity"], verdict["message_type"], verdict["kind"], verdict["reason"])
        for row in entry["rounds"]
        for verdict in row["verdicts"]
    )
    if not unused:
        return
    console.print(f"replies not used: {sum(unused.values())}")
    for (name, what, kind, why), count in unused.most_common(MOST_NAMED):
        called = name.replace(SIMULATED, f"{who.removesuffix('s')} ")
        console.print(f"  {called}: {count} x {what} {kind}: {why}", soft_wrap=True, markup=False)
    if len(unused) > MOST_NAMED:
        console.print(f"  and {len(unused) - MOST_NAMED} more in result.json")


def _cohort_lines(settings: Settings) -> list[str]:
    """Return what f is possible where a round asks fewer than all; it is lowered there."""
    from strategies.learning.task import dimension_of, table_of

    cohort = largest_cohort(settings, dimension_of(table_of(settings), settings))
    if cohort == settings.clients:
        return []
    open_to_all = settings.auction != "none" and settings.selection != "none"
    after = " after the first, which is open to all," if open_to_all else ""
    limit = byzantine_limit(settings.aggregation, cohort) or 0
    if limit < 0:
        return [
            f"{settings.aggregation}: a round{after} asks at most {cohort} clinics and merges "
            "nothing of fewer than 3 replies; raise --channels or --top-k"
        ]
    told = "" if settings.byzantine <= limit else ", to which it is lowered"
    return [f"a round{after} asks at most {cohort} clinics: f at most {limit} there{told}"]


def start_lines(settings: Settings) -> list[str]:
    """Return what is worth knowing before a run starts: Krum's f, and attackers beyond it."""
    limit = byzantine_limit(settings.aggregation, settings.clients)
    if limit is None:
        return []
    factor = 4 if settings.aggregation == "bulyan" else 2
    lines = [
        f"{settings.aggregation}: f = {settings.byzantine} set, at most {limit} possible with "
        f"{settings.clients} clinics ({factor} f + 3 replies needed)"
    ]
    lines += _cohort_lines(settings)
    hostile = count_attackers(settings)
    if hostile > settings.byzantine:
        lines.append(
            f"{hostile} clinics attack and f is {settings.byzantine}: the rule allows for fewer "
            "than there are; see --byzantine"
        )
    return lines
