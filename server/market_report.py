"""The figures of a finished market, by an experimenter who knows who attacked when.

The strategies never see any of this: types and attacks are drawn again from the seed, and laid
beside what the ledger says happened.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.market import MarketOutcome
from server.report import finite_values
from strategies.market.run import MarketRun
from strategies.market_settings import market_of
from strategies.market_world import device_part, moment, types_of
from strategies.settings import Settings

FIGURES = (
    "share_type1",
    "share_type2",
    "share_type3",
    "welfare",
    "adjusted_welfare",
    "attack_rate",
    "honest_excluded",
    "payments",
    "surplus",
    "overpayment",
    "blame_precision",
)
"""What a market is judged by; the first nine are the design's."""
MONEY = ("welfare", "adjusted_welfare", "payments", "surplus")
"""Those that are micro-credits a round; the others are fractions."""


def market_entry(outcome: MarketOutcome) -> dict[str, Any]:
    """Return one element of ``runs`` in result.json."""
    run = market_run(outcome)
    settings = outcome.settings
    return {
        "strategy": settings.strategy,
        "cell": {"market": settings.market, "attack": settings.attack},
        "seed": settings.seed,
        "clients": settings.clients,
        "users": settings.users,
        "rounds": [finite_values(record.as_dict()) for record in outcome.rounds[1:]],
        "final": figures_of(run)[0] | {"seconds": outcome.seconds},
        "privacy": {},
        "market": _details(outcome, run),
    }


def figures_of(run: MarketRun) -> list[dict[str, Any]]:
    """Return the figures of every seed of a run, money in whole micro-credits a round.

    ``blame_precision`` is None where nobody was blamed.
    """
    columns = {f"share_type{k + 1}": run.shares[:, k] for k in range(run.shares.shape[1])} | {
        "welfare": run.welfare,
        "adjusted_welfare": run.adjusted_welfare,
        "attack_rate": run.attack_rate,
        "honest_excluded": run.honest_excluded,
        "payments": run.paid,
        "surplus": run.surplus,
        "overpayment": run.overpayment,
        "blame_precision": run.precision,
    }
    return [
        {
            name: round(float(column[seed])) if name in MONEY else float(column[seed])
            for name, column in columns.items()
        }
        | ({} if run.blamed[seed] else {"blame_precision": None})
        for seed in range(len(run.types))
    ]


def market_run(outcome: MarketOutcome) -> MarketRun:
    """Return a ledger beside the truth, in the form of the vectorised market.

    A win is a delivery that was used. Without an auction nobody names a price: values, costs and
    payments are 0.
    """
    settings, rows = outcome.settings, outcome.ledger.rows
    places = {name: place for place, name in enumerate(outcome.devices)}
    shape = (1, len(rows), len(places))
    values, costs, payments = (np.zeros(shape, np.int64) for _ in range(3))
    wins = np.zeros(shape, np.bool_)
    reputations = np.full(shape, settings.alpha)
    for step, row in enumerate(rows):
        for name, (price, value, _) in row["offers"].items():
            values[0, step, places[name]], costs[0, step, places[name]] = value, price
        for name, payment in row["paid"].items():
            payments[0, step, places[name]] = payment
        for name, reputation in row["reputations"].items():
            reputations[0, step, places[name]] = reputation
        wins[0, step, [places[name] for name in row["delivered"]]] = True
    attacks, spoiled = _truth(settings, len(rows))
    blamed = [
        (step, cube, places[name]) for step, row in enumerate(rows) for cube, name in row["blamed"]
    ]
    guilty = sum(_is_guilty(settings, attacks, spoiled, *blame) for blame in blamed)
    return MarketRun(
        settings=market_of(settings),
        types=types_of(settings)[None],
        values=values,
        costs=costs,
        payments=payments,
        wins=wins,
        attacks=attacks[None],
        reputations=reputations,
        blamed=np.array([len(blamed)]),
        guilty=np.array([guilty]),
    )


def _truth(settings: Settings, rounds: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return who attacks when and the cube spoiled in synthetic mode, each of shape (T, N)."""
    attacks = np.zeros((rounds, settings.clients), np.bool_)
    spoiled = np.full((rounds, settings.clients), -1, np.int64)
    for step in range(rounds):
        episode, at = moment(settings, step + 1)
        for device in range(settings.clients):
            part = device_part(settings, device, episode)
            attacks[step, device], spoiled[step, device] = part.attacks[at], part.spoiled[at]
    return attacks, spoiled


def _is_guilty(
    settings: Settings,
    attacks: NDArray[np.bool_],
    spoiled: NDArray[np.int64],
    step: int,
    cube: int,
    device: int,
) -> bool:
    """Return whether a blamed device had spoiled the cube; of a payload, whether it attacked."""
    if settings.market == "synthetic":
        return bool(spoiled[step, device] == cube)
    return bool(attacks[step, device])


def _details(outcome: MarketOutcome, run: MarketRun) -> dict[str, Any]:
    """Return the market block: what the final figures do not say.

    A cube was wrong if any user complained of it.
    """
    rows = outcome.ledger.rows
    verdicts = [v for row in rows for v in row["verdicts"] if v["identity"] != "server"]
    kinds = dict(zip(outcome.devices, run.types[0].tolist(), strict=True))
    by_type = {
        f"type{kind}": [name for name, own in kinds.items() if own == kind] for kind in (1, 2, 3)
    }
    return {
        "devices": by_type,
        "deliveries": int(run.wins.sum()),
        "tampered": int((run.wins & run.attacks).sum()),
        "cubes_shown": sum(record.metrics.get("covered", 0) for record in outcome.rounds),
        "cubes_wrong": sum(_union(row["ratings"]).bit_count() for row in rows),
        "complaints": sum(bits.bit_count() for row in rows for _, bits in row["ratings"].values()),
        "blamed": int(run.blamed[0]),
        "guilty": int(run.guilty[0]),
        "unused_replies": len(verdicts),
        "overbooked": sum(len(row["overbooked"]) for row in rows),
        "rounds_without_delivery": sum(not row["delivered"] for row in rows),
        "reputations": rows[-1]["reputations"] if rows else {},
    }


def _union(ratings: dict[str, list[int]]) -> int:
    """Return the cubes that any user complained of, as bits."""
    complained = 0
    for _, bits in ratings.values():
        complained |= bits
    return complained
