"""The settings of the market: what the paper leaves open, as flags of every command.

Ismail et al., "Enhancing Trust and Security in the Vehicular Metaverse"; docs/market.md says
where each default comes from.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strategies.setting_fields import (
    LARGEST,
    MOST_CLIENTS,
    MOST_CREDITS,
    MOST_ROUNDS,
    SettingsError,
    setting,
)

if TYPE_CHECKING:
    from strategies.market import MarketSettings
    from strategies.reputation import ReputationSettings
    from strategies.settings import Settings

GROUP = "market"
MARKETS = ("synthetic", "payload")
AUTO = "auto"
SELECTIONS = (AUTO, "none", "unfiltered", "reputation")
AUCTIONS = (AUTO, "none", "knapsack", "greedy")
FUSIONS = ("union", "vote", "medoid")
TAMPERINGS = ("hide", "move", "insert", "reclass")
ATTACKS = ("mixed", "none", "stale", "tamper", "mitm", *TAMPERINGS)
TYPES = 3
AXES = 3
MAX_CUBES = 63
MAX_WEATHER = 1.5
MARKET_CHANNELS = 20


@dataclass(frozen=True)
class MarketFields:
    """Settings that only ``--dataset carrada`` reads."""

    market: str = setting(
        "synthetic",
        GROUP,
        "synthetic: values, costs, sizes and coverage drawn; payload: from CARRADA deliveries",
        choices=MARKETS,
    )
    users: int = setting(
        20, GROUP, "number of users M that rate the twin", minimum=1, maximum=MOST_CLIENTS
    )
    episode_length: int = setting(
        50,
        GROUP,
        "rounds of one episode: one scene, one decision of a type-3 device",
        minimum=1,
        maximum=MOST_ROUNDS,
    )
    cubes: str = setting(
        "2x2x2", GROUP, "slices of the twin along range x azimuth x Doppler, or their number K"
    )
    channels: int = setting(
        0,
        GROUP,
        "B, channels on offer in a round; 0: 20 on a market, enough for every clinic among clinics",
        minimum=0,
        maximum=MOST_CLIENTS,
    )
    cover: float = setting(
        0.3,
        GROUP,
        "probability that a device covers a cube in a round",
        minimum=0.0,
        maximum=1.0,
    )
    visit: float = setting(
        0.5,
        GROUP,
        "probability that a user visits a cube in a round",
        minimum=0.0,
        maximum=1.0,
    )
    selection: str = setting(
        AUTO,
        GROUP,
        "whom the server trusts: everybody, by reputation without or with Algorithm 1; auto: "
        "reputation on a market, none among clinics",
        choices=SELECTIONS,
    )
    z: float = setting(
        0.8, GROUP, "fading: what evidence of one round ago still weighs", above=0.0, below=1.0
    )
    omega: float = setting(
        0.4, GROUP, "omega_1, weight of a positive; omega_2 is 1 - omega_1", above=0.0, below=1.0
    )
    alpha: float = setting(
        0.5,
        GROUP,
        "base rate: what uncertainty counts for, a newcomer's reputation",
        minimum=0.0,
        maximum=1.0,
    )
    theta: float = setting(
        0.5,
        GROUP,
        "devices with a reputation of at least theta are trusted",
        minimum=0.0,
        maximum=1.0,
    )
    window: int = setting(
        50, GROUP, "Y, rounds of evidence remembered", minimum=1, maximum=MOST_ROUNDS
    )
    top_k: int = setting(
        0,
        GROUP,
        "only the best so many of the trusted are asked; 0 is all",
        minimum=0,
        maximum=MOST_CLIENTS,
    )
    pair_rule: str = setting(
        "reputation",
        GROUP,
        "of two devices at a cube the less reputed is blamed, or a coin decides",
        choices=("reputation", "coin"),
    )
    auction: str = setting(
        AUTO,
        GROUP,
        "who sells: everybody trusted, the exact optimum at VCG payments, or greedily; auto: "
        "knapsack on a market or where clinics price their epsilon, else none",
        choices=AUCTIONS,
    )
    discount: str = setting(
        "none",
        GROUP,
        "what the auction multiplies a value by: nothing, or the reputation",
        choices=("none", "reputation"),
    )
    reserve: int = setting(
        0,
        GROUP,
        "most that is paid for a delivery, micro-credits; 0 is no limit",
        minimum=0,
        maximum=MOST_CREDITS,
    )
    budget: int = setting(
        0,
        GROUP,
        "most that a round may spend, micro-credits; 0 is no limit; not truthful",
        minimum=0,
        maximum=MOST_CREDITS,
    )
    types: str = setting("", GROUP, "devices of type 1,2,3: 7,7,6; none: even, rotated by seed")
    attack_rates: str = setting(
        "0.05,0.5,0.5", GROUP, "p of types 1 and 2 a round and of type 3 an episode"
    )
    slot: float = setting(
        0.1,
        GROUP,
        "seconds a delivery may take; at 1 s every payload needs one channel",
        above=0.0,
        maximum=LARGEST,
    )
    channel_rate: float = setting(
        10_000.0, GROUP, "r, bits a second of a channel", above=0.0, maximum=1e15
    )
    fusion: str = setting(
        "union",
        GROUP,
        "what the twin shows of a cube: all that is reported, what half report, or one delivery",
        choices=FUSIONS,
    )
    complaint_threshold: float = setting(
        0.6,
        GROUP,
        "difference in a cube above which a user complains",
        minimum=0.0,
        maximum=LARGEST,
    )
    weather: float = setting(
        1.0,
        GROUP,
        "factor on semantic values in bad weather, 1 to 1.5",
        minimum=1.0,
        maximum=MAX_WEATHER,
    )


def check_market(settings: "Settings") -> None:
    """Hold the settings of a market against each other.

    Raises
    ------
    SettingsError
        With one line: what, why, what to do.
    """
    market_of(settings)
    cubes_of(settings)
    type_counts(settings)
    if settings.privacy != "none":
        raise SettingsError(
            f"--privacy {settings.privacy} belongs to --dataset bcwd: deliveries of the market "
            "are bought as they are; leave it out"
        )
    if settings.market == "synthetic" and settings.data:
        raise SettingsError("--data names a CARRADA root, which --market payload reads: add that")
    if settings.selection == "none" and (settings.discount != "none" or settings.top_k):
        raise SettingsError(
            "--discount and --top-k need reputations: choose --selection reputation"
        )
    if settings.auction == "none" and (settings.reserve or settings.budget):
        raise SettingsError("--reserve and --budget need an auction: choose --auction knapsack")


def market_of(settings: "Settings") -> "MarketSettings":
    """Return the mechanism's own settings, from which the world is drawn.

    Raises
    ------
    SettingsError
        When the mechanism refuses a value.
    """
    from strategies.market import MarketError, MarketSettings
    from strategies.reputation import ReputationError

    ranges, azimuths, dopplers = cubes_of(settings)
    try:
        return MarketSettings(
            devices=settings.clients,
            users=settings.users,
            cubes=ranges * azimuths * dopplers,
            channels=settings.channels,
            episodes=-(-settings.rounds // settings.episode_length),
            steps=settings.episode_length,
            cover=settings.cover,
            visit=settings.visit,
            attack=attack_rates(settings),
            pair_rule="coin" if settings.pair_rule == "coin" else "reputation",
            discount=settings.discount == "reputation",
            reputation=reputation_of(settings),
        )
    except (MarketError, ReputationError) as fault:
        raise SettingsError(str(fault)) from fault


def reputation_of(settings: "Settings") -> "ReputationSettings":
    """Return the constants of reputations by ratings.

    Raises
    ------
    SettingsError
        When the mechanism refuses a value.
    """
    from strategies.reputation import ReputationError, ReputationSettings

    try:
        return ReputationSettings(
            positive_weight=settings.omega,
            negative_weight=1.0 - settings.omega,
            base_rate=settings.alpha,
            fading=settings.z,
            threshold=settings.theta,
            window=settings.window,
        )
    except ReputationError as fault:
        raise SettingsError(str(fault)) from fault


def attack_rates(settings: "Settings") -> tuple[float, float, float]:
    """Return p of types 1, 2 and 3; zeros when nobody attacks."""
    try:
        one, two, three = (float(part) for part in settings.attack_rates.split(","))
    except ValueError:
        raise SettingsError(
            f"--attack-rates {settings.attack_rates!r}: give three probabilities, as in "
            "0.05,0.5,0.5"
        ) from None
    return (0.0, 0.0, 0.0) if settings.attack == "none" else (one, two, three)


def type_counts(settings: "Settings") -> tuple[int, int, int] | None:
    """Return how many devices are of type 1, 2 and 3; None: spread evenly."""
    if not settings.types.strip():
        return None
    try:
        one, two, three = (int(part) for part in settings.types.split(","))
    except ValueError:
        one = two = three = -1
    if min(one, two, three) < 0:
        raise SettingsError(f"--types {settings.types!r}: give three counts, as in 7,7,6")
    if one + two + three != settings.clients:
        raise SettingsError(
            f"--types {settings.types} are {one + two + three} devices and --clients is "
            f"{settings.clients}: make them equal"
        )
    return one, two, three


def cubes_of(settings: "Settings") -> tuple[int, int, int]:
    """Return the slices along range, azimuth and Doppler; a number K is cut as evenly as it goes.

    Raises
    ------
    SettingsError
        When the text is neither, or names more cubes than a set of bits holds.
    """
    try:
        parts = [int(part) for part in settings.cubes.lower().split("x")]
    except ValueError:
        parts = []
    if len(parts) == 1 and 1 <= parts[0] <= MAX_CUBES:
        parts = list(_factors(parts[0]))
    if len(parts) != AXES or min(parts) < 1 or parts[0] * parts[1] * parts[2] > MAX_CUBES:
        raise SettingsError(
            f"--cubes {settings.cubes!r}: give slices along range, azimuth and Doppler such as "
            f"2x2x2, or their number, 1 to {MAX_CUBES} in all"
        )
    return parts[0], parts[1], parts[2]


def _factors(count: int) -> tuple[int, int, int]:
    """Return three factors of a count, as near to each other as it allows, largest first."""
    splits = [
        (count // (a * b), b, a)
        for a in range(1, count + 1)
        if count % a == 0
        for b in range(a, count // a + 1)
        if (count // a) % b == 0 and count // (a * b) >= b
    ]
    return min(splits, key=max)
