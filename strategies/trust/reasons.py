"""Why a clinic has no weight, in words for the round's record."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a clinic has no weight."""

    NONE = ""
    POSTERIOR = "its updates do not point where those of honest clinics do"
    ENERGY = "the noise of its updates is not of the agreed size"
    COPY = "its updates share their noise with those of another clinic"
    REPLAY = "the noise of its updates repeats from round to round"
    DRIFT = "its updates left their course by more than the noise explains"
    CAMP = "its updates stray the same way as those of others, away from the majority"
    ZERO = "its update is empty"


MAY_CLEAR = frozenset({Reason.REPLAY, Reason.DRIFT, Reason.CAMP})
"""Gates that bad luck can shut, one honest clinic in some hundreds: later uploads may open them."""
