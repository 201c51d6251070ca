"""Payloads: round trips, sizes, values, and what strangers may send."""

import io
import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.carrada import axes
from datasets.carrada.errors import PayloadError
from datasets.carrada.metadata import SCHEMA
from datasets.carrada.objects import Frame, RadarObject
from datasets.carrada.payload import LIMITS, Limits, Payload, channels, decode, encode
from datasets.carrada.scene import Scene, mask_of_boxes, scene_of
from datasets.carrada.value import detector_confidences, object_value, semantic_value
from datasets.errors import DataError

SEQUENCE = "2001-02-03-04-05-06"


def an_object(label=1, row=100, column=30, angle=120, extent=4, confidence=0.9):
    rd_box = (row, column, row + extent, column + 3)
    ra_box = (256 - row - extent, angle, 256 - row, angle + 6)
    return RadarObject(label, rd_box, ra_box, confidence)


def a_scene(*objects):
    return Scene(SEQUENCE, "000091", 9100, 255, objects, mask_of_boxes(objects))


ONE = a_scene(an_object())
objects_of_any_kind = st.builds(
    an_object,
    label=st.integers(1, 3),
    row=st.integers(1, 240),
    column=st.integers(0, 60),
    angle=st.integers(0, 249),
    extent=st.integers(0, 15),
    confidence=st.integers(0, 10_000).map(lambda n: n / 10_000),
)
scenes = st.lists(objects_of_any_kind, max_size=4).map(lambda objects: a_scene(*objects))


@given(scene=scenes)
@settings(max_examples=60, deadline=None)
def test_decoding_gives_the_scene_back(scene):
    payload = encode(scene)
    assert len(payload.metadata) <= 1000
    back = decode(payload.mask_png, payload.metadata)
    assert back.same_content(scene)
    assert (back.sequence, back.frame, back.captured_ms, back.covers) == (
        SEQUENCE,
        "000091",
        9100,
        255,
    )


@given(scene=scenes)
@settings(max_examples=20, deadline=None)
def test_metadata_fits_its_schema(scene):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(encode(scene).metadata), SCHEMA)


def test_frames_of_the_data_make_payloads(data):
    rng = np.random.default_rng(0)
    sizes = {}
    for sequence in data.sequences:
        for name in data.frames(sequence)[::15]:
            frame = data.frame(sequence, name)
            scene = scene_of(frame, detector_confidences(frame.objects, rng))
            payload = encode(scene)
            assert len(payload.metadata) <= 1000
            assert decode(payload.mask_png, payload.metadata).mask.shape == (256, 256)
            sizes.setdefault(len(frame.objects), []).append(
                (len(payload.mask_png), len(payload.metadata), channels(payload))
            )
    empty, one = np.median(sizes[0], axis=0), np.median(sizes[1], axis=0)
    # The note measured 141 B empty, 160-470 B with objects, at most 363 B of JSON for one.
    assert empty[0] <= 141 and 130 <= one[0] <= 470 and one[1] <= 363
    assert all(2 <= count <= 8 for found in sizes.values() for _, _, count in found)


def test_empty_frames_are_payloads_worth_nothing():
    scene = scene_of(Frame(SEQUENCE, "000004", ()))
    payload = encode(scene)
    assert json.loads(payload.metadata)["objects"] == []
    assert decode(payload.mask_png, payload.metadata).captured_ms == 400
    assert semantic_value(scene) == 0.0


def test_frames_with_one_view_make_no_payload():
    with pytest.raises(DataError, match="one view only"):
        scene_of(Frame(SEQUENCE, "000004", (RadarObject(1, None, (1, 1, 2, 2)),)))


def test_channels_by_hand():
    # 125 bytes are the 1,000 bits that 10 kb/s carry in 0.1 s.
    assert channels(Payload(b"x" * 100, b"y" * 25)) == 1
    assert channels(Payload(b"x" * 100, b"y" * 26)) == 2
    assert channels(Payload(b"x" * 500, b"y" * 500), slot_s=1.0) == 1
    for rate, slot in ((0, 1), (1, 0), (-1, 1), (float("nan"), 1), (float("inf"), 1)):
        with pytest.raises(DataError, match="channel rate"):
            channels(Payload(b"", b""), rate, slot)


def test_values_by_hand():
    near = an_object(label=1, row=1, extent=0, confidence=1.0)
    assert object_value(near) == pytest.approx(1.25 - 0.5 * (1 / 256))
    car = replace(near, label=3)
    assert semantic_value(a_scene(car)) == pytest.approx(0.8 * object_value(near))
    both = a_scene(near, an_object(label=3, row=1, angle=10, extent=0, confidence=1.0))
    assert semantic_value(both) == pytest.approx((1 + 0.8 / 2) * object_value(near))
    assert semantic_value(both, 1.2) == pytest.approx(1.2 * semantic_value(both))
    for weather in (0.9, 1.6, float("nan")):
        with pytest.raises(DataError, match="weather"):
            semantic_value(both, weather)


def test_an_object_that_the_mask_does_not_show_is_worth_nothing():
    scene = ONE.with_content(ONE.objects, np.zeros((256, 256), np.uint8))
    assert semantic_value(scene) == 0.0


def test_values_of_annotated_frames_lie_about_half_to_one_and_a_half(generated):
    values = []
    for sequence in generated.sequences:
        for name in generated.frames(sequence)[::20]:
            frame = generated.frame(sequence, name)
            if frame.objects:
                sure = detector_confidences(frame.objects, np.random.default_rng(0))
                values.append(semantic_value(scene_of(frame, sure)))
    low, middle, high = np.percentile(values, [5, 50, 95])
    assert 0.4 <= low <= 0.6 and 0.8 <= middle <= 1.1 and 1.3 <= high <= 1.6


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width=256,
    height=256,
    depth=8,
    colour=3,
    palette=12,
    rows=bytes(256 * 257),
    extra=b"",
    methods=0,
):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, methods)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", bytes(palette))
        + extra
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


PIXELS = bytes(256 * 257)
GOOD = png()


def saved(image, **how):
    stream = io.BytesIO()
    image.save(stream, **how)
    return stream.getvalue()


def test_the_hand_made_png_is_accepted():
    assert not decode(GOOD, encode(a_scene()).metadata).mask.any()


HOSTILE_MASKS = {
    "empty": b"",
    "no png": b"GIF89a",
    "signature only": GOOD[:8],
    "truncated header": GOOD[:20],
    "truncated pixels": GOOD[:-20],
    "last byte missing": GOOD[:-1],
    "trailing data": GOOD + b"x",
    "second file behind": GOOD + GOOD,
    "wrong checksum": GOOD[:-1] + b"\0",
    "huge dimensions": png(2**31 - 1, 2**31 - 1),
    "zero width": png(0, 256),
    "other dimensions": png(128, 256),
    "interlaced": png(methods=1),
    "true colour": png(colour=2),
    "16 bits": png(depth=16),
    "bomb": png(rows=bytes(3 * 10**6)),
    "too few rows": png(rows=PIXELS[:-1]),
    "no pixels": png(rows=b""),
    "text chunk": png(extra=chunk(b"tEXt", b"a\0b")),
    "compressed text bomb": png(extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6)))),
    "animation": png(extra=chunk(b"acTL", bytes(8))),
    "two palettes": png(extra=chunk(b"PLTE", bytes(3))),
    "label 4": png(rows=b"\0" + b"\4" + PIXELS[2:]),
    "unknown row filter": png(rows=b"\x09" + PIXELS[1:]),
    "grey image": saved(Image.new("L", (256, 256)), format="PNG"),
    "jpeg": saved(Image.new("L", (256, 256)), format="JPEG"),
    "damaged deflate": GOOD.replace(zlib.compress(PIXELS, 9)[:6], b"\0" * 6),
}


@pytest.mark.parametrize("content", HOSTILE_MASKS.values(), ids=HOSTILE_MASKS)
def test_hostile_masks_are_refused(content):
    with pytest.raises(PayloadError) as caught:
        decode(content, encode(a_scene()).metadata)
    assert len(str(caught.value)) < 100


def test_sizes_are_checked_first():
    with pytest.raises(PayloadError, match="4097 bytes, at most 4096"):
        decode(bytes(4097), b"")
    with pytest.raises(PayloadError, match="metadata has 1001 bytes, at most 1000"):
        decode(GOOD, b" " * 1001)
    with pytest.raises(PayloadError, match="must be bytes"):
        decode("x", b"")
    with pytest.raises(DataError, match="limits"):
        Limits(mask_bytes=0)


def changed(**fields):
    content = json.loads(encode(ONE).metadata)
    for name, value in fields.items():
        target = content["objects"][0] if name in content["objects"][0] else content
        target[name] = value
    return json.dumps(content, separators=(",", ":")).encode()


def without(field):
    content = json.loads(encode(ONE).metadata)
    (content["objects"][0] if field in content["objects"][0] else content).pop(field)
    return json.dumps(content).encode()


TEXT = encode(ONE).metadata
HOSTILE_METADATA = {
    "empty": b"",
    "no json": b"{",
    "a list": b"[]",
    "a number": b"1",
    "deep nesting": b"[" * 999,
    "deep objects": b'{"a":' * 190,
    "not ascii": TEXT.replace(b"pedestrian", "pedestri\u00e4n".encode()),
    "broken utf-8": TEXT + b"\xff",
    "trailing": TEXT + b"{}",
    "duplicate key": TEXT.replace(b'"v":1', b'"v":1,"v":1'),
    "unknown key": TEXT.replace(b'"v":1', b'"v":1,"w":1'),
    "version": changed(v=2),
    "version as bool": changed(v=True),
    "sequence": changed(sequence="../../../etc"),
    "sequence with newline": changed(sequence=SEQUENCE + "\n"),
    "unicode digits": changed(frame="\u0660\u0660\u0660\u0660\u0669\u0661"),
    "frame as number": changed(frame=91),
    "time as float": changed(captured_ms=1.0),
    "negative time": changed(captured_ms=-1),
    "huge time": TEXT.replace(b"9100", b"9" * 400),
    "covers": changed(covers=2**63),
    "objects is no list": changed(objects={}),
    "object is no object": changed(objects=[1]),
    "label 0": TEXT.replace(b'"pedestrian"', b'"background"'),
    "label as number": TEXT.replace(b'"pedestrian"', b"1"),
    "nan": TEXT.replace(b'"confidence":0.9', b'"confidence":NaN'),
    "infinity": TEXT.replace(b'"confidence":0.9', b'"confidence":-Infinity'),
    "overflow": TEXT.replace(b'"confidence":0.9', b'"confidence":1e999'),
    "confidence": changed(confidence=1.01),
    "confidence as text": changed(confidence="1"),
    "confidence as bool": changed(confidence=True),
    "range that its box belies": changed(range_m=30.0),
    "azimuth that its box belies": changed(azimuth_rad=0.5),
    "doppler that its box belies": changed(doppler_mps=5.0),
    "box outside": changed(ra_box=[152, 120, 256, 126]),
    "rd box outside": changed(rd_box=[100, 30, 104, 64]),
    "box reversed": changed(ra_box=[156, 120, 152, 126]),
    "box of three": changed(ra_box=[152, 120, 156]),
    "box of floats": changed(ra_box=[152.0, 120, 156, 126]),
    "box of bools": changed(ra_box=[True, 120, 156, 126]),
    "boxes disagree": changed(ra_box=[52, 120, 56, 126]),
    **{f"no {field}": without(field) for field in ("v", "covers", "objects", "class", "ra_box")},
}


@pytest.mark.parametrize("content", HOSTILE_METADATA.values(), ids=HOSTILE_METADATA)
def test_hostile_metadata_is_refused(content):
    with pytest.raises(PayloadError) as caught:
        decode(GOOD, content[:1000])
    assert len(str(caught.value)) < 160 and str(caught.value).isprintable()


def test_the_number_of_objects_is_bounded():
    many = [an_object(angle=i) for i in range(6)]
    with pytest.raises(PayloadError, match="at most"):
        encode(a_scene(*many))
    wide = Limits(metadata_bytes=2000, objects=6)
    payload = encode(a_scene(*many), wide)
    assert len(decode(payload.mask_png, payload.metadata, wide).objects) == 6
    with pytest.raises(PayloadError, match="at most 1000"):
        decode(payload.mask_png, payload.metadata)
    with pytest.raises(PayloadError, match="brackets"):
        decode(payload.mask_png, payload.metadata, Limits(metadata_bytes=2000))


def test_a_mask_that_is_none_is_not_encoded():
    for mask in (np.zeros((4, 4), np.uint8), np.full((256, 256), 4, np.uint8)):
        with pytest.raises(PayloadError, match="mask is no"):
            encode(ONE.with_content((), mask))


@given(st.binary(max_size=600))
@settings(max_examples=200, deadline=None)
def test_random_bytes_raise_nothing_else(content):
    for mask, metadata in ((content, TEXT), (GOOD, content)):
        with pytest.raises(PayloadError):
            decode(mask, metadata)


@given(position=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=300, deadline=None)
def test_damaged_payloads_decode_or_are_refused(position, byte, cut):
    whole = encode(ONE)
    for part in ("mask_png", "metadata"):
        content = bytearray(getattr(whole, part))
        at = position % len(content)
        content = content[:at] if cut else content[:at] + bytes([byte]) + content[at + 1 :]
        damaged = replace(whole, **{part: bytes(content)})
        try:
            scene = decode(damaged.mask_png, damaged.metadata)
        except PayloadError:
            continue
        assert scene.mask.max() < 4 and len(scene.objects) <= LIMITS.objects
        for found in scene.objects:
            assert 0 <= found.range_m <= axes.MAX_RANGE and 0 <= found.confidence <= 1
