"""Who of those that answered at enrolment takes part, and why the others do not.

A client that lies about itself, or claims what another claims, is left out by name: it is that
client's problem, never the run's.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from server.registry import KEY, Participant
from server.replies import NOISES, ROLES
from server.verdicts import Verdict
from strategies.wrappers.protocol import HELLO


@dataclass(frozen=True)
class Admission:
    """What is asked of a client.

    Parameters
    ----------
    minimum : int
        Fewest records a clinic may enrol with: a false m = 1 would drown the model in noise.
    cards : mapping of str to int
        Number by identity, of the clients whose keys the server keeps.
    roles, noises : collection of str
        Those that the run has a use for.
    """

    minimum: int = 1
    cards: Mapping[str, int] = field(default_factory=dict)
    roles: Iterable[str] = ROLES
    noises: Iterable[str] = NOISES

    def sort(self, enrolled: Iterable[Participant]) -> tuple[list[Participant], list[Verdict]]:
        """Return who takes part, and a verdict on each of the others.

        Of several that claim one number, the one whose card says so takes part; where no card
        says, none does. A key that answers for several nodes is one participant too many.
        """
        verdicts: list[Verdict] = []
        rest = _sift(list(enrolled), self._fault, verdicts)
        names = Counter(one.identity for one in rest if one.identity.startswith(KEY))
        rest = _sift(rest, lambda one: _again(one, names), verdicts)
        own = {one.partition for one in rest if self._by_card(one)}
        rest = _sift(rest, lambda one: self._taken(one, own), verdicts)
        claims = Counter(one.partition for one in rest)
        return _sift(rest, lambda one: _shared(one, claims), verdicts), verdicts

    def _by_card(self, one: Participant) -> bool:
        return self.cards.get(one.identity) == one.partition

    def _fault(self, one: Participant) -> str:
        number = self.cards.get(one.identity, one.partition)
        if number != one.partition:
            return f"claims number {one.partition} and its card says {number}: not enrolled"
        if one.records < self.minimum:
            return (
                f"enrolled with {one.records} records where {self.minimum} are asked for: give it "
                "more or lower --min-records"
            )
        if one.role not in self.roles:
            return f"says it is a {one.role}, of which this run has none: not enrolled"
        if one.noise not in self.noises:
            return f"says its noise is {one.noise}, which this run cannot have: not enrolled"
        return ""

    def _taken(self, one: Participant, own: set[int]) -> str:
        if one.partition in own and not self._by_card(one):
            return f"claims number {one.partition}, which is another's by its card: not enrolled"
        return ""


def _again(one: Participant, names: Counter[str]) -> str:
    if names[one.identity] > 1:
        return "enrolled more than once: one key is one participant; give each its own"
    return ""


def _shared(one: Participant, claims: Counter[int]) -> str:
    if claims[one.partition] > 1:
        return (
            f"claims partition {one.partition}, as another does: both are left out; give each its "
            "own partition-id"
        )
    return ""


def _sift(
    people: list[Participant], fault: Callable[[Participant], str], verdicts: list[Verdict]
) -> list[Participant]:
    """Return those without a fault; the others' verdicts are added."""
    found = [(one, fault(one)) for one in people]
    verdicts += [Verdict(_name(one), HELLO, "rejected", why) for one, why in found if why]
    return [one for one, why in found if not why]


def _name(one: Participant) -> str:
    """Return who is meant: without a key, what it calls itself is what is in doubt."""
    if one.identity.startswith(KEY):
        return one.identity
    return f"{one.identity} (node {one.node_id})"
