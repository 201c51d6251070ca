"""One federated run at the server: enrol, build the nested strategy, loop, and report."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from flwr.app import ArrayRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from server.admission import Admission
from server.cards import cards_of_server
from server.checked_grid import CheckedGrid
from server.clinic_market import ClinicOfferJudge, sells_uploads
from server.enrolment import HELLO_SECONDS, enrol, first_of
from server.errors import RunFailed
from server.hostile import hostile_network, identities_of_attackers
from server.loop import OnRound, RoundRecord, run_rounds
from server.registry import Registry
from server.replies import NOISES, Judge, TrainJudge, judge_evaluate, noised_norm_bound
from server.seals import seals_of
from server.secure_replies import secure_judges
from server.state.charging import charging
from server.state.keeper import NOTHING_KEPT, Keeper
from server.trust import SliceJudge, selects, slices_of
from server.upload_judge import upload_judge
from strategies.learning.task import dimension_of, feature_map, federation_of, judge
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.mechanisms import mechanism_of
from strategies.randomness import NoiseSource, Purpose, SeededNoise, SystemNoise
from strategies.secure_settings import terms_of
from strategies.settings import Settings, SettingsError, check_byzantine
from strategies.wrappers.aggregation import build_aggregation
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.global_differential_privacy import GlobalDifferentialPrivacy
from strategies.wrappers.market_messages import OFFER
from strategies.wrappers.own_strategy import OwnStrategyFailed
from strategies.wrappers.protocol import MODEL
from strategies.wrappers.secure_aggregation import SecureAggregation
from strategies.wrappers.state import Layers
from strategies.wrappers.vectors import to_array, to_vector


@dataclass(frozen=True)
class FederatedRun:
    """What a run leaves behind.

    Parameters
    ----------
    settings : Settings
        As run: ``clients`` is the number that was launched.
    weights : ndarray, shape (d,)
        The last broadcast model.
    rounds : list of RoundRecord
        Round 0 is the untrained model.
    sizes : tuple of int
        |D_i| by clinic.
    seconds : float
        Wall time from enrolment to the last round.
    attackers : tuple of str
        Identities of the clinics that ``--attack`` made hostile.
    """

    settings: Settings
    weights: NDArray[np.float64]
    rounds: list[RoundRecord]
    sizes: tuple[int, ...]
    seconds: float
    attackers: tuple[str, ...] = ()

    @property
    def final(self) -> dict[str, Any]:
        """Return the metrics of the last round."""
        return self.rounds[-1].metrics


def run_federation(
    grid: Grid,
    settings: Settings,
    on_round: OnRound = lambda _: None,
    wrap: Callable[[Strategy], Strategy] = lambda strategy: strategy,
    *,
    deployed: bool = False,
    keeper: Keeper = NOTHING_KEPT,
) -> FederatedRun:
    """Run one federation over a Flower grid.

    Parameters
    ----------
    grid : Grid
        Flower's, or one of ours.
    settings : Settings
        What to run; its number of clients gives way to the number that is there.
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
        When clients are missing or no reply could be used.
    """
    started = perf_counter()
    keeper.prepare(grid)
    seals = seals_of(settings, grid, keeper, deployed=deployed)
    registry = enrol(
        grid,
        settings.clients,
        admission=Admission(
            settings.min_records, cards_of_server() if deployed else {}, noises=noises_of(settings)
        ),
        simulated=settings.backend == "ray",
        deployed=deployed,
        wait=settings.node_wait,
        timeout=min(settings.round_timeout, HELLO_SECONDS),
        seals=seals,
    )
    if registry.launched != settings.clients:
        settings = settings.changed(clients=registry.launched)
    expect_enough(settings, registry)
    if settings.private and registry.noise != settings.noise:
        settings = settings.changed(noise=registry.noise)  # what the report has to say
    evaluate, dimension = held_out(settings)
    layers = build_strategy(settings, registry)
    if settings.secure:
        layers = SecureAggregation(layers, settings, dimension, partitions_of(registry))
    if settings.auction != "none":
        layers = sells_uploads(layers, settings, registry, dimension)
    if settings.selection != "none":
        layers = selects(layers, settings, registry, dimension)
    strategy = wrap(layers)
    bound = norm_bound(strategy, settings, registry.smallest_shard, dimension)
    judges: dict[str, Judge] = {
        "train": upload_judge(settings, TrainJudge(MODEL, dimension, bound)),
        "evaluate": SliceJudge(slices_of(settings)) if settings.rates_slices else judge_evaluate,
        OFFER: ClinicOfferJudge(settings, dimension),
    }
    if settings.secure:
        judges |= secure_judges(len(registry), dimension, settings.modulus_bits)
    checked = CheckedGrid(
        hostile_network(grid, settings, registry),
        judges,
        settings.round_timeout,
        registry,
        verdicts=list(registry.left_out),
        seals=seals,
    )
    initial = ArrayRecord({MODEL: to_array(np.zeros(dimension))})
    parts = {"strategy": Layers(strategy), "judge": judges["train"], "grid": checked}
    progress = keeper.resume(registry, parts, charging(settings, registry, strategy))
    # On separate machines a phase costs a round trip to all of them. A clinic's evaluation is its
    # own and sends nothing, and the next train request carries the same model: it rates it then.
    rated = not deployed or settings.selection != "none"
    try:
        arrays, rounds = run_rounds(
            strategy,
            checked,
            initial,
            settings.rounds,
            evaluate,
            on_round,
            keeper,
            progress,
            every_round_rated=rated,
        )
    except OwnStrategyFailed as fault:
        raise RunFailed(str(fault)) from fault
    return FederatedRun(
        settings,
        to_vector(arrays[MODEL]),
        rounds,
        registry.sizes,
        perf_counter() - started + (progress.seconds if progress else 0.0),
        identities_of_attackers(settings, registry),
    )


def noises_of(settings: Settings) -> tuple[str, ...]:
    """Return where clinics may say that their noise comes from: what these settings allow."""

    def allowed(noise: str) -> bool:
        try:
            settings.changed(noise=noise)
        except SettingsError:
            return False
        return True

    return tuple(noise for noise in NOISES if not settings.private or allowed(noise))


def expect_enough(settings: Settings, registry: Registry) -> None:
    """Refuse to begin when so many were left out that no round could be merged.

    Raises
    ------
    RunFailed
        With the first who was left out, and why.
    """
    if not registry.left_out:
        return
    try:
        check_byzantine(settings.aggregation, settings.byzantine, len(registry))
        if settings.secure:
            terms_of(settings, len(registry))
    except ValueError as fault:
        raise RunFailed(
            f"{len(registry)} of {settings.clients} clients can take part: {fault}"
            f"{first_of(registry.left_out)}"
        ) from fault


def build_strategy(settings: Settings, registry: Registry) -> Strategy:
    """Return the nested strategy that the settings compose."""
    strategy = build_aggregation(settings)
    if settings.privacy == "global-dp":
        strategy = GlobalDifferentialPrivacy(
            strategy, settings.calibration(), registry.smallest_shard, server_noise(settings)
        )
    return strategy


def partitions_of(registry: Registry) -> Callable[[int], int | None]:
    """Return what gives the number of the clinic at a node, None for a stranger."""

    def number(node: int) -> int | None:
        participant = registry.at(node)
        return None if participant is None else participant.partition

    return number


def server_noise(settings: Settings) -> NoiseSource:
    """Return where the server's top-up noise comes from."""
    if settings.noise != "seeded":
        return SystemNoise()
    return SeededNoise(settings.seed, Purpose.SERVER_NOISE)


def norm_bound(strategy: Strategy, settings: Settings, smallest: int, dimension: int) -> float:
    """Return the largest norm of an upload that counts, infinite where nothing is clipped."""
    if isinstance(strategy, GlobalDifferentialPrivacy):
        std = strategy.upload_noise_std
        return noised_norm_bound(strategy.calibration.clip_norm, std, dimension)
    if isinstance(strategy, StrategyWrapper):
        return norm_bound(strategy.inner, settings, smallest, dimension)
    if settings.privacy == "certified":
        mechanism = mechanism_of(settings)
        std = mechanism.noise_std(smallest) if isinstance(mechanism, CertifiedRelease) else 0.0
        return noised_norm_bound(settings.clip_norm, std, dimension)
    return float("inf")


def held_out(settings: Settings) -> tuple[Callable[[ArrayRecord], dict[str, Any]], int]:
    """Return the judge of broadcast models on the server's held-out set, and d."""
    federation = federation_of(settings)
    test = federation.table.take(federation.test)
    features = feature_map(test, settings)(test.features)

    def evaluate(arrays: ArrayRecord) -> dict[str, Any]:
        weights = to_vector(arrays[MODEL])
        return judge(weights, features, test.labels, settings.l2, test.classes).as_dict()

    return evaluate, dimension_of(test, settings)
