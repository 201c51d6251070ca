"""Accounts by identity: what was paid to whom, and what each upload cost, over all runs.

An identity is a key's fingerprint: a client that reconnects under another node id, or takes part
in another run, finds its account as it was.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection

from server.state.charges import Charges, UploadCost
from server.state.tables import EVIDENCE, PAYMENTS, UPLOADS


def write_charges(connection: Connection, run: str, round_: int, charges: Charges) -> None:
    """Write the charges of a round in the caller's transaction; what it wrote before goes."""
    for table, rows in (
        (
            PAYMENTS,
            [{"amount": amount, "identity": who} for who, amount in charges.payments.items()],
        ),
        (UPLOADS, [_upload_row(who, cost) for who, cost in charges.uploads.items()]),
    ):
        if rows:
            again = (table.c.run == run) & (table.c.round == round_)
            connection.execute(delete(table).where(again))
            connection.execute(insert(table), [{"run": run, "round": round_, **r} for r in rows])
    if charges.evidence:
        names = list(charges.evidence)
        connection.execute(delete(EVIDENCE).where(EVIDENCE.c.identity.in_(names)))
        rows = [
            {"identity": who, "run": run, "slots": json.dumps(slots)}
            for who, slots in charges.evidence.items()
        ]
        connection.execute(insert(EVIDENCE), rows)


def payments_of(connection: Connection) -> dict[str, int]:
    """Return what was paid in all, micro-credits, by identity."""
    total = func.sum(PAYMENTS.c.amount)
    query = select(PAYMENTS.c.identity, total).group_by(PAYMENTS.c.identity)
    return {who: int(amount) for who, amount in connection.execute(query)}


def uploads_of(connection: Connection) -> dict[str, list[UploadCost]]:
    """Return what each merged upload cost, by identity."""
    found: dict[str, list[UploadCost]] = {}
    query = select(UPLOADS.c.identity, UPLOADS.c.mu, UPLOADS.c.sampled).order_by(UPLOADS.c.id)
    for who, mu, sampled in connection.execute(query):
        cost = UploadCost(mu, None if sampled is None else tuple(json.loads(sampled)))
        found.setdefault(who, []).append(cost)
    return found


def evidence_of(connection: Connection, names: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
    """Return the last slots of evidence about some identities, oldest first."""
    query = select(EVIDENCE.c.identity, EVIDENCE.c.slots)
    wanted = set(names)
    return {
        who: [(int(good), int(bad)) for good, bad in json.loads(slots)]
        for who, slots in connection.execute(query)
        if who in wanted
    }


def _upload_row(who: str, cost: UploadCost) -> dict[str, Any]:
    sampled = None if cost.sampled is None else json.dumps(list(cost.sampled))
    return {"identity": who, "mu": cost.mu, "sampled": sampled}
