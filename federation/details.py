"""What layers did round by round, made small for result.json: reputations, wins and payments.

A *detail* is what :meth:`strategies.wrappers.base.StrategyWrapper.round_details` gives for one
round, with its number under ``round``.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server.loop import RoundRecord
from strategies.market.run import MarketRun

Detail = Mapping[str, Any]
MOST_POINTS = 100
"""Rounds of a trace: a picture of a thousand points shows no more than one of a hundred."""
HONEST = "honest"
_DIGITS = 6
_MARKET_KINDS = {"type1": "type 1", "type2": "type 2", "type3": "type 3"}
_MARKET_ATTACKERS = ("type 2", "type 3")


def details_of(records: Iterable[RoundRecord]) -> list[Detail]:
    """Return the details of the rounds of a run in which layers did anything."""
    return [{**record.details, "round": record.round} for record in records if record.details]


def ledger_text(records: Iterable[RoundRecord]) -> str:
    """Return what layers did in every round as JSON lines, with whose upload was used."""
    rows = [
        {
            "round": record.round,
            "merged": [name.removeprefix("partition:") for name in record.sizes],
            "uploaded": [name.removeprefix("partition:") for name in record.uploaded],
            **record.details,
        }
        for record in records
        if record.details
    ]
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


def details_of_market(run: MarketRun, place: int = 0) -> list[Detail]:
    """Return the details of one seed of the vectorised market; it keeps no ratings."""
    found: list[Detail] = []
    for step in range(run.wins.shape[1]):
        standing = run.reputations[place, step]
        able = run.settings.reputation.trusts(standing)
        won = run.wins[place, step]
        paid = {
            str(device): int(run.payments[place, step, device])
            for device in range(len(won))
            if won[device]
        }
        found.append(
            {
                "round": step + 1,
                "reputations": {str(n): float(value) for n, value in enumerate(standing)},
                "trusted": [str(device) for device in range(len(won)) if able[device]],
                "offers": {
                    str(device): [
                        int(run.costs[place, step, device]),
                        int(run.values[place, step, device]),
                        None,
                    ]
                    for device in range(len(won))
                    if able[device]
                },
                "promised": paid,
                "delivered": list(paid),
                "paid": paid,
            }
        )
    return found


def kinds_of(entry: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """Return kind and whether it attacks of each participant whose truth is known.

    Parameters
    ----------
    entry : mapping
        A run's entry in result.json. Strategies never see this: it is the experimenter's.
    """
    attackers = (entry.get("attack") or {}).get("attackers", [])
    hostile = entry["cell"].get("attack") != "none"
    devices = (entry.get("market") or {}).get("devices", {})
    kinds = {
        name: (_MARKET_KINDS[kind], hostile and _MARKET_KINDS[kind] in _MARKET_ATTACKERS)
        for kind, names in devices.items()
        for name in names
    } | {name: ("attacker", True) for name in attackers}
    return dict(sorted(kinds.items(), key=lambda pair: _natural(pair[0])))


def trace_of(details: Sequence[Detail], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return reputations at up to a hundred rounds, wins and payments, by participant.

    Returns
    -------
    dict
        ``rounds``, ``reputations`` ``{name: [R or None]}``, ``wins`` ``{name: rounds won}``,
        ``paid`` ``{name: micro-credits}``, ``kinds`` ``{name: kind}``, ``attackers`` and
        ``by_kind`` ``{kind: {participants, wins, paid}}``; empty without details.
    """
    if not details:
        return {}
    last = len(details) - 1
    count = min(MOST_POINTS, len(details))
    places = sorted({round(last * n / max(count - 1, 1)) for n in range(count)})
    chosen = [details[place] for place in places]
    names = {name for detail in details for name in _named(detail)}
    wins: Counter[str] = Counter()
    paid: Counter[str] = Counter()
    for detail in details:
        wins.update(detail.get("delivered", []) if "paid" in detail else [])
        paid.update(detail.get("paid", {}))
    order = sorted(names, key=_natural)
    kinds = kinds_of(entry)
    curves = {
        name: [_rounded(detail.get("reputations", {}).get(name)) for detail in chosen]
        for name in order
    }
    return {
        "rounds": [detail["round"] for detail in chosen],
        "reputations": {
            name: curve for name, curve in curves.items() if any(v is not None for v in curve)
        },
        "wins": {name: wins[name] for name in order} if wins else {},
        "paid": {name: paid[name] for name in order} if paid else {},
        "kinds": {name: kind for name, (kind, _) in kinds.items()},
        "attackers": [name for name, (_, attacks) in kinds.items() if attacks],
        "by_kind": _by_kind(order, kinds, wins, paid) if paid else {},
    }


def _by_kind(
    names: Sequence[str],
    kinds: Mapping[str, tuple[str, bool]],
    wins: Mapping[str, int],
    paid: Mapping[str, int],
) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name in sorted({*names, *kinds}, key=lambda name: (kind_of(kinds, name), _natural(name))):
        row = found.setdefault(kind_of(kinds, name), {"participants": 0, "wins": 0, "paid": 0})
        row["participants"] += 1
        row["wins"] += wins.get(name, 0)
        row["paid"] += paid.get(name, 0)
    return found


def kind_of(kinds: Mapping[str, tuple[str, bool]], name: str) -> str:
    """Return what somebody is: who is not known to attack is honest."""
    return kinds.get(name, (HONEST, False))[0]


def _named(detail: Detail) -> set[str]:
    return {*detail.get("reputations", {}), *detail.get("offers", {}), *detail.get("paid", {})}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _natural(name: str) -> tuple[str, int, str]:
    """Return a key by which device 10 comes after device 9."""
    head = name.rstrip("0123456789")
    return head, int(name[len(head) :] or 0), name
