"""Reading roots: every case of the format note, and what is refused."""

import io
import pickle

import numpy as np
import pytest

from datasets.carrada import axes
from datasets.carrada.files import read_array, read_json
from datasets.carrada.reader import open_root
from datasets.errors import DataError

SEQUENCE = "2001-02-03-04-05-06"
RA, RD = "range_angle", "range_doppler"


def test_root_and_its_parent_are_accepted(annotated):
    assert open_root(annotated.root).sequences == (SEQUENCE,)
    assert open_root(annotated.root.parent).sequences == (SEQUENCE,)


def test_quantities_by_hand(annotated):
    frame = annotated.open().frame(SEQUENCE, "000005")
    person, car = frame.objects
    assert (person.name, car.name) == ("pedestrian", "car")
    assert person.range_m == pytest.approx(102 * 0.1953125)
    assert person.velocity_mps == pytest.approx((31.5 - 32) * 0.41968030701528203)
    assert person.azimuth_rad == pytest.approx((125 - 128) * 0.01227184630308513)
    assert person.rd_box == (100, 30, 104, 33)
    # The range-angle map has its far end on top: row 256 - range bin.
    assert person.range_m == pytest.approx(axes.range_m(256 - (152 + 156) / 2))


def test_frames_without_objects_are_frames(annotated):
    data = annotated.open()
    assert data.frames(SEQUENCE) == ("000004", "000005", "000006")
    empty = data.frame(SEQUENCE, 4)
    assert empty.objects == ()
    assert empty.ra_mask is not None and not empty.ra_mask.any()
    assert empty.rd_mask is not None and empty.rd_mask.shape == (256, 64)


def test_boxes_without_any_pixels_have_no_mask(annotated):
    assert annotated.open().frame(SEQUENCE, 5).ra_mask is None
    assert annotated.open().frame(SEQUENCE, 5).object_mask(0) is None


def test_dense_masks_are_class_indices(annotated):
    one_hot = np.zeros((4, 256, 256), np.uint8)
    one_hot[0] = 1
    one_hot[:, 152:157, 120:131] = np.array([0, 1, 0, 0])[:, None, None]
    annotated.dense("000005", RA, one_hot)
    frame = annotated.open().frame(SEQUENCE, 5)
    assert frame.ra_mask.sum() == 5 * 11
    assert frame.object_mask(0).sum() == 5 * 11
    assert frame.object_mask(1).sum() == 0  # a box need not have a pixel of its own
    assert frame.rd_mask is None


def test_recent_frames_are_kept_and_cannot_be_altered(annotated):
    data = annotated.open()
    frame = data.frame(SEQUENCE, 4)
    assert data.frame(SEQUENCE, "000004") is frame
    with pytest.raises(ValueError, match="read-only"):
        frame.ra_mask[0, 0] = 1


def test_validated_list_decides_and_missing_directories_are_named(annotated):
    (annotated.root / "2009-09-09-09-09-09").mkdir()
    (annotated.root / "validated_seqs.txt").write_text(f"{SEQUENCE}\n2010-01-01-00-00-00\n")
    data = annotated.open()
    assert data.sequences == (SEQUENCE,)
    assert data.missing == ("2010-01-01-00-00-00",)


def test_frames_fall_back_to_dense_directories_then_to_radar(builder):
    (builder.sequence / "range_angle_numpy").mkdir()
    np.save(builder.sequence / "range_angle_numpy" / "000009.npy", np.zeros((256, 256)))
    assert builder.open().frames(SEQUENCE) == ("000009",)
    (builder.sequence / "annotations" / "dense" / "000003").mkdir(parents=True)
    (builder.sequence / "annotations" / "dense" / "notes").mkdir()
    assert builder.open().frames(SEQUENCE) == ("000003",)


def test_frames_never_come_from_the_boxes(builder):
    builder.boxes(RD, {"000005": {"boxes": [[1, 1, 2, 2]], "labels": [1]}})
    with pytest.raises(DataError, match="nothing tells its frames"):
        builder.open().frames(SEQUENCE)


def test_one_view_is_enough(builder):
    builder.frames("000005")
    builder.boxes(RA, {"000005": {"boxes": [[152, 120, 156, 130]], "labels": [2]}})
    data = builder.open()
    found = data.frame(SEQUENCE, 5).objects[0]
    assert data.views(SEQUENCE) == {RA}
    assert found.velocity_mps is None and found.rd_box is None
    assert found.range_m == pytest.approx(102 * 0.1953125)


def test_indices_are_clamped(builder):
    builder.frames("000005")
    builder.boxes(RA, {"000005": {"boxes": [[250, -2, 256, 256]], "labels": [3]}})
    assert builder.open().frame(SEQUENCE, 5).objects[0].ra_box == (250, 0, 255, 255)


def test_frame_oriented_annotations_serve_without_box_files(builder):
    builder.frames("000005", "000006")
    view = {"sparse": [[100, 30], [102, 31]], "box": [[100, 30], [102, 31]], "label": 2}
    angle = {"dense": [[154, 120], [256, 300]], "box": [154, 120, 256, 121], "label": 2}
    builder.json(
        "annotations_frame_oriented.json",
        {SEQUENCE: {"000005": {"7": {RD: view, RA: angle}}, "000006": {}}},
    )
    data = builder.open()
    frame = data.frame(SEQUENCE, 5)
    assert frame.objects[0].rd_box == (100, 30, 102, 31)
    # Two points two rows and a column apart, each with the 5 x 5 pixels nearer than 3.
    assert (frame.rd_mask == 2).sum() == 25 + 25 - 3 * 4
    assert set(zip(*np.nonzero(frame.ra_mask), strict=True)) == {(154, 120), (255, 255)}
    assert data.frame(SEQUENCE, 6).objects == ()


def test_merged_instances_become_one_object(builder):
    builder.frames("000005")
    builder.json("instance_exceptions.json", {SEQUENCE: {"8": "7"}})
    parts = {
        name: {RD: {"sparse": [[row, 30]], "box": [row, 29, row + 1, 31], "label": 3}}
        for name, row in (("7", 100), ("8", 120))
    }
    builder.json("annotations_frame_oriented.json", {SEQUENCE: {"000005": parts}})
    frame = builder.open().frame(SEQUENCE, 5)
    assert [found.rd_box for found in frame.objects] == [(100, 29, 121, 31)]
    assert (frame.rd_mask == 3).sum() == 2 * 25


def test_overlapping_classes_show_the_most_vulnerable(annotated):
    one_hot = np.zeros((4, 256, 256), np.uint8)
    one_hot[3, 10:20, 10:20] = 1
    one_hot[1, 15, 15] = 1
    annotated.dense("000005", RA, one_hot)
    assert annotated.open().frame(SEQUENCE, 5).ra_mask[15, 15] == 1


def test_split_camera_and_radar_are_optional(annotated):
    data = annotated.open()
    assert data.split(SEQUENCE) is None
    assert data.camera(SEQUENCE, "000005") is None
    assert data.radar(SEQUENCE, "000005", RD) is None
    annotated.json("data_seq_ref.json", {SEQUENCE: {"split": "Validation"}})
    (annotated.sequence / "range_doppler_processed").mkdir()
    np.save(annotated.sequence / "range_doppler_processed" / "000005.npy", np.full((256, 64), 60.0))
    (annotated.sequence / "camera_images").mkdir()
    (annotated.sequence / "camera_images" / "000005.jpg").write_bytes(b"")
    data = annotated.open()
    assert data.split(SEQUENCE) == "Validation"
    assert data.radar(SEQUENCE, "000005", RD).mean() == 60.0
    assert data.camera(SEQUENCE, "000005").name == "000005.jpg"
    assert data.camera(SEQUENCE, "../../etc") is None


def entry(boxes, labels):
    return {"000005": {"boxes": boxes, "labels": labels}}


@pytest.mark.parametrize(
    ("rd", "ra", "why"),
    [
        (entry([[1, 1, 2, 2]], [4]), None, "label 4 is not 1, 2 or 3"),
        (entry([[1, 1, 2, 2]], [0]), None, "label 0"),
        (entry([[1, 1, 2, 2]], [True]), None, "label True"),
        (entry([[1, 1, 2, 2]], []), None, "not lists of equal length"),
        (entry([[1, 1, 2]], [1]), None, "not four numbers"),
        (entry([[5, 1, 2, 2]], [1]), None, "ends before it begins"),
        (entry([[1, 1, 2, 2.5]], [1]), None, "whole numbers"),
        (entry([[1, 1, 2, 10**30]], [1]), None, "whole numbers"),
        (entry([[1, 1, 2, "x"]], [1]), None, "whole numbers"),
        (entry([[1, 1, [2], 2]], [1]), None, "no list of indices"),
        (entry([[1, 1, 2, 2]], [1]), entry([], []), "the lists must be equal"),
        (entry([[1, 1, 2, 2]], [1]), {}, "the lists must be equal"),
        (entry([[1, 1, 2, 2]], [1]), entry([[1, 1, 2, 2]], [2]), "the lists must be equal"),
        ({"5": {"boxes": [], "labels": []}}, None, "not named by six digits"),
        ({"000005": []}, None, "lacks boxes or labels"),
        ([], None, "instead of a JSON object"),
    ],
)
def test_malformed_boxes_name_their_file(builder, rd, ra, why):
    builder.frames("000005")
    path = builder.boxes(RD, rd)
    if ra is not None:
        path = builder.boxes(RA, ra)
    with pytest.raises(DataError, match=why) as caught:
        builder.open().frame(SEQUENCE, 5)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((3, 256, 256), np.uint8), "shape"),
        (np.zeros((4, 256, 64), np.uint8), "shape"),
        (np.full((4, 256, 256), 2, np.uint8), "one-hot"),
        (np.full((4, 256, 256), np.nan, np.float32), "one-hot"),
        (np.zeros((4, 256, 256), "U1"), "data type"),
    ],
)
def test_malformed_masks_name_their_file(annotated, array, why):
    path = annotated.dense("000005", RA, array)
    with pytest.raises(DataError, match=why) as caught:
        _ = annotated.open().frame(SEQUENCE, 5).ra_mask
    assert str(path) in str(caught.value)


def test_pickles_are_never_loaded(annotated, tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "exploded"), "w")

    array = np.empty((4, 256, 256), object)
    array[0, 0, 0] = Bomb()
    path = annotated.dense("000005", RA, array, allow_pickle=True)
    with pytest.raises(DataError, match=str(path)):
        _ = annotated.open().frame(SEQUENCE, 5).ra_mask
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"not a \.npy file"):
        _ = annotated.open().frame(SEQUENCE, 5).ra_mask
    assert not (tmp_path / "exploded").exists()


def test_truncated_array_is_refused(annotated):
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 256, 256), np.uint8))
    path = annotated.dense("000005", RA, np.zeros(1))
    path.write_bytes(stream.getvalue()[:-1])
    with pytest.raises(DataError, match="truncated"):
        _ = annotated.open().frame(SEQUENCE, 5).ra_mask


def test_fortran_order_is_understood(tmp_path):
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    np.testing.assert_array_equal(read_array(tmp_path / "a.npy", (3, 4)), array)


def test_sizes_are_checked_before_parsing(tmp_path):
    path = tmp_path / "big.json"
    path.write_text("{" + " " * 100 + "}")
    with pytest.raises(DataError, match="more than the limit of 50"):
        read_json(path, 50)
    with (tmp_path / "huge.npy").open("wb") as file:
        file.truncate(2**34)  # sparse: takes no disk
    with pytest.raises(DataError, match="more than the limit"):
        read_array(tmp_path / "huge.npy", (4, 256, 256))


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', "[" * 100_000, "\xff", "[1]"])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"bad\.json"):
        read_json(path)


def test_annotation_labels_of_the_views_must_agree(builder):
    builder.frames("000005")
    views = {RD: {"box": [1, 1, 2, 2], "label": 1}, RA: {"box": [1, 1, 2, 2], "label": 2}}
    builder.json("annotations_frame_oriented.json", {SEQUENCE: {"000005": {"7": views}}})
    with pytest.raises(DataError, match="one label in both views"):
        builder.open().frame(SEQUENCE, 5)


def test_what_is_not_carrada_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent", tmp_path / "a\0b"):
        with pytest.raises(DataError):
            open_root(path)
    (tmp_path / "validated_seqs.txt").write_text("../../etc\n")
    with pytest.raises(DataError, match="not a sequence"):
        open_root(tmp_path)
    (tmp_path / "validated_seqs.txt").write_text("2001-01-01-00-00-00\n")
    with pytest.raises(DataError, match="none of the 1 listed"):
        open_root(tmp_path)


def test_unknown_sequences_and_frames_are_refused(annotated):
    data = annotated.open()
    with pytest.raises(DataError, match="no sequence"):
        data.frames("2001-01-01-00-00-00")
    with pytest.raises(DataError, match="no frame"):
        data.frame(SEQUENCE, "000007")


def test_every_frame_is_read(data):
    """The generated root, and the real one where it is given."""
    objects = masks = 0
    for sequence in data.sequences:
        for name in data.frames(sequence):
            frame = data.frame(sequence, name)
            objects += len(frame.objects)
            for found in frame.objects:
                # Both views tell the same range, up to a clamped row.
                top, _, bottom, _ = found.ra_box
                assert abs(256 - (top + bottom) / 2 - found.range_m / axes.RANGE_STEP) <= 1
    for sequence in data.sequences[:2]:
        for name in data.frames(sequence)[::10]:
            frame = data.frame(sequence, name)
            masks += frame.ra_mask is not None
            if frame.ra_mask is not None:
                assert set(np.unique(frame.ra_mask)) <= {0, *(f.label for f in frame.objects)}
    assert objects > 200 and masks > 20


def test_masks_of_both_sources_agree(data):
    """Boxes grown by two bins are the tight extent of the dense masks, as on the real data."""
    checked = 0
    for sequence in data.sequences:
        dense = data.root / sequence / "annotations" / "dense"
        for path in dense.iterdir():
            frame = data.frame(sequence, path.name)
            for view in (RA, RD):
                for label in {found.label for found in frame.objects}:
                    boxes = np.array([f.box(view) for f in frame.objects if f.label == label])
                    rows, columns = np.nonzero(frame.mask(view) == label)
                    seen = np.array([rows.min(), columns.min(), rows.max(), columns.max()])
                    hull = np.array([*boxes[:, :2].min(0) - 2, *boxes[:, 2:].max(0) + 2])
                    limits = np.array(frame.mask(view).shape * 2) - 1
                    # A degenerate box is wider by one bin than its only point.
                    assert np.all(np.abs(np.clip(hull, 0, limits) - seen) <= 1)
                    checked += 1
    assert checked >= 20
