"""Objects of a root as records: their descriptors, tracks and sequences."""

from pathlib import Path

import numpy as np
import pytest

from datasets.carrada import records
from datasets.carrada.generator import cached_root
from datasets.carrada.intensity import descriptors
from datasets.carrada.nearest_rule import nearest_class
from datasets.carrada.reader import open_root
from datasets.carrada.records import BOUNDS, FEATURES, load_objects
from datasets.errors import DataError
from datasets.federated import cut
from datasets.table import Table
from tests.datasets.carrada.conftest import RootBuilder


@pytest.fixture(scope="module")
def generated() -> Table:
    return load_objects()


def _three(builder: RootBuilder, frames: list[str], labels: list[int]) -> Path:
    """Write a root in which each frame has one object of each label."""
    builder.frames(*frames)
    rd = [[100, 30, 104, 33], [10, 0, 12, 5], [50, 40, 60, 44]][: len(labels)]
    ra = [[152, 100, 156, 104], [244, 20, 246, 170], [196, 128, 206, 140]][: len(labels)]
    for view, boxes in (("range_doppler", rd), ("range_angle", ra)):
        builder.boxes(view, {name: {"boxes": boxes, "labels": labels} for name in frames})
    return builder.root


def test_descriptors_by_hand(builder: RootBuilder) -> None:
    table = load_objects(_three(builder, ["000004"], [1, 2, 3]))
    assert table.feature_names == FEATURES[:-1]  # no radar map, so no intensity is made up
    range_m, azimuth, speed, *extents = table.features[0]
    assert range_m == 102 * 0.1953125
    assert azimuth == -26 * 0.01227184630308513
    assert speed == pytest.approx(0.5 * 0.41968030701528203)  # centre 31.5 recedes: no sign
    assert extents == [4, 3, 4]
    assert table.features[1, 5] == 128  # an extent of 150 angle bins, cut to the bound
    assert table.labels.tolist() == [1, 2, 3]
    assert table.public_bounds
    assert table.bounds == BOUNDS[:-1]


def test_a_class_out_of_sight_for_over_a_second_begins_a_track(builder: RootBuilder) -> None:
    root = _three(builder, ["000001", "000002", "000012", "000023"], [1, 2, 3])
    by_class = load_objects(root).groups.reshape(4, 3).T
    for tracks in by_class:
        assert tracks[0] == tracks[1] == tracks[2]  # 10 frames on: the same
        assert tracks[3] != tracks[2]  # 11 frames on: another
    assert len(np.unique(by_class)) == 6


def test_two_of_a_class_at_once_are_one_track(builder: RootBuilder) -> None:
    builder.frames("000004")
    for view in ("range_doppler", "range_angle"):
        boxes = [[100, 30, 104, 33], [10, 0, 12, 5], [50, 40, 60, 44], [70, 4, 71, 9]]
        builder.boxes(view, {"000004": {"boxes": boxes, "labels": [1, 1, 2, 3]}})
    groups = load_objects(builder.root).groups
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 3


def test_a_root_that_lacks_a_class_is_refused(builder: RootBuilder) -> None:
    with pytest.raises(DataError, match="has no cyclist, a learner needs objects of all classes"):
        load_objects(_three(builder, ["000004"], [1, 3, 3]))


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(DataError, match="did you mean 'boxes'"):
        load_objects(None, "boxs")


def test_generated_scenes_have_all_descriptors(generated: Table) -> None:
    assert generated.feature_names == FEATURES
    assert len(generated) > 8000
    assert len(np.unique(generated.recordings)) == 30
    for track in np.unique(generated.groups):
        of_track = generated.groups == track
        assert len(np.unique(generated.recordings[of_track])) == 1
        assert len(np.unique(generated.labels[of_track])) == 1


@pytest.mark.slow
def test_intensities_are_those_of_the_frames(generated: Table) -> None:
    root = open_root(cached_root())
    at = 0
    for name in root.frames(root.sequences[0])[:40]:
        frame = root.frame(root.sequences[0], name)
        own = descriptors(frame)[:, -1]
        np.testing.assert_array_equal(generated.features[at : at + len(own), -1], own)
        at += len(own)
    assert at > 0
    assert load_objects(None, "boxes").feature_names == FEATURES[:-1]


def test_a_broken_cache_is_drawn_again(
    builder: RootBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _three(builder, ["000004"], [1, 2, 3])
    cache = tmp_path / "cache"
    cache.mkdir()
    drawn: list[int] = []

    def measure(root: object, *, generated: bool) -> np.ndarray:
        drawn.append(1)
        return np.full(3, 66.0)

    for name, stand_in in (
        ("cached_root", lambda: root),
        ("cache_directory", lambda: cache),
        ("_measure", measure),
    ):
        monkeypatch.setattr(records, name, stand_in)
    for content in (b"", b"\x93NUMPY half"):
        assert (load_objects().features[:, -1] == 66.0).all()
        load_objects()
        (kept,) = cache.iterdir()
        kept.write_bytes(content)
    load_objects()
    assert len(drawn) == 3  # once each time it was missing or broken


@pytest.mark.parametrize("split", ["track", "sequence"])
def test_no_track_sits_on_both_sides(generated: Table, split: str) -> None:
    for seed in range(3):
        parts = cut(generated, clients=5, seed=seed, split=split)
        owners = generated.groups if split == "track" else generated.recordings
        assert not set(owners[parts.train].tolist()) & set(owners[parts.test].tolist())
        assert not set(generated.groups[parts.train]) & set(generated.groups[parts.test])


def test_clients_can_hold_whole_sequences(generated: Table) -> None:
    parts = cut(generated, clients=8, seed=1, scheme="sequence", split="sequence")
    held = [set(generated.recordings[shard].tolist()) for shard in parts.shards]
    assert sum(map(len, held)) == len(set.union(*held))
    with pytest.raises(DataError, match="40 clients cannot share"):
        cut(generated, clients=40, seed=1, scheme="sequence", split="sequence")


def test_the_untrained_rule_by_hand() -> None:
    names = FEATURES[:-1]
    medians = np.array(
        [[13.0, 0, 0.84, 5, 5, 5], [13.0, 0, 1.68, 6, 7, 8], [40.0, 0, 4.4, 7, 3, 4]]
    )
    assert nearest_class(medians, names).tolist() == [1, 2, 3]
