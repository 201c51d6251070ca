"""The JSON half of a payload: schema, compact writing, strict reading of what strangers send."""

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

from datasets.carrada import axes
from datasets.carrada.errors import PayloadError
from datasets.carrada.objects import (
    CLASSES,
    FRAME_ID,
    LABELS,
    SEQUENCE_NAME,
    SHAPES,
    Box,
    RadarObject,
    View,
)
from datasets.carrada.scene import ALL_CUBES

VERSION = 1
MAX_CAPTURED_MS = 10**9
DECIMALS = 4
_ROUNDING = 1e-3
"""How far a stated quantity may be from the one that its box gives."""
_RANGE_AGREEMENT_BINS = 8.0
"""How far the ranges of the two boxes may differ; in CARRADA they are equal unless clamped."""

_BOX = {
    "type": "array",
    "minItems": 4,
    "maxItems": 4,
    "items": {"type": "integer", "minimum": 0, "maximum": 255},
}
_OBJECT_PROPERTIES = {
    "class": {"enum": list(CLASSES[1:])},
    "range_m": {"type": "number", "minimum": 0, "maximum": axes.MAX_RANGE},
    "azimuth_rad": {"type": "number", "minimum": -axes.MAX_AZIMUTH, "maximum": axes.MAX_AZIMUTH},
    "doppler_mps": {"type": "number", "minimum": -axes.MAX_SPEED, "maximum": axes.MAX_SPEED},
    "ra_box": _BOX,
    "rd_box": {**_BOX, "description": "rows 0..255, columns 0..63"},
    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
}
_PROPERTIES = {
    "v": {"const": VERSION},
    "sequence": {"type": "string", "pattern": f"^{SEQUENCE_NAME.pattern}$"},
    "frame": {"type": "string", "pattern": f"^{FRAME_ID.pattern}$"},
    "captured_ms": {"type": "integer", "minimum": 0, "maximum": MAX_CAPTURED_MS},
    "covers": {"type": "integer", "minimum": 0, "maximum": ALL_CUBES},
    "objects": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": _OBJECT_PROPERTIES,
            "required": list(_OBJECT_PROPERTIES),
            "additionalProperties": False,
        },
    },
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Metadata of a CARRADA payload",
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
    "additionalProperties": False,
}
"""JSON Schema of the metadata, for readers; `read_metadata` also holds the boxes to account."""


def write_metadata(header: dict[str, str | int], objects: tuple[RadarObject, ...]) -> bytes:
    """Write compact metadata.

    Parameters
    ----------
    header
        `sequence`, `frame`, `captured_ms` and `covers`.
    objects
        Objects with both boxes.

    Returns
    -------
    bytes
        JSON, ASCII.
    """
    content = {"v": VERSION, **header, "objects": [_written(found) for found in objects]}
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


def _written(found: RadarObject) -> dict[str, object]:
    quantities = {
        "range_m": found.range_m,
        "azimuth_rad": found.azimuth_rad,
        "doppler_mps": found.velocity_mps,
    }
    rounded = {name: round(value or 0.0, DECIMALS) for name, value in quantities.items()}
    return {
        "class": found.name,
        **rounded,
        "ra_box": found.ra_box,
        "rd_box": found.rd_box,
        "confidence": round(found.confidence, DECIMALS),
    }


def read_metadata(
    content: bytes, max_objects: int
) -> tuple[dict[str, Any], tuple[RadarObject, ...]]:
    """Read the metadata of a stranger.

    Parameters
    ----------
    content
        JSON; its size was checked by the caller.
    max_objects
        Objects above which it is refused.

    Returns
    -------
    tuple
        The header (`sequence`, `frame`, `captured_ms`, `covers`) and the objects.

    Raises
    ------
    PayloadError
        If it is no JSON, nested too deeply, has a duplicate, unknown or missing key, a value of the
        wrong type or out of range, or quantities that its boxes belie.
    """
    value = _record(_parse(content, max_objects), _HEADER, "metadata")
    objects = value.pop("objects")
    if len(objects) > max_objects:
        raise PayloadError(f"metadata has {len(objects)} objects, at most {max_objects}")
    del value["v"]
    return value, tuple(_read_object(entry) for entry in objects)


def _parse(content: bytes, max_objects: int) -> object:
    # An honest file opens one list and one object, then three of them for each radar object: more
    # brackets are never parsed, which bounds the depth as well.
    if content.count(b"[") + content.count(b"{") > 2 + 3 * max_objects:
        raise PayloadError("metadata has too many brackets")
    try:
        return json.loads(
            content.decode("ascii"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, PayloadError):
            raise
        raise PayloadError("metadata is not JSON") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise PayloadError("metadata has a key twice")
    return record


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadError(f"metadata has {name}")


_Check = Callable[[object, str], Any]


def _record(value: object, checks: dict[str, _Check], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != checks.keys():
        raise PayloadError(f"{what} has not exactly the fields {', '.join(checks)}")
    return {name: check(value[name], name) for name, check in checks.items()}


def _whole(least: int, most: int) -> _Check:
    def check(value: object, what: str) -> int:
        if type(value) is not int or not least <= value <= most:
            raise PayloadError(f"{what} is no whole number from {least} to {most}")
        return value

    return check


def _real(least: float, most: float) -> _Check:
    def check(value: object, what: str) -> float:
        if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
            raise PayloadError(f"{what} is no number from {least:g} to {most:g}")
        return float(value)  # type: ignore[arg-type]

    return check


def _text(pattern: Any) -> _Check:
    def check(value: object, what: str) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise PayloadError(f"{what} is malformed")
        return value

    return check


def _box(view: View) -> _Check:
    height, width = SHAPES[view]

    def check(value: object, what: str) -> Box:
        if not isinstance(value, list) or len(value) != 4:  # noqa: PLR2004 -- two corners
            raise PayloadError(f"{what} has not four indices")
        if not all(type(index) is int for index in value):
            raise PayloadError(f"{what} has an index that is no whole number")
        row, column, last_row, last_column = value
        if not (0 <= row <= last_row < height and 0 <= column <= last_column < width):
            raise PayloadError(f"{what} is outside the map")
        return row, column, last_row, last_column

    return check


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise PayloadError(f"{what} is no list")
    return value


def _label(value: object, what: str) -> int:
    if not isinstance(value, str) or value not in LABELS:
        raise PayloadError(f"{what} is none of {', '.join(LABELS)}")
    return LABELS[value]


_HEADER: dict[str, _Check] = {
    "v": _whole(VERSION, VERSION),
    "sequence": _text(SEQUENCE_NAME),
    "frame": _text(FRAME_ID),
    "captured_ms": _whole(0, MAX_CAPTURED_MS),
    "covers": _whole(0, ALL_CUBES),
    "objects": _list,
}
_OBJECT: dict[str, _Check] = {
    "class": _label,
    "range_m": _real(0.0, axes.MAX_RANGE),
    "azimuth_rad": _real(-axes.MAX_AZIMUTH, axes.MAX_AZIMUTH),
    "doppler_mps": _real(-axes.MAX_SPEED, axes.MAX_SPEED),
    "ra_box": _box("range_angle"),
    "rd_box": _box("range_doppler"),
    "confidence": _real(0.0, 1.0),
}


def _read_object(entry: object) -> RadarObject:
    value = _record(entry, _OBJECT, "an object")
    found = RadarObject(value["class"], value["rd_box"], value["ra_box"], value["confidence"])
    stated = (value["range_m"], value["azimuth_rad"], value["doppler_mps"])
    derived = (found.range_m, found.azimuth_rad, found.velocity_mps)
    for one, other in zip(stated, derived, strict=True):
        if not math.isclose(one, other or 0.0, rel_tol=0.0, abs_tol=_ROUNDING):
            raise PayloadError("an object's range, azimuth or Doppler is not that of its box")
    rd_box, ra_box = value["rd_box"], value["ra_box"]
    gap = abs(axes.RA_TOP - (ra_box[0] + ra_box[2]) / 2 - (rd_box[0] + rd_box[2]) / 2)
    if gap > _RANGE_AGREEMENT_BINS:
        raise PayloadError("an object's two boxes disagree about its range")
    return found
