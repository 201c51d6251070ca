"""Class masks as indexed PNG, and reading those of strangers without trusting a byte of them.

A stranger's file is walked chunk by chunk before any library sees it: only the four critical chunk
types, each with its checksum, the right dimensions and mode, and pixel data that inflates to
exactly the expected length. A decompression bomb or a truncated file never reaches the decoder.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from datasets.carrada import axes
from datasets.carrada.errors import PayloadError
from datasets.carrada.objects import CLASSES, Mask

PALETTE = (255, 255, 255, 220, 38, 38, 37, 99, 235, 22, 163, 74)
"""White background as in the paper's figure 2; pedestrian red, cyclist blue, car green."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS = 2
_INDEXED = 3
_DEPTHS = (1, 2, 4, 8)
_ORDER = (b"IHDR", b"PLTE", b"IDAT", b"IEND")


def encode_mask(mask: Mask) -> bytes:
    """Encode a class mask as an indexed PNG of 2 bits a pixel.

    Parameters
    ----------
    mask
        uint8 (256, 256), labels 0..3.

    Returns
    -------
    bytes
        The file: 130 bytes empty, a few hundred with objects.
    """
    from PIL import Image

    image = Image.fromarray(mask)
    image.putpalette(PALETTE)
    stream = io.BytesIO()
    image.save(stream, "PNG", bits=_BITS, compress_level=9)
    return stream.getvalue()


def decode_mask(content: bytes) -> Mask:
    """Decode the mask of a stranger.

    Parameters
    ----------
    content
        The file; its size was checked by the caller.

    Returns
    -------
    numpy.ndarray
        uint8 (256, 256), labels 0..3.

    Raises
    ------
    PayloadError
        If it is anything but an indexed PNG of that size with these labels.
    """
    check_png(content)
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.mode != "P" or image.size != axes.RA_SHAPE[::-1]:
                raise PayloadError(f"mask is {image.mode} {image.size}")
            mask = np.array(image, np.uint8)
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        if isinstance(error, PayloadError):
            raise
        raise PayloadError("mask cannot be decoded") from error
    if mask.max() >= len(CLASSES):
        raise PayloadError(f"mask has label {mask.max()}, want 0..3")
    return mask


def check_png(content: bytes) -> None:
    """Check a PNG file's structure, without decoding pixels.

    Raises
    ------
    PayloadError
        If a chunk, the header or the length of the inflated pixel data is not as it must be.
    """
    bodies: dict[bytes, list[bytes]] = {kind: [] for kind in _ORDER}
    stage = 0
    for kind, body in _chunks(content):
        if kind not in _ORDER or _ORDER.index(kind) not in (stage, stage + 1):
            raise PayloadError(f"mask has an unexpected chunk {kind!r}")
        stage = _ORDER.index(kind)
        bodies[kind].append(body)
    if [len(bodies[kind]) for kind in _ORDER if kind != b"IDAT"] != [1, 1, 1]:
        raise PayloadError("mask lacks a chunk or has one twice")
    _check_pixels(b"".join(bodies[b"IDAT"]), _row_bytes(bodies[b"IHDR"][0]))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not content.startswith(_SIGNATURE):
        raise PayloadError("mask is not a PNG file")
    at = len(_SIGNATURE)
    while at < len(content):
        head = content[at : at + 8]
        length = int.from_bytes(head[:4])
        end = at + 12 + length
        if len(head) < 8 or end > len(content):  # noqa: PLR2004 -- length and type
            raise PayloadError("mask is truncated or padded")
        body = content[at + 8 : end - 4]
        if zlib.crc32(head[4:] + body) != int.from_bytes(content[end - 4 : end]):
            raise PayloadError("mask has a wrong checksum")
        yield head[4:], body
        at = end


def _row_bytes(header: bytes) -> int:
    """Return the bytes of one row of pixel data, its filter type included."""
    try:
        width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", header)
    except struct.error as error:
        raise PayloadError("mask has a malformed header") from error
    if (height, width) != axes.RA_SHAPE:
        raise PayloadError(f"mask is {width} x {height}, want 256 x 256")
    if colour != _INDEXED or depth not in _DEPTHS or any(methods):
        raise PayloadError("mask is not a plain indexed PNG")
    return 1 + int(width * depth) // 8


def _check_pixels(compressed: bytes, row_bytes: int) -> None:
    expected = axes.RA_SHAPE[0] * row_bytes
    inflater = zlib.decompressobj()
    try:
        pixels = inflater.decompress(compressed, expected + 1)
    except zlib.error as error:
        raise PayloadError("mask has damaged pixel data") from error
    if len(pixels) != expected or not inflater.eof or inflater.unused_data:
        raise PayloadError("mask has pixel data of the wrong length")
