"""What became of a reply, or of a client at enrolment, that was not used."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What became of one expected reply that was not used.

    ``kind`` is ``rejected`` (a bad reply), ``refused`` (the client declined), ``failed``
    (its code raised or its node died), ``missing`` (no answer in time), ``altered`` or ``replayed``
    (not what its sender signed in answer to this request: a breach of the path, not a lie of the
    sender) or ``unsigned`` (nothing to check it by); ``unmerged``, of the
    server itself, says that an aggregation made nothing of the replies it had.
    """

    identity: str
    message_type: str
    kind: str
    reason: str
