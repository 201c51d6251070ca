"""Payloads: an indexed PNG mask and JSON metadata, what devices sell.

Lotfi et al., "A Reputation-based approach for the vehicular Metaverse", Section V: the semantic
segmentation yields an image of the masked objects and a metadata file of at most 1 kb, read here
as 1,000 bytes.
"""

import math
from dataclasses import dataclass

from datasets.carrada import axes
from datasets.carrada.errors import PayloadError
from datasets.carrada.metadata import read_metadata, write_metadata
from datasets.carrada.objects import CLASSES
from datasets.carrada.png import decode_mask, encode_mask
from datasets.carrada.scene import Scene
from datasets.errors import DataError, shown

__all__ = ["LIMITS", "Limits", "Payload", "PayloadError", "channels", "decode", "encode"]

RATE_BPS = 10_000.0
"""Rate of one channel, the paper's r."""
SLOT_S = 0.1
"""Length of a delivery slot; at 1 s a payload needs one channel and nothing is scarce."""


@dataclass(frozen=True)
class Limits:
    """What is accepted of a stranger.

    Parameters
    ----------
    mask_bytes, metadata_bytes
        Sizes above which nothing is parsed.
    objects
        Most objects in a scene.
    """

    mask_bytes: int = 4096
    metadata_bytes: int = 1000
    objects: int = 5

    def __post_init__(self) -> None:
        """Refuse limits that accept nothing."""
        if self.mask_bytes < 1 or self.metadata_bytes < 1 or self.objects < 0:
            raise DataError(f"payload limits {self} must be positive")


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Payload:
    """What travels: the mask as PNG, the metadata as JSON."""

    mask_png: bytes
    metadata: bytes

    @property
    def bits(self) -> int:
        """Size of both parts in bits."""
        return 8 * (len(self.mask_png) + len(self.metadata))


def encode(scene: Scene, limits: Limits = LIMITS) -> Payload:
    """Encode a scene.

    Parameters
    ----------
    scene
        What to deliver.
    limits
        What the receiver accepts.

    Returns
    -------
    Payload
        Which `decode` turns into the same scene, quantities rounded to 4 decimals.

    Raises
    ------
    PayloadError
        If the scene does not fit the limits.
    """
    if scene.mask.shape != axes.RA_SHAPE or scene.mask.max() >= len(CLASSES):
        raise PayloadError("mask is no (256, 256) map of labels 0..3")
    header: dict[str, str | int] = {
        "sequence": scene.sequence,
        "frame": scene.frame,
        "captured_ms": scene.captured_ms,
        "covers": scene.covers,
    }
    payload = Payload(encode_mask(scene.mask), write_metadata(header, scene.objects))
    _check_sizes(payload.mask_png, payload.metadata, limits)
    if len(scene.objects) > limits.objects:
        raise PayloadError(f"metadata has {len(scene.objects)} objects, at most {limits.objects}")
    return payload


def decode(mask_png: bytes, metadata: bytes, limits: Limits = LIMITS) -> Scene:
    """Decode what a stranger sent, checking everything in it.

    Parameters
    ----------
    mask_png, metadata
        The two parts of a payload.
    limits
        What is accepted.

    Returns
    -------
    Scene
        Labels 0..3, boxes inside their maps, finite quantities that agree with the boxes.

    Raises
    ------
    PayloadError
        For every fault, with a short reason; sizes are checked before anything is parsed.
    """
    if not isinstance(mask_png, bytes) or not isinstance(metadata, bytes):
        raise PayloadError("mask and metadata must be bytes")
    _check_sizes(mask_png, metadata, limits)
    header, objects = read_metadata(metadata, limits.objects)
    return Scene(**header, objects=objects, mask=decode_mask(mask_png))


def _check_sizes(mask_png: bytes, metadata: bytes, limits: Limits) -> None:
    sizes = (
        ("mask", len(mask_png), limits.mask_bytes),
        ("metadata", len(metadata), limits.metadata_bytes),
    )
    for what, size, most in sizes:
        if size > most:
            raise PayloadError(f"{what} has {size} bytes, at most {most}")


def channels(payload: Payload, rate_bps: float = RATE_BPS, slot_s: float = SLOT_S) -> int:
    """Count the channels that a delivery needs, the paper's C_i.

    Parameters
    ----------
    payload
        What is delivered.
    rate_bps
        Bits a second of one channel, r.
    slot_s
        Seconds that a delivery may take.

    Returns
    -------
    int
        ceil((mask bits + metadata bits) / (r slot)).

    Raises
    ------
    DataError
        If a channel carries nothing.
    """
    capacity = rate_bps * slot_s
    if not 0.0 < capacity < math.inf:
        raise DataError(
            f"channel rate {shown(rate_bps)} bit/s in {shown(slot_s)} s must carry something"
        )
    return math.ceil(payload.bits / capacity)
