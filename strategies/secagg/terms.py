"""What the members of one session agree on, and whom each exchanges masks with.

Complete graph: Bonawitz et al. 2017. ``neighbours`` k below that: Bell et al. 2020 (SecAgg+)
section 3, masks and shares along a k-regular Harary graph over a random order of the members.
A Harary graph stays connected when any k - 1 members leave, which makes the promise here hold
for the worst colluders and dropouts, not only with high probability.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from strategies.secagg.errors import RoundAbandoned, SecAggError

LEAST_BITS, MOST_BITS = 8, 62
"""A modulus of 2^bits that 64-bit words hold with room for a sign."""
Graph = Mapping[int, tuple[int, ...]]
LEAST_COHORT = 3
"""With two members the sum tells each what the other sent."""


@dataclass(frozen=True)
class Terms:
    """Public parameters of a session.

    Parameters
    ----------
    members : int
        n, how many were asked.
    threshold : int
        t, shares that open a secret.
    colluders : int
        c, members assumed to tell the server all they know.
    neighbours : int
        k, members each exchanges masks with; 0: everybody.
    bits : int
        The modulus is 2^bits.

    Raises
    ------
    SecAggError
        When the promise would not hold: a sum of fewer than all inputs, or one input, could be
        opened by the server and c colluders.
    """

    members: int
    threshold: int
    colluders: int = 0
    neighbours: int = 0
    bits: int = 40

    def __post_init__(self) -> None:
        """Check every bound stated above."""
        if not LEAST_BITS <= self.bits <= MOST_BITS:
            raise SecAggError(
                f"modulus bits must lie in {LEAST_BITS}..{MOST_BITS}, got {self.bits}"
            )
        if self.members < LEAST_COHORT:
            raise SecAggError(
                f"secure aggregation among {self.members} clinics hides nothing: {LEAST_COHORT} "
                "are the least"
            )
        if not 0 <= self.colluders <= self.members - 2:
            raise SecAggError(
                f"colluders {self.colluders} of {self.members} clinics leave no two honest ones "
                "whose sum could hide either: lower --colluders"
            )
        if self.neighbours and not 1 < self.neighbours < self.members:
            raise SecAggError(
                f"neighbours {self.neighbours} must lie in 2..{self.members - 1}, or be 0 for all"
            )
        holders = self.degree + 1
        least = least_threshold(most_holders(self.members, self.neighbours), self.colluders)
        if not least <= self.threshold <= holders:
            raise SecAggError(
                f"threshold {self.threshold} among {holders} holders of shares with "
                f"{self.colluders} colluders: it must lie in {least}..{holders}, so that a "
                "clinic's two secrets cannot both be opened"
            )
        if self.degree <= self.colluders:
            raise SecAggError(
                f"neighbours {self.neighbours} must be more than the {self.colluders} colluders"
            )

    @property
    def degree(self) -> int:
        """Return with how many others each member exchanges masks, before anybody drops out."""
        return self.neighbours or self.members - 1

    @property
    def least_survivors(self) -> int:
        """Return the fewest inputs whose sum may be opened.

        No more dropouts than leave t holders of every secret, and than leave the graph of honest
        survivors connected: masks between its parts would be missing, and each part's sum show.
        With the complete graph it is t.
        """
        spare = min(self.degree + 1 - self.threshold, self.degree - 1 - self.colluders)
        return self.members - spare


def most_holders(members: int, neighbours: int) -> int:
    """Return the most that hold shares of one member's secrets, itself among them.

    A graph of odd degree over an odd number of members, who may be fewer than were asked, gives
    one of them a neighbour more (:func:`graph_of`); two kinds of shares could come from it.
    """
    holders = (neighbours or members - 1) + 1
    return holders + 1 if neighbours % 2 and holders < members else holders


def least_threshold(holders: int, colluders: int) -> int:
    """Return the least t with ``2 t > n + c`` and ``t > c``.

    Each honest holder reveals one share of either secret of a member, a colluder both: to open
    both, ``2 t <= n + c`` shares would be needed (Bonawitz et al. 2017, section 6.2).
    """
    return max((holders + colluders) // 2, colluders) + 1


def default_threshold(holders: int, colluders: int) -> int:
    """Return two thirds of the holders, rounded up past it, or what the colluders need."""
    return min(holders, max(2 * holders // 3 + 1, least_threshold(holders, colluders)))


def terms_for(
    members: int, threshold: int = 0, colluders: int = 0, neighbours: int = 0, bits: int = 40
) -> Terms:
    """Return the terms among ``members``, threshold 0 standing for the default.

    Raises
    ------
    SecAggError
        As :class:`Terms`.
    """
    holders = neighbours + 1 if neighbours else members
    least = least_threshold(most_holders(members, neighbours), colluders)
    chosen = threshold or min(holders, max(default_threshold(holders, colluders), least))
    return Terms(members, chosen, colluders, neighbours, bits)


def graph_of(members: Sequence[int], keys: Sequence[bytes], degree: int) -> Graph:
    """Return the neighbours of each member, itself not among them.

    The order is drawn from a hash of everybody's fresh keys, so nobody chooses it alone.
    """
    if degree >= len(members) - 1:
        return {one: tuple(other for other in members if other != one) for one in members}
    seed = sha256(b"".join(keys)).digest()
    order = sorted(members, key=lambda m: sha256(seed + m.to_bytes(8, "big")).digest())
    n = len(order)
    edges: dict[int, set[int]] = {member: set() for member in order}
    for place, member in enumerate(order):
        for step in range(1, degree // 2 + 1):
            _join(edges, member, order[(place + step) % n])
        if degree % 2 and place < (n + 1) // 2:  # n odd: one member has one neighbour more
            _join(edges, member, order[(place + n // 2) % n])
    return {member: tuple(sorted(edges[member])) for member in members}


def _join(edges: dict[int, set[int]], one: int, other: int) -> None:
    edges[one].add(other)
    edges[other].add(one)


def check_survivors(survivors: Iterable[int], cohort: Iterable[int], terms: Terms) -> None:
    """Raise RoundAbandoned unless the sum of these inputs may be opened."""
    left, whole = set(survivors), set(cohort)
    if not left <= whole:
        raise RoundAbandoned("somebody is among the survivors who never shared keys")
    if len(left) < terms.least_survivors:
        raise RoundAbandoned(
            f"{len(left)} of {terms.members} clinics are left where {terms.least_survivors} are "
            "the least whose sum may be opened"
        )
