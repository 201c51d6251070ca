"""One function over many items on all cores, in order, with progress."""

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
    keep: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Return ``function(item)`` of every item, in the order of the items.

    Parameters
    ----------
    function : callable
        Importable by name, as are its arguments picklable: workers are fresh processes,
        because forking a process that has threads (Flower's has) can deadlock.
    items : sequence
        What to work on.
    workers : int, optional
        Processes; all available cores when None. With 1, no process is started.
    progress : callable, optional
        Called with the share done, in (0, 1], after every item.
    keep : callable, optional
        Called with every result as it comes, in any order, so that an interrupt loses none.

    Raises
    ------
    Exception
        Whatever the first failing call raised; what had not begun is dropped.
    """
    report = progress or (lambda _share: None)
    store = keep or (lambda _result: None)
    count = min(workers or available_cores(), len(items))
    if count <= 1:
        return list(_tracked(map(function, items), len(items), report, store))
    others = set(active_children())
    context = get_context("spawn")
    # Not as a context manager: leaving one shuts down a second time, which takes back
    # cancel_futures, and the manager thread may then wait for ever.
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin_worker)
    try:
        futures = [pool.submit(function, item) for item in items]
        finished = map(Future.result, as_completed(futures))
        for _ in _tracked(finished, len(items), report, store):
            pass
        return [future.result() for future in futures]
    except KeyboardInterrupt:
        # What they compute would not be kept, and a second Ctrl-C while they are waited for has
        # left interpreters that waited for each other at exit.
        for worker in set(active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _tracked(
    results: Iterable[Result],
    total: int,
    report: Callable[[float], None],
    store: Callable[[Result], None],
) -> Iterable[Result]:
    for done, result in enumerate(results, start=1):
        store(result)
        report(done / total)
        yield result


def _begin_worker() -> None:
    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the parent is gone, however it went: nobody waits for this worker's results."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
