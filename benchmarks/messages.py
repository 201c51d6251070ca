"""Messages a second in process beside Flower's Ray simulation, on the same job, in one run.

    .venv/bin/python -m benchmarks.messages [--clients 20] [--rounds 10] [--skip-ray]

The job is the main one: each round every clinic trains, clips, noises and uploads, then
evaluates the broadcast: two messages a clinic and round, and one to enrol. ``loop`` is the
time from the first to the last round alone, without anybody's start-up.
"""

import argparse
import json
import os
import sys
import time
import tracemalloc
from typing import Any

from federation.runner import run_one
from server.loop import RoundRecord
from strategies.settings import Settings

MEMORY_CLIENTS = 1000


def measure(settings: Settings) -> dict[str, Any]:
    """Return messages a second, with start-up and from round to round alone."""
    stamps: list[float] = []

    def stamp(_: RoundRecord) -> None:
        stamps.append(time.perf_counter())

    started = time.perf_counter()
    run = run_one(settings, stamp)
    total = time.perf_counter() - started
    loop = stamps[-1] - stamps[0]
    messages = 2 * settings.clients * settings.rounds
    return {
        "backend": settings.backend,
        "clients": settings.clients,
        "rounds": settings.rounds,
        "seconds_with_start_up": round(total, 3),
        "microseconds_a_message": round(1e6 * loop / messages, 1),
        "messages_a_second": round(messages / loop),
        "accuracy": run.final["accuracy"],
    }


def memory(clients: int) -> dict[str, Any]:
    """Return what a run of many clients adds to the process, in MiB.

    Resident memory where the system says (Linux), the Python heap's peak elsewhere.
    """
    settings = Settings(clients=clients, rounds=2, test_fraction=0.2, data=_copies(clients))
    run_one(Settings(clients=2, rounds=1))  # imports and the small data set are start-up
    before = resident()
    if before is None:
        tracemalloc.start()
    run_one(settings)
    after = resident()
    grown = tracemalloc.get_traced_memory()[1] / 2**20 if after is None else after - (before or 0)
    return {"clients": clients, "mebibytes_above_start_up": round(grown, 1)}


def resident() -> float | None:
    """Return the peak resident memory of this process in MiB, None where unknown."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _copies(clients: int) -> str:
    """Write BCWD often enough for every clinic to hold records; the path of the file."""
    import tempfile
    from pathlib import Path

    from datasets.bcwd.original import original_text

    copies = -(-clients * 4 // 683)
    path = Path(tempfile.mkdtemp(prefix="benchmark-")) / "many.data"
    path.write_text(original_text() * copies)
    return str(path)


def main() -> int:
    """Print one JSON object a line: each backend, their ratio, the memory of 1,000 clients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--skip-ray", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    print(json.dumps(memory(MEMORY_CLIENTS)))
    settings = Settings(clients=options.clients, rounds=options.rounds)
    own = min((measure(settings) for _ in range(5)), key=lambda row: row["microseconds_a_message"])
    print(json.dumps(own))
    if options.skip_ray:
        return 0
    ray = measure(settings.changed(backend="ray"))
    print(json.dumps(ray))
    ratio = ray["microseconds_a_message"] / own["microseconds_a_message"]
    start = ray["seconds_with_start_up"] / own["seconds_with_start_up"]
    print(json.dumps({"ray_over_inprocess": round(ratio, 1), "with_start_up": round(start, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
