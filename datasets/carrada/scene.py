"""A scene: what one payload says about one frame, on the device before and on the server after."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from datasets.carrada import axes
from datasets.carrada.objects import Frame, Mask, RadarObject, window
from datasets.errors import DataError

ALL_CUBES = 2**63 - 1
FRAME_MS = round(1000 * axes.FRAME_SECONDS)


@dataclass(frozen=True, eq=False)
class Scene:
    """Objects of a frame with their range-angle mask.

    Parameters
    ----------
    sequence, frame
        Where it was captured.
    captured_ms
        When, in whole milliseconds since the beginning of the sequence.
    covers
        Bit k is set if the device vouches for cube k of the twin, objects or none: what it hides
        there is a lie and not a gap.
    objects
        Objects with both boxes.
    mask
        uint8 class mask (256, 256), 0 for background.
    """

    sequence: str
    frame: str
    captured_ms: int
    covers: int
    objects: tuple[RadarObject, ...]
    mask: Mask

    def same_content(self, other: "Scene") -> bool:
        """Say whether both show the same objects on the same mask, whatever their headers."""
        return self.objects == other.objects and bool(np.array_equal(self.mask, other.mask))

    def with_content(self, objects: tuple[RadarObject, ...], mask: Mask) -> "Scene":
        """Return this scene with other objects and another mask under the same header."""
        return replace(self, objects=objects, mask=mask)


def scene_of(
    frame: Frame,
    confidences: Sequence[float] | None = None,
    captured_ms: int | None = None,
    covers: int = ALL_CUBES,
) -> Scene:
    """Turn a frame of the data set into what a device delivers.

    Parameters
    ----------
    frame
        A frame with both views.
    confidences
        How sure the device's detector is of each object; None for certain.
    captured_ms
        When it was captured; None for the frame's own time.
    covers
        Cubes that the device vouches for, as bits.

    Returns
    -------
    Scene
        With the frame's range-angle mask; drawn from its boxes where the root has no mask.

    Raises
    ------
    DataError
        If an object lacks a view.
    """
    for found in frame.objects:
        if found.rd_box is None or found.ra_box is None:
            raise DataError(
                f"{frame.sequence} frame {frame.frame}: has boxes in one view only; "
                "a payload needs range-Doppler and range-angle"
            )
    objects = frame.objects
    if confidences is not None:
        pairs = zip(objects, confidences, strict=True)
        objects = tuple(replace(found, confidence=float(sure)) for found, sure in pairs)
    mask = frame.ra_mask
    return Scene(
        frame.sequence,
        frame.frame,
        FRAME_MS * int(frame.frame) if captured_ms is None else captured_ms,
        covers,
        objects,
        mask_of_boxes(objects) if mask is None else mask,
    )


def mask_of_boxes(objects: Sequence[RadarObject]) -> Mask:
    """Draw grown RA boxes as filled rectangles, the lowest label on top, where no mask is there."""
    mask = np.zeros(axes.RA_SHAPE, np.uint8)
    for found in sorted(objects, key=lambda found: -found.label):
        if found.ra_box is not None:
            mask[window(found.ra_box)] = found.label
    return mask
