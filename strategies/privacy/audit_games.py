"""The claims an audit can test: each mechanism's uploads on the crafted shard."""

import numpy as np

from strategies.learning.linear_svm import FloatArray, descend
from strategies.privacy.accounting import AccountingError
from strategies.privacy.audit import Game, Uploads
from strategies.privacy.certified import CertifiedRelease
from strategies.privacy.discrete_gaussian import ExactBits, sample_discrete_gaussian
from strategies.privacy.dp_gd import DPGradientDescent
from strategies.privacy.dp_sgd import DPSGD
from strategies.privacy.global_dp import GlobalDP, clip
from strategies.privacy.gradients import unit_pulls
from strategies.privacy.rounding import round_rows
from strategies.privacy.shared_noise import SharedNoise

TRAINERS = ("converged", "paper-std")


def global_dp_game(
    protocol: GlobalDP, trainer: str = "converged", records: int = 27, dimension: int = 10
) -> Game:
    """Return the game of the paper's protocol on the crafted shard.

    Parameters
    ----------
    protocol : GlobalDP
        Its calibration; the audit's default is T = 1, B = 0.3 and eps 1 at delta 1e-5.
    trainer : str
        ``converged``: 2,000 hinge steps of 0.01, the empirical minimiser that eq. 5 asks for;
        ``paper-std``: 5 steps of 0.001, which the drift bound holds within the claim.
    records, dimension : int
        m, and the length of a feature vector with all attributes at their maximum (scaled to
        1, bias 1).

    Raises
    ------
    AccountingError
        For an unknown trainer.
    """
    steps = {"converged": (0.01, 2_000), "paper-std": (0.001, 5)}
    if trainer not in steps:
        raise AccountingError(f"unknown trainer {trainer!r}: use one of {TRAINERS}")
    rate, count = steps[trainer]
    std = protocol.upload_noise_std(records)

    def uploads(signed: FloatArray, rng: np.random.Generator, runs: int) -> FloatArray:
        start = np.zeros(dimension)
        trained = descend(start, signed, len(signed), learning_rate=rate, steps=count, l2=1e-3)
        model = clip(trained, protocol.clip_norm)
        noise = np.add.reduce(rng.standard_normal((protocol.rounds, runs, dimension)), axis=0)
        total: FloatArray = protocol.rounds * model + std * noise
        return total

    return Game(
        f"global-dp, trainer {trainer}",
        protocol.epsilon,
        protocol.delta,
        np.ones(dimension),
        records,
        uploads,
    )


def own_game(
    mechanism: DPGradientDescent | CertifiedRelease, records: int = 27, dimension: int = 10
) -> Game:
    """Return the game of dp-gd or certified, whose sensitivity the crafted shard reaches."""

    def uploads(signed: FloatArray, rng: np.random.Generator, runs: int) -> FloatArray:
        units, start = signed[:, None, :], np.zeros(dimension)
        total = np.zeros((runs, dimension))
        for _ in range(mechanism.rounds):
            normals = rng.standard_normal((runs, dimension))
            total += mechanism.upload(start, units, len(units), normals)
        return total

    name = "dp-gd" if isinstance(mechanism, DPGradientDescent) else "certified"
    return _unit_game(name, mechanism, records, dimension, uploads)


def dp_sgd_game(mechanism: DPSGD, records: int = 27, dimension: int = 10) -> Game:
    """Return the game of dp-sgd; its releases are not Gaussian, so there is no GDP bound."""

    def uploads(signed: FloatArray, rng: np.random.Generator, runs: int) -> FloatArray:
        units, start = signed[:, None, :], np.zeros((runs, dimension))
        total = np.zeros((runs, dimension))
        for _ in range(mechanism.rounds):
            normals = rng.standard_normal((mechanism.steps, runs, dimension))
            draws = rng.random((mechanism.steps, runs, len(units)))
            taken = (draws < mechanism.sample_rate).astype(np.float64)
            total += mechanism.upload(start, units, len(units), normals, taken)
        return total

    return _unit_game("dp-sgd", mechanism, records, dimension, uploads, gaussian=False)


def shared_noise_game(
    mechanism: SharedNoise, clinics: int = 5, records: int = 27, present: int | None = None
) -> Game:
    """Return the game of shared-noise: the server sees the sum of all clinics, and nothing else.

    The crafted shard is one clinic's; what the others' records add is known to the attacker and
    left out, their share of the noise is there. Rounding and noise are drawn as a clinic draws
    them, from a seeded stream. With fewer ``present`` than ``clinics`` noise is missing.
    """
    dimension = mechanism.dimension
    grid = mechanism.grid(clinics)

    def uploads(signed: FloatArray, rng: np.random.Generator, runs: int) -> FloatArray:
        bits = ExactBits(rng.bytes)
        pulls = unit_pulls(np.zeros(dimension), signed[:, None, :], mechanism.clip_norm)
        rows = np.tile(pulls / grid.width, (runs, 1))
        total = np.zeros((runs, dimension), dtype=np.int64)
        for _ in range(mechanism.rounds):
            rounded = round_rows(rows, grid.bound, bits).reshape(runs, len(pulls), dimension)
            total += np.add.reduce(rounded, axis=1)
            for _ in range(clinics if present is None else present):
                total += sample_discrete_gaussian(grid.steps, total.size, bits).reshape(total.shape)
        found: FloatArray = total.astype(np.float64) * grid.width
        return found

    point = np.full(dimension, 1 / np.sqrt(dimension))
    return Game("shared-noise", mechanism.epsilon, mechanism.delta, point, records, uploads)


def _unit_game(
    name: str,
    mechanism: DPGradientDescent | CertifiedRelease | DPSGD,
    records: int,
    dimension: int,
    uploads: Uploads,
    gaussian: bool = True,
) -> Game:
    point = np.full(dimension, 1 / np.sqrt(dimension))
    return Game(name, mechanism.epsilon, mechanism.delta, point, records, uploads, gaussian)
