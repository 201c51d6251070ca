"""What secure aggregation costs: time and bytes of a clinic, beside the same round without it.

    python -m benchmarks.secagg [--clinics 20] [--repeats 5]

Times are CPU seconds of this process, so that a busy machine does not matter much. Bytes are of
the records within Flower messages as they go over the wire (protobuf), for one clinic.
"""

import argparse
import logging
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import Message
from flwr.common.serde import recorddict_to_proto

from clients.app import app as client_app
from federation.backends.inprocess import InProcessGrid, run_config, simulated_nodes
from server.federation import run_federation
from strategies.presets import compose
from strategies.secagg.masks import word_bytes
from strategies.secagg.rehearsal import Dropouts, rehearse
from strategies.secagg.terms import terms_for
from strategies.settings import Settings

KEY, SHARE = 32, 33


class CountingGrid(InProcessGrid):
    """An in-process grid that adds up what its first clinic sends and is sent."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(client_app, simulated_nodes(settings), run_config(settings))
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()

    def send_and_receive(self, messages: Iterable[Message], **options: Any) -> list[Message]:
        """Count, pass on, count."""
        messages = list(messages)
        first = self.get_node_ids()[0]
        for message in messages:
            if message.metadata.dst_node_id == first:
                self._add(self.received, message)
        replies = super().send_and_receive(messages, **options)
        for reply in replies:
            if reply.metadata.src_node_id == first:
                self._add(self.sent, reply)
        return replies

    @staticmethod
    def _add(book: Counter[str], message: Message) -> None:
        book[message.metadata.message_type] += recorddict_to_proto(message.content).ByteSize()


def whole_runs(clinics: int) -> None:
    print(f"\n{clinics} clinics x 10 rounds in process, d = 10 (BCWD), Flower messages and all")
    for name in ("dp-gd", "shared-noise"):
        settings = compose(name, {"clients": clinics})
        run_federation(CountingGrid(settings), settings)  # imports and caches
        grid = CountingGrid(settings)
        wall, cpu = time.perf_counter(), time.process_time()
        run_federation(grid, settings)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rounds = settings.rounds
        kinds = {k: (grid.sent[k] // rounds, v // rounds) for k, v in grid.received.items()}
        print(
            f"  {name:13s} {cpu:6.2f} s CPU, {wall:6.2f} s; a clinic sends "
            f"{sum(grid.sent.values()) // rounds} and is sent "
            f"{sum(grid.received.values()) // rounds} bytes a round"
        )
        for kind, (sent, received) in kinds.items():
            print(f"      {kind:22s} sends {sent:7d}  is sent {received:7d}")


def protocol(clinics: int, dimension: int, neighbours: int, gone: int, repeats: int) -> None:
    terms = terms_for(clinics, neighbours=neighbours)
    rng = np.random.default_rng(0)
    inputs = {
        m: rng.integers(0, 1 << terms.bits, dimension, dtype=np.uint64) for m in range(clinics)
    }
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        seen = rehearse(inputs, terms, Dropouts(mask=range(1, 1 + gone)))
        seconds.append(time.process_time() - start)
    sent, received = seen.sent[0], seen.received[0]
    plain = dimension * word_bytes(terms.bits)
    holders = terms.degree + 1
    published = 2 * holders * KEY + (5 * holders - 4) * SHARE + plain
    print(
        f"  d {dimension:6d}  k {terms.degree:2d}  t {terms.threshold:2d}  {gone} drop out: "
        f"{1e3 * np.median(seconds) / clinics:7.2f} ms CPU a clinic (server's part included), "
        f"{sent + received} bytes (sends {sent}), masked vector alone {plain}, "
        f"x{(sent + received) / plain:.2f}; Bonawitz et al. count {published}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clinics", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    logging.getLogger("flwr").setLevel(logging.ERROR)
    print("protocol alone, one round; Bonawitz et al. 2017, section 7: a clinic sends and receives")
    print("2 n a_K + (5 n - 4) a_S + d ceil(log2 R) bits; with k neighbours n is k + 1 (SecAgg+)")
    for dimension in (11, 100_001):
        for neighbours in (0, 10):
            for gone in (0, 3):
                protocol(options.clinics, dimension, neighbours, gone, options.repeats)
    whole_runs(options.clinics)


if __name__ == "__main__":
    main()
