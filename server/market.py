"""One market at the server: enrol devices and users, nest the layers, loop, keep the ledger."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import cast

import numpy as np
from flwr.app import ArrayRecord, MessageType
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from server.admission import Admission
from server.appraisal import appraiser_of
from server.cards import cards_of_server
from server.checked_grid import CheckedGrid
from server.enrolment import HELLO_SECONDS, enrol, first_of
from server.errors import RunFailed
from server.loop import OnRound, RoundRecord, run_rounds
from server.market_ledger import MarketLedger
from server.market_replies import PayloadJudge, RatingJudge, TokenJudge, judge_offer
from server.registry import Registry
from server.replies import Judge
from server.seals import seals_of
from server.state.charging import charging
from server.state.keeper import NOTHING_KEPT, Keeper
from server.verdicts import Verdict
from strategies.market_settings import cubes_of, market_of
from strategies.settings import Settings, SettingsError
from strategies.twin.fusion import Method
from strategies.twin.grid import Grid as Cubes
from strategies.wrappers.digital_twin import DigitalTwin
from strategies.wrappers.knapsack_auction import AuctionSettings, KnapsackAuction
from strategies.wrappers.market_messages import OFFER, TWIN, Name
from strategies.wrappers.medium import Medium
from strategies.wrappers.payload_medium import PayloadMedium
from strategies.wrappers.reputation_selection import ReputationSelection, SelectionSettings
from strategies.wrappers.state import Layers
from strategies.wrappers.synthetic_medium import SyntheticMedium
from strategies.wrappers.vectors import to_array

Wrap = Callable[[Strategy], Strategy]


@dataclass(frozen=True, eq=False)
class MarketOutcome:
    """What a market leaves behind.

    Attributes
    ----------
    settings : Settings
        As run: devices and users are those that enrolled.
    devices : tuple of str
        Names in the ledger, in identity order.
    rounds : list of RoundRecord
        Round 0 is before the first one.
    ledger : MarketLedger
        Every offer, award, payment, rating and reputation.
    seconds : float
        Wall time from enrolment to the last round.
    """

    settings: Settings
    devices: tuple[str, ...]
    rounds: list[RoundRecord]
    ledger: MarketLedger
    seconds: float


def run_market(
    grid: Grid,
    settings: Settings,
    on_round: OnRound = lambda _: None,
    wrap: Wrap = lambda strategy: strategy,
    *,
    deployed: bool = False,
    keeper: Keeper = NOTHING_KEPT,
) -> MarketOutcome:
    """Run one market over a Flower grid.

    Parameters
    ----------
    grid : Grid
        Flower's, or one of ours.
    settings : Settings
        What to run; numbers of devices and users give way to those that are there.
    on_round : callable
        Told of every round as it ends, round 0 first.
    wrap : callable
        Puts further strategy wrappers around the outside.
    deployed : bool
        Whether clients are machines with keys: their number is what the settings say.
    keeper : Keeper
        Keeps every round, and gives back those of a run that was killed.

    Raises
    ------
    RunFailed
        When devices or users are missing, or nothing was ever delivered.
    """
    started = perf_counter()
    keeper.prepare(grid)
    seals = seals_of(settings, grid, keeper, deployed=deployed)
    registry = enrol(
        grid,
        settings.nodes,
        admission=Admission(cards=cards_of_server() if deployed else {}, roles=("device", "user")),
        simulated=settings.backend == "ray",
        deployed=deployed,
        wait=settings.node_wait,
        timeout=min(settings.round_timeout, HELLO_SECONDS),
        seals=seals,
    )
    settings = _as_enrolled(settings, registry)
    name = names_of(registry)
    ledger = build_layers(settings, registry, name)
    strategy = wrap(ledger.selection or ledger.auction or ledger.twin)
    judges = judges_of(settings)
    checked = CheckedGrid(
        grid,
        judges,
        settings.round_timeout,
        registry,
        verdicts=list(registry.left_out),
        seals=seals,
        places=places_of(settings, registry),
    )
    parts = {"strategy": Layers(strategy), "ledger": ledger, "grid": checked}
    progress = keeper.resume(registry, parts, charging(settings, registry, strategy))
    if progress:
        ledger.rows = [record.details for record in progress.records if record.round]

    def note(record: RoundRecord) -> None:
        if record.round > len(ledger.rows):
            if not record.sizes:
                record.verdicts.append(_nothing_sold(ledger))
            ledger.note(record)
            record.details = ledger.rows[-1]
        on_round(record)

    nothing = ArrayRecord({TWIN: to_array(np.zeros(0))})
    _, rounds = run_rounds(
        strategy, checked, nothing, settings.rounds, lambda _: {}, note, keeper, progress
    )
    devices = tuple(name(p.node_id) for p in registry.participants if p.role == "device")
    seconds = perf_counter() - started + (progress.seconds if progress else 0.0)
    return MarketOutcome(settings, devices, rounds, ledger, seconds)


def build_layers(settings: Settings, registry: Registry, name: Name) -> MarketLedger:
    """Return the nested strategies that the settings compose, with the ledger that watches them.

    ``ReputationSelection(KnapsackAuction(DigitalTwin))``, each left out where it is off.
    """
    twin = DigitalTwin(medium_of(settings), settings.seed, name)
    layers = MarketLedger(twin)
    if settings.auction != "none":
        layers.auction = KnapsackAuction(
            twin,
            AuctionSettings(
                channels=settings.channels,
                seed=settings.seed,
                rule="greedy" if settings.auction == "greedy" else "vcg",
                reserve=settings.reserve,
                budget=settings.budget,
                discount=settings.discount == "reputation",
            ),
            appraiser_of(settings, registry),
            name,
        )
    if settings.selection != "none":
        market = market_of(settings)
        layers.selection = ReputationSelection(
            layers.auction or twin,
            SelectionSettings(
                reputation=market.reputation,
                users=settings.users,
                seed=settings.seed,
                filtered=settings.selection == "reputation",
                pair_rule=market.pair_rule,
                top_k=settings.top_k,
            ),
            name,
        )
    return layers


def medium_of(settings: Settings) -> Medium:
    """Return what the deliveries of a market are made of."""
    if settings.market == "synthetic":
        return SyntheticMedium(market_of(settings).cubes)
    return PayloadMedium(Cubes.uniform(*cubes_of(settings)), cast(Method, settings.fusion))


def judges_of(settings: Settings) -> dict[str, Judge]:
    """Return who judges which kind of reply."""
    cubes = market_of(settings).cubes
    payload = settings.market == "payload"
    return {
        OFFER: judge_offer,
        MessageType.TRAIN: PayloadJudge(cubes) if payload else TokenJudge(cubes),
        MessageType.EVALUATE: RatingJudge(cubes),
    }


def names_of(registry: Registry) -> Name:
    """Return the lasting name of a node: its partition where simulated, its key's fingerprint."""

    def name(node: int) -> str:
        participant = registry.at(node)
        if participant is None:
            raise KeyError(f"node {node} is not enrolled")
        return participant.identity.removeprefix("partition:")

    return name


def places_of(settings: Settings, registry: Registry) -> dict[int, int]:
    """Return by partition the places that differ from it: keys were revoked, or roles are mixed."""
    found = {}
    for participant in registry.participants:
        place = registry.place(participant.node_id)
        first = 0 if participant.role == "device" else settings.clients
        if participant.partition != first + place:
            found[participant.partition] = place
    return found


def _as_enrolled(settings: Settings, registry: Registry) -> Settings:
    roles = [participant.role for participant in registry.participants]
    devices, users = roles.count("device"), roles.count("user")
    if not devices or not users:
        raise RunFailed(
            f"a market needs devices and users: {devices} devices and {users} users enrolled"
            f"{first_of(registry.left_out)}"
        )
    if (devices, users) == (settings.clients, settings.users):
        return settings
    try:
        return settings.changed(clients=devices, users=users)
    except SettingsError as fault:
        raise RunFailed(f"{fault}{first_of(registry.left_out)}") from fault


def _nothing_sold(ledger: MarketLedger) -> dict[str, str]:
    sold = ledger.auction.last if ledger.auction else None
    reason = "nothing usable was delivered"
    if ledger.selection is not None and not ledger.selection.last.trusted:
        reason = "no device is trusted"
    elif sold is not None and not sold.promised:
        reason = "nobody won the auction"
    text = f"{reason}: the twin stays as it was"
    return asdict(Verdict("server", MessageType.TRAIN, "unmerged", text))
