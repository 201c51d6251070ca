"""What users say of a broadcast: the cubes they visited, and those they complain of."""

from typing import cast

from flwr.app import Message, MetricRecord

from strategies.wrappers.market_messages import COMPLAINED, VISITED


def rating_of(reply: Message) -> tuple[int, int] | None:
    """Return the cubes visited and complained of in a reply, as bits; None if it is no rating.

    A complaint about a cube that was not visited does not count.
    """
    if not reply.has_content():
        return None
    for record in reply.content.values():
        if isinstance(record, MetricRecord) and VISITED in record and COMPLAINED in record:
            visited, complained = cast(int, record[VISITED]), cast(int, record[COMPLAINED])
            return visited, complained & visited
    return None
