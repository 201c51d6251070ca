"""Runs the ClientApp of one bundle, message after message, in a process of its own.

Started by the runner, as a file and not as part of a package, once the bundle's hash and the run
have been accepted: everything it imports beside Flower is the bundle's. It speaks length-prefixed
protobuf over two pipes, and stays warm between messages: Flower's own would start Python anew
for each.
"""

import importlib
import os
import struct
import sys
from collections.abc import Callable
from typing import IO

from flwr.app import Context, Message
from flwr.common.serde import (
    context_from_proto,
    context_to_proto,
    message_from_proto,
    message_to_proto,
)
from flwr.proto.message_pb2 import Context as ProtoContext
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.supercore.task_identity import TaskIdentity

LENGTHS = struct.Struct(">QQ")
TASK = struct.Struct(">QQQ")
FAILED = 1 << 63
MAX_BYTES = 1 << 31
App = Callable[[Message, Context], Message]


def main(folder: str, reference: str, source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer messages until the runner closes the pipe."""
    sys.path.insert(0, folder)
    try:
        app = load(reference)
    except Exception as fault:  # noqa: BLE001 - whatever an import raises is told
        write_failure(sink, fault)
        return
    sink.write(LENGTHS.pack(0, 0))  # loaded: from here on the client's time limit counts
    sink.flush()
    while (task := source.read(TASK.size)) and len(task) == TASK.size:
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = TASK.unpack(task)
        message, context = read_call(source)
        try:
            write_call(sink, app(message, context), context)
        except Exception as fault:  # noqa: BLE001 - as in Flower: the server is told that it failed
            write_failure(sink, fault)


def write_failure(sink: IO[bytes], fault: Exception) -> None:
    """Write what was raised into a pipe, and where into the log."""
    import traceback

    traceback.print_exc()
    reason = f"{type(fault).__name__}: {fault}"[:1000].encode()
    sink.write(LENGTHS.pack(FAILED | len(reason), 0) + reason)
    sink.flush()


def read_ready(source: IO[bytes]) -> None:
    """Return when the worker has loaded its app; RuntimeError when it could not."""
    first, _ = LENGTHS.unpack(_exactly(source, LENGTHS.size))
    if first & FAILED:
        raise RuntimeError(_exactly(source, first & ~FAILED).decode(errors="replace"))


def load(reference: str) -> App:
    """Return the object that ``module:name`` names."""
    module, _, name = reference.partition(":")
    app: App = getattr(importlib.import_module(module), name)
    return app


def read_call(source: IO[bytes]) -> tuple[Message, Context]:
    """Return a message and its context from a pipe."""
    first, second = LENGTHS.unpack(_exactly(source, LENGTHS.size))
    if first & FAILED:
        raise RuntimeError(_exactly(source, first & ~FAILED).decode(errors="replace"))
    message, context = ProtoMessage(), ProtoContext()
    message.ParseFromString(_exactly(source, first))
    context.ParseFromString(_exactly(source, second))
    return message_from_proto(message), context_from_proto(context)


def write_call(sink: IO[bytes], message: Message, context: Context) -> None:
    """Write a message and its context into a pipe."""
    first = message_to_proto(message).SerializeToString()
    second = context_to_proto(context).SerializeToString()
    sink.write(LENGTHS.pack(len(first), len(second)) + first + second)
    sink.flush()


def _exactly(source: IO[bytes], size: int) -> bytes:
    if size > MAX_BYTES:
        raise EOFError("more than the other side may say at once")
    data = source.read(size)
    if len(data) != size:
        raise EOFError("the other side has gone")
    return data


if __name__ == "__main__":
    # What the app prints must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    main(sys.argv[1], sys.argv[2], sys.stdin.buffer, answers)
