"""What ``--live`` costs a run: the same run without it, with it, and with a page open on it.

    .venv/bin/python -m benchmarks.live [--repeats 15] [--rounds 300] [--market]

Each repeat runs all three ways in a fresh process, in an order that turns; a page is a client that
reads the event stream to its end, from another process, as a browser does; it imports nothing, so
that on two hardware threads of one core its own start is not charged to the run. Two measures:

- ``ratio``: processor time (user and system) and wall time of the run's process, from its first to
  its last line of Python; ratios of medians with the 95 % interval of a bootstrap over the
  repeats. Needs a machine with nothing else to do.
- ``share``: processor time of the view's own threads, and of the calls that the run makes to the
  view, over that of the rest of the process; median and largest of the repeats. Holds on a busy
  machine too.

The accountant is loaded before the clock starts: the run's report needs it in any case.
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
import json, sys, threading, time
from federation.cli import main
from federation.live import server, serving
from strategies.presets import compose
from strategies.privacy.mechanisms import spent_epsilon

spent_epsilon(compose("dp-gd", {}, None), 1, 1.0, 1)
own = []

def timed(kind, name):
    real = getattr(kind, name)
    def call(*words, **named):
        began = time.thread_time()
        try:
            return real(*words, **named)
        finally:
            own.append((name, time.thread_time() - began))
    setattr(kind, name, call)

for name in ("_serve", "process_request_thread", "_work"):
    timed(server.LiveServer, name)
for name in ("__enter__", "__exit__", "round", "say"):
    timed(serving.Serving, name)
wall, before = time.perf_counter(), time.process_time()
code = main(sys.argv[1:])
wall, cpu = time.perf_counter() - wall, time.process_time() - before
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(2)  # what it has used is noted as it ends
print(json.dumps({"code": code, "wall": wall, "cpu": cpu, "own": sum(t for _, t in own)}))
"""
PAGE = """
import _socket, os, sys
stream = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
stream.connect(("127.0.0.1", int(sys.argv[1])))
stream.send(b"GET %s HTTP/1.0\\r\\nHost: 127.0.0.1:%s\\r\\n\\r\\n"
            % (sys.argv[2].encode(), sys.argv[1].encode()))
size = 0
while got := stream.recv(1 << 16):
    size += len(got)
print(size)
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
        found = re.search(r"http://[\d.]+:(\d+)(/\S+/)", run.stderr.readline())
        if found and way == "page open":
            page = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-I", "-S", "-c", PAGE, found[1], f"{found[2]}events"],
                stdout=subprocess.PIPE,
                text=True,
            )
    said, complaints = run.communicate()
    measured: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert measured["code"] == 0, complaints
    if page is not None:
        assert int(page.communicate()[0]) > 10_000  # no refusal
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
    for way in WAYS[1:]:
        shares = [run["own"] / (run["cpu"] - run["own"]) for run in taken[way]]
        found[f"cpu_share_{way.replace(' ', '_')}"] = {
            "median": round(float(np.median(shares)), 4),
            "largest": round(max(shares), 4),
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
