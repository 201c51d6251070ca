"""When and how a dishonest device attacks: its own randomised plan, known to nobody else.

Ismail et al., section II-B: stale data, tampering with the twin, or a man in the middle who
alters what the device sent. Types and probabilities are those of section IV-A.
"""

from dataclasses import dataclass
from functools import lru_cache

from datasets.carrada.tampering import Tampering
from strategies.market_settings import TAMPERINGS
from strategies.market_world import device_part, moment
from strategies.randomness import Purpose, generator
from strategies.settings import Settings

STALE, TAMPER, MITM = "stale", "tamper", "mitm"
_MIXED = (STALE, TAMPER, MITM)


@dataclass(frozen=True)
class Attack:
    """One attack.

    Parameters
    ----------
    kind : str
        ``stale``, ``tamper`` or ``mitm``.
    how : Tampering, optional
        How an object is altered; None leaves it to the scene.
    """

    kind: str
    how: Tampering | None = None

    def __str__(self) -> str:
        """Return a few words for people."""
        return f"{self.kind} ({self.how})" if self.how else self.kind


def attack_at(settings: Settings, device: int, server_round: int) -> Attack | None:
    """Return a device's attack in a round, None if it delivers what it sees."""
    episode, step = moment(settings, server_round)
    return _attacks(settings, device, episode)[step]


@lru_cache(maxsize=512)
def _attacks(settings: Settings, device: int, episode: int) -> tuple[Attack | None, ...]:
    planned = device_part(settings, device, episode).attacks
    rng = generator(settings.seed, Purpose.ATTACK_KIND, device, episode)
    kinds = rng.integers(len(_MIXED), size=len(planned))
    ways = rng.integers(len(TAMPERINGS), size=len(planned))
    return tuple(
        _attack(settings.attack, _MIXED[kind], Tampering(TAMPERINGS[way])) if attacks else None
        for attacks, kind, way in zip(planned, kinds, ways, strict=True)
    )


def _attack(asked: str, kind: str, how: Tampering) -> Attack:
    if asked in TAMPERINGS:
        return Attack(TAMPER, Tampering(asked))
    kind = kind if asked == "mixed" else asked
    return Attack(kind) if kind == STALE else Attack(kind, how)
