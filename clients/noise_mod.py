"""The clip-then-noise client mod: nothing leaves a clinic before it ran.

M. Letafati and S. Otoum, eqs. 8 and 10. It guards an honest clinic against an
honest-but-curious server and everyone who overhears an upload; it cannot bind a server that
ships other client code (docs/privacy.md says which limit holds against whom).
"""

from math import isfinite
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord
from flwr.clientapp.typing import ClientAppCallable

from clients.messages import clinic_settings, noise_of, partition_of, record_of, refuse, round_of
from strategies.privacy.global_dp import clip
from strategies.randomness import NoiseSource, Purpose, SeededNoise, SystemNoise
from strategies.settings import CERTIFIED_PRIVACY
from strategies.wrappers.global_differential_privacy import from_config
from strategies.wrappers.vectors import to_array, to_vector


def clip_then_noise(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Clip the model that ``call_next`` trained to norm B and add N(0, sigma_1^2 I).

    The clinic answers with a refusal, and uploads nothing, when the server's smallest shard m
    is larger than its own (the noise would be too small for it) or the nominal eps is above
    the clinic's own limit (``max-nominal-epsilon`` in its node config).
    """
    settings = clinic_settings(context)
    limit = epsilon_limit(context, settings.max_nominal_epsilon)
    if not settings.private:
        if isfinite(limit):
            return refuse(message, f"a run without noise is above this clinic's limit {limit:g}")
        return call_next(message, context)
    if settings.privacy in CERTIFIED_PRIVACY:  # these noise within their own steps
        return (
            call_next(message, context)
            if settings.epsilon <= limit
            else _above(message, settings.epsilon, limit)
        )
    config = record_of(message, ConfigRecord)
    try:
        calibration, smallest = from_config(config)
    except (KeyError, TypeError, ValueError) as fault:
        return refuse(message, f"train config without a usable privacy calibration: {fault}")
    if calibration.epsilon > limit:
        return _above(message, calibration.epsilon, limit)
    reply = call_next(message, context)
    records = int(cast(int, record_of(reply, MetricRecord)["num-examples"]))
    if smallest > records:
        return refuse(
            message,
            f"noise is calibrated for shards of at least {smallest} records, this clinic has "
            f"{records}",
        )
    noise = noise_source(noise_of(context, settings), settings.seed, partition_of(context))
    std = calibration.upload_noise_std(smallest)
    name = next(key for key, item in reply.content.items() if isinstance(item, ArrayRecord))
    trained = record_of(reply, ArrayRecord)
    reply.content[name] = _privatised(trained, calibration.clip_norm, std, noise, round_of(config))
    return reply


def _above(message: Message, epsilon: float, limit: float) -> Message:
    return refuse(message, f"epsilon {epsilon:g} is above this clinic's limit {limit:g}")


def epsilon_limit(context: Context, default: float) -> float:
    """Return the largest nominal eps this clinic accepts; infinite when it set none (0).

    Raises
    ------
    ValueError
        When the clinic's own ``max-nominal-epsilon`` is no number of at least 0.
    """
    limit = float(cast(float, context.node_config.get("max-nominal-epsilon", default)))
    if not limit >= 0:  # also NaN: a limit that cannot be read must not mean no limit
        raise ValueError(
            f"max-nominal-epsilon of this clinic must be a number of at least 0, got {limit}"
        )
    return limit if limit > 0 else float("inf")


def noise_source(
    kind: str, seed: int, partition: int, purpose: Purpose = Purpose.CLINIC_NOISE
) -> NoiseSource:
    """Return the clinic's noise: the system's CSPRNG, or seeded and then not private."""
    return SeededNoise(seed, purpose, partition) if kind == "seeded" else SystemNoise()


def _privatised(
    arrays: ArrayRecord, clip_norm: float, std: float, noise: NoiseSource, server_round: int
) -> ArrayRecord:
    """Return new arrays: clipped as one vector over all of them, then noised."""
    values = {key: to_vector(array) for key, array in arrays.items()}
    flat = clip(np.concatenate([value.ravel() for value in values.values()]), clip_norm)
    flat = flat + std * noise.standard_normal(flat.size, server_round)
    noised, start = {}, 0
    for key, value in values.items():
        part = flat[start : start + value.size]
        noised[key] = to_array(part) if value.ndim == 1 else Array(part.reshape(value.shape))
        start += value.size
    return ArrayRecord(noised)
