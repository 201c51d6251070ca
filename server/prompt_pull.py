"""Pull replies as Flower's grid does, without its pause of a second for parts still on their way.

A SuperLink announces a reply before its parts have arrived. ``HttpGrid.pull_messages`` finds one
missing and sleeps 1 s, then 2 s, with no setting for it; the functions that it is made of take one.
These are internals of Flower 1.41: the deployment scenarios are their contract.
"""

from collections.abc import Iterable
from logging import WARNING
from typing import Any

from flwr.app import Message
from flwr.common.logger import log
from flwr.serverapp import Grid

FIRST_WAIT, LONGEST_WAIT = 0.01, 0.2
PARTS_SECONDS = 60.0
"""How long parts of an announced reply are waited for; Flower waits for two hours."""


def pull_promptly(grid: Grid, message_ids: Iterable[str]) -> list[tuple[str, Message | None]]:
    """Return the replies to these messages that are there, each with the message it answers.

    Parts that are on their way are waited for; None stands for a reply whose sender went before
    all of it had come.

    Parameters
    ----------
    grid : Grid
        Flower's ``HttpGrid``; any other pulls as it does.
    message_ids : iterable of str
        Of the requests.
    """
    from flwr.superlink.grid.http_grid import HttpGrid

    wanted = list(message_ids)
    if not isinstance(grid, HttpGrid):
        return [(m.metadata.reply_to_message_id, m) for m in grid.pull_messages(wanted)]
    from flwr.proto.runtime_pb2 import PullAppMessagesRequest

    found = grid._runtime_client.PullMessages(PullAppMessagesRequest(message_ids=wanted))
    return [
        (
            reply.metadata.reply_to_message_id,
            _inflated(grid, reply.metadata.message_id, tree),
        )
        for reply, tree in zip(found.messages_list, found.message_object_trees, strict=True)
    ]


def _inflated(grid: Any, message_id: str, tree: Any) -> Message | None:
    from flwr.supercore.inflatable.inflatable_protobuf_utils import (
        make_confirm_message_received_fn_protobuf,
        make_pull_object_fn_protobuf,
    )
    from flwr.supercore.inflatable.inflatable_utils import (
        ObjectPullError,
        pull_and_inflate_object_from_tree,
    )

    client, run_id = grid._runtime_client, grid.run.run_id
    try:
        message: Message = pull_and_inflate_object_from_tree(
            tree,
            make_pull_object_fn_protobuf(client.PullObject, grid.node, run_id),
            make_confirm_message_received_fn_protobuf(
                client.ConfirmMessageReceived, grid.node, run_id
            ),
            return_type=Message,
            initial_backoff=FIRST_WAIT,
            backoff_cap=LONGEST_WAIT,
            max_tries_per_object=None,
            max_time=PARTS_SECONDS,
        )
    except (ObjectPullError, TypeError, ValueError) as fault:
        log(WARNING, "a reply did not come whole: %s", fault)
        return None
    message.metadata.__dict__["_message_id"] = message_id
    return message
