"""Enrolment: wait for the clients, bounded, ask each who it is, and fix the registry."""

from collections import Counter
from collections.abc import Sequence
from logging import WARNING
from time import monotonic, sleep
from typing import cast

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.common.logger import log
from flwr.serverapp import Grid

from server.admission import Admission
from server.checked_grid import CheckedGrid
from server.errors import RunFailed
from server.registry import Participant, Registry, identity_of
from server.replies import judge_hello
from server.seals import Seals
from server.verdicts import Verdict
from strategies.wrappers.protocol import HELLO

POLL_SECONDS = 0.05
HELLO_SECONDS = 60.0
"""Longest that a client may take to say who it is."""


def enrol(
    grid: Grid,
    expected: int,
    *,
    admission: Admission | None = None,
    simulated: bool = False,
    deployed: bool = False,
    wait: float = 60.0,
    timeout: float = 60.0,
    seals: Seals | None = None,
) -> Registry:
    """Return the registry of everyone who says who they are and may take part.

    Whoever answers and cannot be used is left out, with a verdict: only clients that are not
    there at all keep a run from beginning.

    Parameters
    ----------
    grid : Grid
        The backend's grid.
    expected : int
        How many clients the settings name. Where most clients were launched as one of another
        number of partitions (``flwr run`` with its own number of SuperNodes), that counts.
    admission : Admission, optional
        What is asked of a client; by default nothing but a number of its own.
    simulated : bool
        Whether keys mean nothing: Flower's simulation draws new ones for every run.
    deployed : bool
        Whether the settings alone say how many clients there are: on separate machines what a
        client announces binds nobody.
    wait, timeout : float
        Seconds to wait for nodes to appear, and for one answer.
    seals : Seals, optional
        What answers must be sealed with.

    Raises
    ------
    RunFailed
        When not all of the expected clients were there in time, or none of them can be used.
    """
    checked = CheckedGrid(grid, {HELLO: judge_hello}, timeout, seals=seals)
    deadline, asked = monotonic() + wait, set[int]()
    enrolled: list[Participant] = []
    announced: Counter[int] = Counter()
    while True:
        fresh = [node for node in checked.get_node_ids() if node not in asked]
        if fresh:
            asked.update(fresh)
            _ask(checked, fresh, enrolled, announced, simulated)
            if announced and not deployed:
                expected = announced.most_common(1)[0][0]
        if len(asked) >= expected or monotonic() >= deadline:
            break
        sleep(POLL_SECONDS)
    silent = checked.take_verdicts()
    if len(asked) < expected or not enrolled:
        raise RunFailed(_missing(expected, enrolled, silent))
    people, liars = (admission or Admission()).sort(enrolled)
    for verdict in liars:
        log(WARNING, "%s is left out: %s", verdict.identity, verdict.reason)
    left_out = (*silent, *liars)
    if not people:
        raise RunFailed(f"none of {len(enrolled)} clients can take part{first_of(left_out)}")
    return Registry(people, left_out, max(expected, len(people)))


def _ask(
    checked: CheckedGrid,
    nodes: list[int],
    enrolled: list[Participant],
    announced: Counter[int],
    simulated: bool,
) -> None:
    requests = [
        Message(RecordDict({"config": ConfigRecord()}), dst_node_id=node, message_type=HELLO)
        for node in nodes
    ]
    if checked.seals is not None:
        checked.seals.learn(checked.get_nodes())
    keys = {node.node_id: bytes(node.public_key) for node in checked.get_nodes()}
    for reply in checked.send_and_receive(requests):
        metrics = reply.content.metric_records["metrics"]
        config = reply.content.config_records["config"]
        node, partition = reply.metadata.src_node_id, int(cast(int, metrics["partition-id"]))
        enrolled.append(
            Participant(
                identity=identity_of(b"" if simulated else keys.get(node, b""), partition),
                partition=partition,
                node_id=node,
                role=str(config["role"]),
                records=int(cast(int, metrics["num-examples"])),
                noise=str(config["noise"]),
            )
        )
        if metrics["num-partitions"]:
            announced[int(cast(int, metrics["num-partitions"]))] += 1


def _missing(expected: int, enrolled: list[Participant], silent: list[Verdict]) -> str:
    present = {participant.partition for participant in enrolled}
    absent = [str(number) for number in range(expected) if number not in present]
    listed = ", ".join(absent[:8]) + (", ..." if len(absent) > 8 else "")  # noqa: PLR2004
    why = f"; one said: {silent[0].reason}" if silent else ""
    return f"{len(enrolled)} of {expected} clients enrolled; missing: {listed}{why}"


def first_of(left_out: Sequence[Verdict]) -> str:
    """Return what a line may add on who was left out: the first, by name."""
    if not left_out:
        return ""
    return f"; {left_out[0].identity} was left out: {left_out[0].reason}"
