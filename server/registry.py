"""Who takes part: identities, roles and record counts, fixed once at enrolment.

A client is its key: the fingerprint of the public key that Flower authenticated, or the
partition number where clients are simulated. ``node_id`` is only where it can be reached now.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from server.errors import RunFailed
from server.verdicts import Verdict

KEY = "key:"
"""What the identity of a client with a key begins with."""


@dataclass(frozen=True)
class Participant:
    """One enrolled client.

    Parameters
    ----------
    identity : str
        ``key:...`` or ``partition:...``; what reputations and ledgers belong to.
    partition : int
        Its number, from 0; replies are summed in this order.
    node_id : int
        Where Flower reaches it at present.
    role : str
        ``clinic``, ``device`` or ``user``; said once, bound to the identity.
    records : int
        |D_i| as it enrolled; the weight of its replies, public by assumption.
    noise : str
        Where it says its noise comes from.
    """

    identity: str
    partition: int
    node_id: int
    role: str
    records: int
    noise: str = "seeded"


class Registry:
    """Participants by node, in identity order; each has its own number and its own name.

    Parameters
    ----------
    participants : iterable of Participant
        Who takes part.
    left_out : sequence of Verdict
        Who answered at enrolment and does not take part, and why.
    launched : int
        How many clients the run was set up for, those left out among them; 0: as take part.

    Raises
    ------
    RunFailed
        When none is left.
    """

    def __init__(
        self,
        participants: Iterable[Participant],
        left_out: Sequence[Verdict] = (),
        launched: int = 0,
    ) -> None:
        self.participants = tuple(sorted(participants, key=lambda p: p.partition))
        self.left_out = tuple(left_out)
        self.launched = launched or len(self.participants)
        if not self.participants:
            raise RunFailed("no client enrolled: nobody to train with")
        self._by_node = {p.node_id: p for p in self.participants}

    def __len__(self) -> int:
        return len(self.participants)

    def at(self, node_id: int) -> Participant | None:
        """Return who is enrolled at a node, None for a stranger."""
        return self._by_node.get(node_id)

    @property
    def keyed(self) -> bool:
        """Return whether participants are known by their keys."""
        return self.participants[0].identity.startswith(KEY)

    def place(self, node_id: int) -> int:
        """Return a participant's place among those of its role, from 0, in order of their numbers.

        Numbers of keys have gaps where keys were revoked, and belong to no role; places do not.
        """
        own = self._by_node[node_id]
        same = [p.partition for p in self.participants if p.role == own.role]
        return same.index(own.partition)

    def follow(self, node_id: int, public_key: bytes) -> int | None:
        """Let a participant be reached at a node that has its key; return where it was before.

        The former node id still names it, for what is on its way. None for a stranger.
        """
        identity = identity_of(public_key, -1)
        for place, participant in enumerate(self.participants):
            if participant.identity == identity:
                moved = replace(participant, node_id=node_id)
                before = self.participants[:place]
                self.participants = (*before, moved, *self.participants[place + 1 :])
                self._by_node[node_id] = moved
                return participant.node_id
        return None

    @property
    def noise(self) -> str:
        """Return the weakest source of noise among the participants: seeded if anyone's is."""
        sources = {p.noise for p in self.participants}
        return "seeded" if "seeded" in sources else min(sources)

    @property
    def smallest_shard(self) -> int:
        """Return m, the least |D_i|."""
        return min(p.records for p in self.participants)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return |D_i| of every participant in identity order."""
        return tuple(p.records for p in self.participants)


def identity_of(public_key: bytes, partition: int) -> str:
    """Return the lasting name of a client: its key's fingerprint, or its partition."""
    if public_key:
        return f"{KEY}{sha256(public_key).hexdigest()}"
    return f"partition:{partition}"


def names_of(registry: Registry) -> Callable[[int], str]:
    """Return the lasting name of a node: the identity it enrolled with."""

    def name(node: int) -> str:
        participant = registry.at(node)
        return f"node:{node}" if participant is None else participant.identity

    return name
