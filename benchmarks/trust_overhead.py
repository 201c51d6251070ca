"""What selecting clinics costs: a round of FedAvg beside the same round within all wrappers.

    .venv/bin/python -m benchmarks.trust_overhead [--clients 20,1000] [--repeats 5]

One process, one run after the other in turns, so that whatever else the machine does falls on all
of them; a round's time is the processor time of this process between two rounds, the median over
the rounds after the first, the least over repeats. ``fedavg`` has no noise; ``dp-gd`` is the same
with noise and ledger; ``reputation`` adds the detector around it, all clinics upload;
``trusted`` adds the auction: everybody bids, two fifths upload.
"""

import argparse
import json
import sys
import time
from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks.messages import _copies
from federation.runner import run_one
from server.loop import RoundRecord
from strategies.presets import MECHANISMS, compose
from strategies.settings import Settings

ROUNDS = 10


def cases(clients: int) -> dict[str, Settings]:
    """Return the runs to be timed, all on the same data and with the same steps."""
    common: dict[str, Any] = {"clients": clients, "rounds": ROUNDS}
    if clients > 100:
        common["data"] = _copies(clients)
    shape = {k: v for k, v in MECHANISMS["dp-gd"].items() if k not in ("epsilon", "delta")}
    winners = {"channels": 2 * clients // 5, "uploads": 0}
    return {
        "fedavg": compose("fedavg", shape | common),
        "dp-gd": compose("dp-gd", {"epsilon": 2.0, **common}),
        "reputation": compose("reputation", common),
        "trusted": compose("trusted", common | winners),
    }


def milliseconds(settings: Settings) -> float:
    """Return the processor time of a round."""
    stamps: list[float] = []

    def stamp(_: RoundRecord) -> None:
        stamps.append(time.process_time())

    run_one(settings, stamp)
    each = [later - earlier for earlier, later in pairwise(stamps)]
    return 1e3 * median(each[1:])


def measure(clients: int, repeats: int) -> dict[str, Any]:
    """Return a round's time of each case, and how often that of FedAvg it is."""
    chosen = cases(clients)
    found: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(repeats):
        for name, settings in chosen.items():
            found[name].append(milliseconds(settings))
    least = {name: min(values) for name, values in found.items()}
    return {
        "clients": clients,
        "milliseconds_a_round": {name: round(value, 2) for name, value in least.items()},
        "times_fedavg": {name: round(value / least["fedavg"], 2) for name, value in least.items()},
        "times_dp_gd": {name: round(value / least["dp-gd"], 2) for name, value in least.items()},
    }


def main() -> int:
    """Print one JSON object a line for each number of clinics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", default="20,1000")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    for count in options.clients.split(","):
        print(json.dumps(measure(int(count), options.repeats)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
