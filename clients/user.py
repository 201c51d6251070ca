"""A user of the twin: it visits cubes, sees what is really there, and complains."""

from functools import lru_cache

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from clients.carrada_scenes import grid_of, true_frame
from clients.messages import record_of, round_of
from clients.roles import number_of
from strategies.market_settings import market_of
from strategies.market_world import as_bits, moment, true_tokens, user_part
from strategies.settings import Settings
from strategies.twin.complaint import differences
from strategies.twin.fusion import Twin, broadcast_shape
from strategies.twin.table import object_table
from strategies.wrappers.market_messages import COMPLAINED, TWIN, VISITED
from strategies.wrappers.vectors import to_vector

BoolArray = NDArray[np.bool_]


def rate(message: Message, context: Context, settings: Settings) -> Message:
    """Answer ``evaluate``: which cubes were visited, and which of them are not as they should be.

    Silence on a visited cube is a positive, so the visits are said too; what the user saw stays
    with it.
    """
    user = number_of(context, settings, message)
    server_round = round_of(record_of(message, ConfigRecord))
    episode, step = moment(settings, server_round)
    visited = user_part(settings, user, episode)[step]
    twin = record_of(message, ArrayRecord)[TWIN]
    if settings.market == "synthetic":
        wrong = _false_cubes(settings, server_round, to_vector(twin))
    else:
        wrong = _wrong_cubes(settings, server_round, to_vector(twin).tobytes())
    metrics = MetricRecord(
        {"num-examples": 1, VISITED: as_bits(visited), COMPLAINED: as_bits(visited & wrong)}
    )
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def _false_cubes(settings: Settings, server_round: int, twin: NDArray[np.float64]) -> BoolArray:
    """Return the cubes for which any delivered token is not the true one, shape (K,)."""
    episode, step = moment(settings, server_round)
    tokens = twin.reshape(-1, market_of(settings).cubes)
    truth = true_tokens(settings, episode)[step]
    return np.asarray(np.any((tokens != 0) & (tokens != truth), axis=0))


# All users of a round hold the same frame and receive the same twin: compared once, kept for all.
@lru_cache(maxsize=8)
def _wrong_cubes(settings: Settings, server_round: int, broadcast: bytes) -> BoolArray:
    """Return the covered cubes whose rendering differs from the truth, shape (K,)."""
    grid = grid_of(settings)
    array = np.frombuffer(broadcast, np.float64).reshape(broadcast_shape(grid))
    twin = Twin.from_array(array, grid)
    truth = object_table(true_frame(settings, server_round).objects)
    gaps = differences(twin.table(), truth, grid)
    return np.asarray(twin.covered & (gaps > settings.complaint_threshold))
