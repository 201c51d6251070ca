"""What the server of an experiment knows of its attackers, for the record of the run only.

No layer reads this: a strategy has to find out by itself.
"""

from flwr.app import Message
from flwr.serverapp import Grid

from server.duplicates import RepeatingGrid
from server.registry import Registry
from strategies.attack_settings import attackers_of, is_active
from strategies.settings import Settings

DUPLICATES = "duplicate-reply"


def identities_of_attackers(settings: Settings, registry: Registry) -> tuple[str, ...]:
    """Return who attacks, in identity order."""
    hostile = set(attackers_of(settings))
    return tuple(p.identity for p in registry.participants if p.partition in hostile)


def hostile_network(grid: Grid, settings: Settings, registry: Registry) -> Grid:
    """Return the grid as the attackers' own nodes make it look: theirs may answer twice."""
    if settings.attack != DUPLICATES:
        return grid
    hostile = {
        p.node_id: p.partition
        for p in registry.participants
        if p.partition in attackers_of(settings)
    }

    def repeats(request: Message) -> bool:
        partition = hostile.get(request.metadata.dst_node_id)
        round_ = _round(request)
        return partition is not None and is_active(settings, partition, round_)

    return RepeatingGrid(grid, repeats)


def _round(request: Message) -> int:
    for record in request.content.config_records.values():
        if "server-round" in record:
            return int(record["server-round"])  # type: ignore[arg-type]  # ours, not a peer's
    return 1
