"""CARRADA in figures: `python benchmarks/carrada.py [--data ROOT]`.

What the generator matches, how fast roots are read and payloads travel, beside plain alternatives
(zlib on packed pixels, the jsonschema library), and which attacks the fused twin shows.
"""

import argparse
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from datasets.carrada import measured
from datasets.carrada.generator import write_root
from datasets.carrada.metadata import SCHEMA, read_metadata
from datasets.carrada.objects import Frame
from datasets.carrada.payload import Payload, channels, decode, encode
from datasets.carrada.profile import figures
from datasets.carrada.reader import Carrada, open_root
from datasets.carrada.scene import Scene, scene_of
from datasets.carrada.tampering import Tampering, tamper
from datasets.carrada.value import detector_confidences, semantic_value
from strategies.twin.complaint import complaints
from strategies.twin.coverage import covered_scene, draw_coverage
from strategies.twin.fusion import Deliveries, Method, fuse
from strategies.twin.grid import Grid
from strategies.twin.rendering import render
from strategies.twin.similarity import similarities
from strategies.twin.table import POSITION, object_table

SAMPLE = 400
"""Annotated frames that rates are taken over."""
DEVICES = 7
TRIALS = 500


def main() -> None:
    """Print all figures for a generated root, and for a real one if it is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a real CARRADA root")
    given = parser.parse_args().data
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        write_root(directory, 0)
        print(f"generate 30 sequences: {time.perf_counter() - start:.2f} s")
        size = sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())
        print(f"on disk: {size / 1e6:.1f} MB")
        report("generated", directory)
    if given is not None:
        report("real", given)


def report(name: str, root: str | Path) -> None:
    """Print the figures of one root."""
    print(f"\n== {name}")
    start = time.perf_counter()
    data = open_root(root)
    annotated = [
        frame
        for sequence in data.sequences
        for frame_id in data.frames(sequence)
        if (frame := data.frame(sequence, frame_id)).objects
    ]
    print(f"read all boxes: {time.perf_counter() - start:.2f} s")
    distributions(data)
    rng = np.random.default_rng(0)
    chosen = [annotated[i] for i in rng.permutation(len(annotated))]
    payloads([f for f in chosen if f.ra_mask is not None][:SAMPLE])
    twin_rates([scene_of(frame) for frame in chosen[:DEVICES]])
    for share in (0.3, 0.5):
        attacks(data, chosen, share)


def distributions(data: Carrada) -> None:
    """Print the measured distributions beside those of the note."""
    found = figures(data)
    print(f"frames {found.frames} (12666), a sequence {found.frames_per_sequence} (157, 330, 1017)")
    print(f"annotated share {found.annotated_share_median:.3f} (0.57), passes {found.passes} (1-4)")
    print(f"objects a frame {np.round(found.objects_per_frame, 3)} {measured.OBJECTS_PER_FRAME}")
    for name, of_class in found.classes.items():
        want = measured.PROFILES[name]
        pairs = (
            ("objects", of_class.objects, measured.OBJECTS_BY_CLASS[name]),
            ("range m", np.round(of_class.range_m, 1), want.range_m),
            ("speed m/s", np.round(of_class.speed_mps, 2), want.speed_mps),
            ("range extent", of_class.range_extent, want.range_extent),
            ("Doppler extent", of_class.doppler_extent, want.doppler_extent),
        )
        print(f"{name:11}" + "; ".join(f"{what} {has} ({wanted})" for what, has, wanted in pairs))


def payloads(frames: Sequence[Frame]) -> None:
    """Print sizes, channels, values and rates of payloads, beside zlib and jsonschema."""
    rng = np.random.default_rng(0)
    scenes = [scene_of(frame, detector_confidences(frame.objects, rng)) for frame in frames]
    sent = [encode(scene) for scene in scenes]
    for count in sorted({len(scene.objects) for scene in scenes}):
        of_count = [p for p, s in zip(sent, scenes, strict=True) if len(s.objects) == count]
        print(
            f"{count} objects: PNG B {_spread([len(p.mask_png) for p in of_count])}, "
            f"JSON B {_spread([len(p.metadata) for p in of_count])}, "
            f"channels {_spread([channels(p) for p in of_count])}  (min/median/max)"
        )
    values = np.percentile([semantic_value(scene) for scene in scenes], [5, 50, 95])
    print(f"semantic value 5/50/95 %: {np.round(values, 2)}")
    packed = [zlib.compress(_packed(scene), 9) for scene in scenes]
    print(f"peer: zlib on 2-bit pixels, B {_spread([len(p) for p in packed])}")
    _rate("encode", encode, scenes)
    _rate("decode", lambda p: decode(p.mask_png, p.metadata), sent)
    _rate("value", semantic_value, scenes)
    _rate("metadata alone", lambda p: read_metadata(p.metadata, 5), sent)
    _rate_of_jsonschema(sent)


def _rate_of_jsonschema(sent: Sequence[Payload]) -> None:
    try:
        import json

        from jsonschema import (  # type: ignore[import-untyped]
            Draft202012Validator,
        )
    except ImportError:
        return
    validator = Draft202012Validator(SCHEMA)
    _rate("peer: jsonschema", lambda p: validator.validate(json.loads(p.metadata)), sent)


def _packed(scene: Scene) -> bytes:
    quarters = scene.mask.reshape(-1, 4) << np.array([6, 4, 2, 0], np.uint8)
    return bytes(np.bitwise_or.reduce(quarters, axis=1).tobytes())


def _spread(values: Sequence[int]) -> str:
    return "/".join(f"{value:g}" for value in np.percentile(values, [0, 50, 100]))


def _rate(what: str, call: Callable[[Any], object], over: Sequence[Any]) -> None:
    call(over[0])
    start = time.perf_counter()
    for item in over:
        call(item)
    print(f"{what}: {(time.perf_counter() - start) / len(over) * 1e6:.0f} us")


def twin_rates(scenes: Sequence[Scene]) -> None:
    """Print the times of one time-step with `DEVICES` deliveries."""
    grid = Grid.uniform()
    covers = np.ones((len(scenes), grid.cubes), np.bool_)
    delivered = Deliveries(scenes, covers, np.ones(len(scenes)), np.arange(float(len(scenes))))
    table = object_table(scenes[0].objects)
    again = range(50)
    _rate(f"similarities of {len(scenes)}", lambda _: similarities(scenes, grid), again)
    _rate("fuse, medoid with similarities", lambda _: fuse(delivered, grid), again)
    _rate("fuse, vote", lambda _: fuse(delivered, grid, "vote"), again)
    _rate("render", lambda _: render(table, grid), again)


def attacks(data: Carrada, frames: Sequence[Frame], share: float) -> None:
    """Print how many attacks on one cube users would see, and whom Algorithm 1 blames."""
    grid, rng = Grid.uniform(), np.random.default_rng(1)
    methods: tuple[Method, ...] = get_args(Method)
    shown = dict.fromkeys(methods, 0)
    false = dict.fromkeys(methods, 0)
    attempts = blamed = compared = cubes = 0
    for trial in range(TRIALS):
        frame = frames[trial % len(frames)]
        truth = object_table(scene_of(frame).objects)
        spoiled = int(grid.locate(truth[:1, POSITION])[0])
        covers = draw_coverage(DEVICES, grid, share, rng)
        covers[0, spoiled] = True
        nearby = [_neighbour(data, frame, rng) for _ in range(DEVICES)]
        honest = [covered_scene(s, c, grid) for s, c in zip(nearby, covers, strict=True)]
        weights, ties = np.ones(DEVICES), rng.random(DEVICES)
        lies = _lie(honest[0], grid, spoiled, rng)
        if lies is None:
            continue
        attempts += 1
        group = np.flatnonzero(covers[:, spoiled])
        for method in methods:
            everywhere = np.ones(grid.cubes, np.bool_)
            calm = fuse(Deliveries(honest, covers, weights, ties), grid, method)
            false[method] += int(complaints(calm, truth, everywhere, grid).sum())
            twin = fuse(Deliveries([lies, *honest[1:]], covers, weights, ties), grid, method)
            if complaints(twin, truth, everywhere, grid)[spoiled]:
                shown[method] += 1
        cubes += int(covers.any(axis=0).sum())
        if group.size > 2:
            alike = similarities([lies, *honest[1:]], grid)[spoiled][np.ix_(group, group)]
            blamed += int(group[alike.sum(axis=1).argmin()] == 0)
            compared += 1
    print(f"cover {share}: {attempts} attacks, {DEVICES} deliveries a step, neighbouring frames")
    print(f"  least similar of 3 or more is the attacker: {blamed / max(compared, 1):.3f}")
    for method in methods:
        print(
            f"  {method}: attacks shown {shown[method] / attempts:.3f}, "
            f"false complaints a cube {false[method] / cubes:.4f}"
        )


def _neighbour(data: Carrada, frame: Frame, rng: np.random.Generator) -> Scene:
    """Return the scene of the frame itself or of one next to it, 0.1 s away."""
    shifted = f"{int(frame.frame) + int(rng.integers(-1, 2)):06d}"
    there = shifted in data.frames(frame.sequence)
    return scene_of(data.frame(frame.sequence, shifted if there else frame.frame))


def _lie(scene: Scene, grid: Grid, cube: int, rng: np.random.Generator) -> Scene | None:
    """Alter an object in a cube, or insert one there; None if the device sees nothing there."""
    inside = np.flatnonzero(grid.locate(object_table(scene.objects)[:, POSITION]) == cube)
    if not inside.size:
        return None
    how = list(Tampering)[int(rng.integers(len(Tampering)))]
    at = np.unravel_index(cube, grid.shape)
    middle = [rng.uniform(edges[i], edges[i + 1]) for edges, i in zip(grid.edges, at, strict=True)]
    return tamper(scene, rng, how, int(inside[0]), (middle[0], middle[1], middle[2]))


if __name__ == "__main__":
    main()
