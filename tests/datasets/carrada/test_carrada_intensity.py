"""Intensities of generated frames against the note's figures."""

import numpy as np
import pytest

from datasets.carrada.intensity import DESCRIPTORS, descriptors, object_intensities, radar_map
from datasets.carrada.measured import PROFILES
from datasets.carrada.objects import Frame, RadarObject
from datasets.errors import DataError


def frames_with(generated, name):
    for sequence in generated.sequences:
        for frame_id in generated.frames(sequence)[::25]:
            frame = generated.frame(sequence, frame_id)
            if any(found.name == name for found in frame.objects):
                yield frame


def test_background_and_static_peak(generated):
    frame = generated.frame(generated.sequences[0], 4)
    radar = radar_map(frame, "range_doppler")
    moving = np.delete(radar, [31, 32, 33], axis=1)
    # 16,384 pixels: the standard error of the mean is 0.03.
    assert moving.mean() == pytest.approx(58.5, abs=0.15)
    assert moving.std() == pytest.approx(3.7, abs=0.15)
    assert radar[:, 31:34].mean() > moving.mean() + 5
    angle = radar_map(frame, "range_angle")
    assert angle.mean() == pytest.approx(56.0, abs=0.15)
    assert angle.std() == pytest.approx(5.8, abs=0.15)


@pytest.mark.parametrize("name", list(PROFILES))
def test_objects_stand_out_by_class(generated, name):
    doppler, angle = [], []
    for frame in frames_with(generated, name):
        index = next(i for i, found in enumerate(frame.objects) if found.name == name)
        doppler.append(object_intensities(frame, index))
        angle.append(object_intensities(frame, index, "range_angle"))
    assert np.concatenate(doppler).mean() == pytest.approx(PROFILES[name].rd_intensity, abs=0.3)
    assert np.concatenate(angle).mean() == pytest.approx(65.0, abs=0.3)


def test_the_same_frame_gives_the_same_map(generated):
    frame = generated.frame(generated.sequences[1], 10)
    again = generated.frame(generated.sequences[1], 10)
    other = generated.frame(generated.sequences[1], 11)
    np.testing.assert_array_equal(radar_map(frame, "range_angle"), radar_map(again, "range_angle"))
    assert not np.array_equal(radar_map(frame, "range_angle"), radar_map(other, "range_angle"))
    seeded = radar_map(frame, "range_angle", seed=1)
    assert not np.array_equal(radar_map(frame, "range_angle"), seeded)


def test_descriptors_by_hand(generated):
    frame = next(frames_with(generated, "car"))
    rows = descriptors(frame)
    assert rows.shape == (len(frame.objects), len(DESCRIPTORS))
    for row, found in zip(rows, frame.objects, strict=True):
        assert row[0] == found.range_m and row[1] == found.azimuth_rad
        assert row[2] == found.velocity_mps
        assert row[3] == found.rd_box[2] - found.rd_box[0]
        assert row[4] == found.rd_box[3] - found.rd_box[1]
        assert row[5] == found.ra_box[3] - found.ra_box[1]
        assert 60 < row[6] < 76


def test_what_is_not_there_is_nan_or_refused():
    frame = Frame("2001-01-01-00-00-00", "000001", (RadarObject(1, (1, 1, 3, 3), None),))
    row = descriptors(frame)[0]
    assert np.isnan(row[[1, 5, 6]]).all() and not np.isnan(row[[0, 2, 3, 4]]).any()
    with pytest.raises(DataError, match="has no range_doppler mask"):
        radar_map(frame, "range_doppler")
