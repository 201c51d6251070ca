"""Time one slot of reputation at 10^5 devices x 100 users: events, ledger, reputations.

Usage: ``python benchmarks/reputation.py [--devices N] [--users M]``.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from strategies.reputation import ReputationLedger, ReputationSettings, events, faded

CUBES = 8


def main() -> None:
    """Fill the window, then time further slots and check a sample against the direct sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=100)
    arguments = parser.parse_args()
    devices, users = arguments.devices, arguments.users
    settings = ReputationSettings()
    rng = np.random.default_rng(0)
    ledger = ReputationLedger(devices, users, settings)
    sample = rng.integers(0, devices, 50)
    history = []
    stages: dict[str, list[float]] = {"events": [], "record": [], "reputation": []}
    for _ in range(settings.window + 10):
        covers = rng.random((CUBES, devices)) < 0.3
        visits = rng.random((users, CUBES)) < 0.5
        complaints = visits & (rng.random((users, CUBES)) < 0.2)
        blamed = covers & (rng.random((CUBES, devices)) < 0.1)
        clock = [time.perf_counter()]
        codes = events(visits, complaints, covers, blamed)
        clock.append(time.perf_counter())
        ledger.record(codes)
        clock.append(time.perf_counter())
        reputations = ledger.reputation()
        clock.append(time.perf_counter())
        history.append(codes[sample])
        for name, seconds in zip(stages, np.diff(clock), strict=True):
            stages[name].append(float(seconds))
    direct = faded(np.array(history) == 1, np.array(history) == 2, settings)
    error = np.abs(direct.reputation(settings).mean(axis=1) - reputations[sample]).max()
    full = {name: float(np.median(times[-10:])) for name, times in stages.items()}
    print(f"{devices} devices x {users} users, window {settings.window} full, median of 10 slots")
    for name, seconds in full.items():
        print(f"  {name:<11} {seconds * 1e3:8.1f} ms")
    print(f"  {'update':<11} {sum(full.values()) * 1e3:8.1f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory {peak:8.0f} MB; largest difference from the direct sum {error:.1e}")


if __name__ == "__main__":
    main()
