"""Attacks on scenes: what each changes, what it leaves alone, and that it stays a valid payload."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.carrada.errors import PayloadError
from datasets.carrada.objects import RadarObject, window
from datasets.carrada.payload import Payload, decode, encode
from datasets.carrada.scene import Scene, mask_of_boxes, scene_of
from datasets.carrada.tampering import MIN_MOVE_M, Tampering, intercept, stale, tamper
from datasets.errors import DataError

SEQUENCE = "2001-02-03-04-05-06"


def an_object(label, row, angle, extent=4):
    rd_box = (row, 30, row + extent, 33)
    return RadarObject(label, rd_box, (256 - row - extent, angle, 256 - row, angle + 6), 0.9)


def a_scene(*objects, frame=91):
    header = (SEQUENCE, f"{frame:06d}", 100 * frame, 255)
    return Scene(*header, objects, mask_of_boxes(objects))


PERSON, CAR = an_object(1, 60, 100), an_object(3, 150, 200)
TWO = a_scene(PERSON, CAR)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_hiding_takes_the_object_and_its_pixels():
    hidden = tamper(TWO, rng(), Tampering.HIDE, target=0)
    assert hidden.same_content(a_scene(CAR))


def test_reclassing_changes_the_label_only():
    seen = set()
    for seed in range(20):
        after = tamper(TWO, rng(seed), Tampering.RECLASS, target=0)
        label = after.objects[0].label
        seen.add(label)
        assert after.objects[0].ra_box == PERSON.ra_box and after.objects[1] == CAR
        assert np.array_equal(after.mask == label, (TWO.mask == 1) | (TWO.mask == label))
    assert seen == {2, 3}


@given(seed=st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_moving_goes_far_and_takes_the_pixels_along(seed):
    after = tamper(TWO, rng(seed), Tampering.MOVE, target=0)
    moved = after.objects[0]
    assert abs(moved.range_m - PERSON.range_m) >= MIN_MOVE_M - 1e-9
    assert moved.velocity_mps == PERSON.velocity_mps and after.objects[1] == CAR
    assert (after.mask[window(moved.ra_box)] == 1).all()
    assert (after.mask == 1).sum() <= (TWO.mask == 1).sum()


def test_inserting_where_it_is_told():
    after = tamper(TWO, rng(), Tampering.INSERT, centre=(20.0, 0.3, -2.0))
    phantom = after.objects[-1]
    # Boxes have whole indices: half a bin of each axis, and half an odd extent.
    assert phantom.range_m == pytest.approx(20.0, abs=0.2)
    assert phantom.azimuth_rad == pytest.approx(0.3, abs=0.013)
    assert phantom.velocity_mps == pytest.approx(-2.0, abs=0.43)
    assert after.objects[:2] == TWO.objects
    assert (after.mask == phantom.label).sum() > (TWO.mask == phantom.label).sum()


@given(seed=st.integers(0, 10**6), count=st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_every_tampering_changes_the_scene_and_stays_valid(seed, count):
    draw = rng(seed)
    rows = draw.integers(1, 240, count)
    objects = [
        an_object(int(draw.integers(1, 4)), int(r), int(draw.integers(0, 249))) for r in rows
    ]
    scene = a_scene(*objects)
    after = tamper(scene, rng(seed))
    assert after.objects != scene.objects
    payload = encode(after)
    assert decode(payload.mask_png, payload.metadata).same_content(after)
    assert (after.sequence, after.frame, after.covers) == (SEQUENCE, "000091", 255)
    assert tamper(scene, rng(seed)).same_content(after)


def test_tampering_with_real_and_generated_frames(data):
    for sequence in data.sequences[:6]:
        for name in data.frames(sequence)[::40]:
            scene = scene_of(data.frame(sequence, name))
            payload = encode(scene)
            after = intercept(payload, rng(int(name)))
            back = decode(after.mask_png, after.metadata)
            assert back.objects != scene.objects and back.frame == scene.frame


def test_stale_content_travels_under_the_present_header():
    older = a_scene(PERSON, frame=50)
    after = stale(TWO, older)
    assert after.same_content(older) and after.frame == TWO.frame
    assert after.captured_ms == TWO.captured_ms
    for other in (TWO, a_scene(frame=92)):
        with pytest.raises(DataError, match="not an older one"):
            stale(TWO, other)


def test_what_the_scene_does_not_allow_is_refused():
    for how in (Tampering.HIDE, Tampering.MOVE, Tampering.RECLASS):
        with pytest.raises(DataError, match=f"cannot {how}"):
            tamper(a_scene(), rng(), how)
    full = a_scene(*[an_object(1, 40 * i + 1, 100) for i in range(5)])
    with pytest.raises(DataError, match="cannot insert"):
        tamper(full, rng(), Tampering.INSERT)
    with pytest.raises(DataError, match="no object 2"):
        tamper(TWO, rng(), Tampering.HIDE, target=2)


def test_a_neighbour_of_the_same_class_keeps_its_pixels():
    near, far = an_object(1, 60, 100), an_object(1, 60, 104)
    hidden = tamper(a_scene(near, far), rng(), Tampering.HIDE, target=0)
    assert (hidden.mask[window(far.ra_box)] == 1).all()


def test_intercepting_what_is_no_payload_is_refused():
    with pytest.raises(PayloadError):
        intercept(Payload(b"", b""), rng())
