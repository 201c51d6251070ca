"""The generated data against what was measured on the real annotations."""

import json
import threading

import numpy as np
import pytest

from datasets.carrada import measured
from datasets.carrada.annotations import dilate
from datasets.carrada.generator import cached_root, write_root
from datasets.carrada.motion import smooth_noise, uniformed
from datasets.carrada.plan import plan_sequences
from datasets.carrada.profile import figures
from datasets.carrada.reader import open_root
from datasets.errors import DataError

# The tolerance: 10 % of what the note prints.
NEAR = {"rel": 0.10}


@pytest.fixture(scope="module", params=[0, 1, 2])
def measured_figures(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("seeds") / "Carrada"
    write_root(root, request.param, dense_frames=0)
    return figures(open_root(root))


def test_frames_and_objects(measured_figures):
    found = measured_figures
    assert found.frames == pytest.approx(12_666, **NEAR)
    assert found.frames_per_sequence == pytest.approx(measured.FRAMES_PER_SEQUENCE, **NEAR)
    share = measured.ANNOTATED_SHARE_MEDIAN
    assert found.annotated_share_median == pytest.approx(share, **NEAR)
    assert found.objects_per_frame == pytest.approx(measured.OBJECTS_PER_FRAME, **NEAR)
    assert sum(found.objects_per_frame) == pytest.approx(1.0)
    assert found.same_class_frames == pytest.approx(measured.SAME_CLASS_FRAMES, **NEAR)
    assert found.passes[0] >= 1 and found.passes[1] <= 4


def test_scenarios_and_class_mix(measured_figures):
    assert measured_figures.scenarios == measured.SCENARIOS
    counts = {name: of_class.objects for name, of_class in measured_figures.classes.items()}
    assert counts == pytest.approx(measured.OBJECTS_BY_CLASS, **NEAR)


@pytest.mark.parametrize("name", list(measured.PROFILES))
def test_medians_of_a_class(measured_figures, name):
    found, want = measured_figures.classes[name], measured.PROFILES[name]
    assert found.range_m == pytest.approx(want.range_m, rel=0.12)
    assert found.range_m[1] == pytest.approx(want.range_m[1], **NEAR)
    assert found.speed_mps[0] == pytest.approx(want.speed_mps[0], **NEAR)
    assert found.range_extent[0] == pytest.approx(want.range_extent[0], **NEAR)
    assert found.doppler_extent[0] == pytest.approx(want.doppler_extent[0], **NEAR)
    # Not bound by the issue: tails, azimuths and bands, with room for whole bins.
    assert found.speed_mps[1] == pytest.approx(want.speed_mps[1], rel=0.25)
    assert found.azimuth_deg == pytest.approx(want.azimuth_deg, abs=2.0)
    np.testing.assert_allclose(found.rd_extents, want.rd_extents, rtol=0.15, atol=1.0)
    np.testing.assert_allclose(found.angle_extents, want.angle_extents, rtol=0.2, atol=1.0)


@pytest.mark.parametrize("name", list(measured.PROFILES))
def test_mask_pixels_and_steps(generated, name):
    pixels, steps = [], []
    for sequence in generated.sequences:
        before = None
        for frame_id in generated.frames(sequence):
            frame = generated.frame(sequence, frame_id)
            mine = [i for i, found in enumerate(frame.objects) if found.name == name]
            if len(mine) == 1:
                if before is not None:
                    steps.append(abs(frame.objects[mine[0]].range_m - before))
                before = frame.objects[mine[0]].range_m
                if int(frame_id) % 20 == 0:
                    pixels.append(frame.object_mask(mine[0]).sum())
            else:
                before = None
    assert np.median(pixels) == pytest.approx(measured.PROFILES[name].ra_pixels[0], rel=0.15)
    assert np.median(steps) == pytest.approx(measured.PROFILES[name].step_m, **NEAR)


def test_a_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_root(tmp_path / name, seed, dense_frames=1)
    files = {
        name: {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in sorted((tmp_path / name).rglob("*"))
            if path.is_file()
        }
        for name in "abc"
    }
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]


def test_boxes_are_the_tight_extent_of_the_points(generated):
    content = json.loads((generated.root / "annotations_frame_oriented.json").read_text())
    seen = 0
    for frames in content.values():
        for instances in list(frames.values())[::40]:
            for views in instances.values():
                for view in views.values():
                    points = np.array(view["sparse"])
                    low, high = points.min(axis=0), points.max(axis=0)
                    widened = low == high
                    box = np.array(view["box"]).reshape(2, 2)
                    # Cut at the first and last index where a map ends.
                    assert np.all(np.abs(box - [low - widened, high + widened]) <= widened)
                    assert np.all(box[0] < box[1])
                    seen += 1
    assert seen > 300


def test_range_angle_and_range_doppler_points_agree(generated):
    content = json.loads((generated.root / "annotations_frame_oriented.json").read_text())
    for frames in content.values():
        for instances in list(frames.values())[::50]:
            for views in instances.values():
                doppler = [row for row, _ in views["range_doppler"]["sparse"]]
                angle = [256 - row for row, _ in views["range_angle"]["sparse"]]
                assert doppler == angle


def test_dilation_of_one_point_is_a_square_of_25():
    assert len(dilate(np.array([[46, 32]]), "range_doppler")) == 25
    assert len(dilate(np.array([[0, 0]]), "range_doppler")) == 9


def test_the_cache_is_filled_once_and_whole(tmp_path):
    roots = []
    threads = [
        threading.Thread(target=lambda: roots.append(cached_root(7, tmp_path))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(roots)) == 1 and len(roots) == 3
    assert [path.name for path in tmp_path.iterdir()] == [roots[0].name]
    before = roots[0].stat().st_mtime_ns
    assert cached_root(7, tmp_path).stat().st_mtime_ns == before
    assert len(open_root(roots[0]).sequences) == 30


def test_the_cache_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path in cached_root(1).parents


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True, None])
def test_a_seed_that_is_none_is_refused(tmp_path, seed):
    with pytest.raises(DataError, match="seed"):
        cached_root(seed, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="XDG_CACHE_HOME"):
        cached_root(0, tmp_path / "file")


def test_plans_cover_every_split_and_stay_inside():
    plans = plan_sequences(np.random.default_rng(0))
    assert {plan.split for plan in plans} == {"Train", "Validation", "Test"}
    for plan in plans:
        assert all(v.first > 0 and v.first + v.frames < plan.frames for v in plan.visits)


def test_uniformed_series_is_uniform_and_keeps_its_order():
    series = smooth_noise(5000, 25, np.random.default_rng(0))
    spread = uniformed(series)
    # 40 knots: between them a piece may be bent by no more than a knot's width.
    np.testing.assert_allclose(np.sort(spread), np.linspace(0, 1, 5000), atol=1 / 40)
    assert np.all(np.diff(spread[np.argsort(series)]) >= 0)
