"""What ``--live`` costs a run: the same run without it, with it, and with a page open on it.

    .venv/bin/python -m benchmarks.live [--repeats 15] [--rounds 300] [--market]

Each repeat runs all three ways in a fresh process, in an order that turns; a page is a client that
reads the event stream to its end, from another process, as a browser does. Processor time is of
the run's process alone (user and system), wall time from its first to its last line of Python.
Ratios are of medians, with the 95 % interval of a bootstrap over the repeats.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

WAYS = ("without", "live", "page open")
RUN = """
import json, resource, sys, time
began = time.perf_counter()
from federation.cli import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
wall, cpu = time.perf_counter() - began, used.ru_utime + used.ru_stime
print(json.dumps({"code": code, "wall": wall, "cpu": cpu}))
"""
PAGE = """
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1] + "events") as stream:
    print(sum(len(line) for line in stream))
"""


def once(way: str, words: Sequence[str]) -> dict[str, Any]:
    """Run once in a fresh process; return its wall and processor seconds."""
    flags = [] if way == "without" else ["--live"]
    run = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", RUN, *words, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    page = None
    if flags and run.stderr is not None:
        found = re.search(r"http://\S+/", run.stderr.readline())
        if found and way == "page open":
            page = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", PAGE, found[0]], stdout=subprocess.PIPE, text=True
            )
    said, complaints = run.communicate()
    measured: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert measured["code"] == 0, complaints
    if page is not None:
        assert int(page.communicate()[0]) > 0
    return measured


def ratio(
    base: Sequence[float], other: Sequence[float], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the ratio of medians with its bootstrap interval over paired repeats."""
    pairs = np.array([base, other])
    drawn = rng.integers(0, pairs.shape[1], (4000, pairs.shape[1]))
    medians = np.median(pairs[:, drawn], axis=2)
    low, high = np.quantile(medians[1] / medians[0], [0.025, 0.975])
    return float(np.median(pairs[1]) / np.median(pairs[0])), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--market", action="store_true", help="the market instead of clinics")
    parser.add_argument("--out", default="runs/benchmark-live")
    options = parser.parse_args()
    words = ["simulate", "--seeds", "1", "--quiet", "--rounds", str(options.rounds)]
    words += ["--out", options.out]
    words += ["--dataset", "carrada", "--strategy", "reputation"] if options.market else []
    taken: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    once("without", words)  # what is cached on disk is cached from now on
    for repeat in range(options.repeats):
        for place in range(len(WAYS)):
            way = WAYS[(repeat + place) % len(WAYS)]
            taken[way].append(once(way, words))
    rng = np.random.default_rng(1)
    found: dict[str, Any] = {"command": " ".join(words), "repeats": options.repeats}
    for name in ("cpu", "wall"):
        base = [run[name] for run in taken["without"]]
        found[f"{name}_seconds_without"] = round(float(np.median(base)), 3)
        for way in WAYS[1:]:
            mean, low, high = ratio(base, [run[name] for run in taken[way]], rng)
            found[f"{name}_ratio_{way.replace(' ', '_')}"] = {
                "ratio": round(mean, 4),
                "ci95": [round(low, 4), round(high, 4)],
            }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
