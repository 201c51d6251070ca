"""Why a round of secure aggregation ends without a sum."""


class SecAggError(ValueError):
    """Parameters that secure aggregation cannot hold its promise with; one line."""


class RoundAbandoned(RuntimeError):
    """The protocol stops here and nothing is unmasked; the message is one line."""
