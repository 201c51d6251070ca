"""GlobalDifferentialPrivacy: tells clinics their noise, then tops it up before the broadcast.

M. Letafati and S. Otoum, "Global Differential Privacy for Distributed Metaverse Healthcare
Systems", eqs. 11-14. The clinics' half is the client mod of :mod:`clients.noise_mod`.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from strategies.privacy.global_dp import GlobalDP
from strategies.randomness import NoiseSource
from strategies.wrappers.base import StrategyWrapper, averages_linearly

_CONFIG_KEYS = (
    "dp-epsilon",
    "dp-delta",
    "dp-clip-norm",
    "dp-rounds",
    "dp-exposures",
    "dp-reading",
    "dp-smallest-shard",
)


class GlobalDifferentialPrivacy(StrategyWrapper):
    """Wrap any strategy in the paper's clip-then-noise protocol.

    Parameters
    ----------
    inner : Strategy
        What merges the noised uploads. Around anything but a linear average sigma_2 is 0
        and the broadcast inherits the guarantee of the upload.
    calibration : GlobalDP
        The public parameters eps, delta, B, T, E and the reading of sigma.
    smallest_shard : int
        m, fixed at enrolment.
    noise : NoiseSource
        Where the server's own noise comes from.
    """

    def __init__(
        self, inner: Strategy, calibration: GlobalDP, smallest_shard: int, noise: NoiseSource
    ) -> None:
        super().__init__(inner)
        self.calibration = calibration
        self.smallest_shard = smallest_shard
        self.noise = noise
        self.linear = averages_linearly(inner)

    @property
    def upload_noise_std(self) -> float:
        """Return sigma_1, what each clinic adds."""
        return self.calibration.upload_noise_std(self.smallest_shard)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Put the calibration into the config that every clinic's mod reads."""
        for key, value in to_config(self.calibration, self.smallest_shard).items():
            config[key] = value
        return self.inner.configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Merge the replies, then add sigma_2 noise; nothing merged means nothing added."""
        replies = list(replies)
        sizes = [_size(reply) for reply in replies if reply.has_content()]
        arrays, metrics = self.inner.aggregate_train(server_round, replies)
        if arrays is None:
            return None, metrics
        std = self.broadcast_noise_std(sizes)
        metrics = MetricRecord() if metrics is None else metrics
        metrics["upload-noise-std"] = self.upload_noise_std
        metrics["broadcast-noise-std"] = std
        if std > 0.0:
            arrays = self._noised(arrays, std, server_round)
        return arrays, metrics

    def broadcast_noise_std(self, sizes: list[float]) -> float:
        """Return sigma_2 for replies of these sizes, 0 around a non-linear merge."""
        if not self.linear:
            return 0.0
        return self.calibration.broadcast_noise_std(self.smallest_shard, sizes)

    def _noised(self, arrays: ArrayRecord, std: float, server_round: int) -> ArrayRecord:
        values = {key: array.numpy() for key, array in arrays.items()}
        draws = self.noise.standard_normal(sum(v.size for v in values.values()), server_round)
        noised, start = {}, 0
        for key, value in values.items():
            part = draws[start : start + value.size].reshape(value.shape)
            noised[key] = Array(np.asarray(value + std * part))
            start += value.size
        return ArrayRecord(noised)

    def describe(self) -> str:
        """Return the calibration in one line."""
        c = self.calibration
        return (
            f"GlobalDifferentialPrivacy: nominal eps {c.epsilon:g}, delta {c.delta:g}, "
            f"B {c.clip_norm:g}, T {c.rounds}, E {c.exposures}, m {self.smallest_shard}, "
            f"sigma_1 {self.upload_noise_std:.4g}"
            + ("" if self.linear else ", sigma_2 0 (the merge is not linear)")
        )


def to_config(calibration: GlobalDP, smallest_shard: int) -> dict[str, int | float | str]:
    """Return the config entries that tell a clinic how to clip and how much noise to add."""
    values = (
        calibration.epsilon,
        calibration.delta,
        calibration.clip_norm,
        calibration.rounds,
        calibration.exposures,
        calibration.reading,
        smallest_shard,
    )
    return dict(zip(_CONFIG_KEYS, values, strict=True))


def from_config(config: ConfigRecord) -> tuple[GlobalDP, int]:
    """Return calibration and smallest shard read back from a train config.

    Raises
    ------
    KeyError, TypeError, ValueError
        When an entry is missing or does not make sense.
    """
    return _calibration(tuple(config[key] for key in _CONFIG_KEYS))


@lru_cache(maxsize=256)
def _calibration(values: tuple[object, ...]) -> tuple[GlobalDP, int]:
    epsilon, delta, clip_norm, rounds, exposures, reading, smallest = values
    calibration = GlobalDP(
        epsilon=float(cast(float, epsilon)),
        delta=float(cast(float, delta)),
        clip_norm=float(cast(float, clip_norm)),
        rounds=int(cast(int, rounds)),
        exposures=int(cast(int, exposures)),
        reading=str(reading),
    )
    return calibration, int(cast(int, smallest))


def _size(reply: Message) -> float:
    # CheckedGrid has already held every reply to one MetricRecord with this key.
    metrics = next(r for r in reply.content.values() if isinstance(r, MetricRecord))
    return float(cast(float, metrics["num-examples"]))
