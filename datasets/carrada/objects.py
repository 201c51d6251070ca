"""One radar object and one frame, as every source of CARRADA data hands them out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datasets.carrada import axes

CLASSES = ("background", "pedestrian", "cyclist", "car")
"""Class names by label 0..3, the order of the one-hot masks."""
LABELS = {name: label for label, name in enumerate(CLASSES) if label}
"""Label by class name, background left out."""

SEQUENCE_NAME = re.compile(r"[0-9]{4}(-[0-9]{2}){5}")
FRAME_ID = re.compile(r"[0-9]{6}")

DILATION = 2
"""Pixels nearer than 3 to a sparse point are the object's: 2 bins beyond its box on each side."""

View = Literal["range_doppler", "range_angle"]
VIEWS: tuple[View, ...] = ("range_doppler", "range_angle")
SHAPES: dict[View, tuple[int, int]] = {
    "range_doppler": axes.RD_SHAPE,
    "range_angle": axes.RA_SHAPE,
}

Box = tuple[int, int, int, int]
"""First row, first column, last row, last column; all inclusive, inside the map."""
Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RadarObject:
    """A labelled object of one frame; its quantities follow from its boxes.

    Parameters
    ----------
    label
        1 pedestrian, 2 cyclist, 3 car.
    rd_box, ra_box
        Boxes in the range-Doppler and the range-angle map; None where the view is not there.
    confidence
        How sure the detector is, in [0, 1]; annotations are 1.
    """

    label: int
    rd_box: Box | None
    ra_box: Box | None
    confidence: float = 1.0

    @property
    def name(self) -> str:
        """Class name."""
        return CLASSES[self.label]

    @property
    def range_m(self) -> float | None:
        """Range in metres: centre of the RD box, of the RA box where there is no RD view."""
        if self.rd_box is not None:
            return axes.range_m((self.rd_box[0] + self.rd_box[2]) / 2)
        if self.ra_box is not None:
            return axes.range_m(axes.RA_TOP - (self.ra_box[0] + self.ra_box[2]) / 2)
        return None

    @property
    def azimuth_rad(self) -> float | None:
        """Azimuth in radians, negative to the left: centre of the RA box."""
        if self.ra_box is None:
            return None
        return axes.azimuth_rad((self.ra_box[1] + self.ra_box[3]) / 2)

    @property
    def velocity_mps(self) -> float | None:
        """Radial velocity in m/s, positive when approaching: centre column of the RD box."""
        if self.rd_box is None:
            return None
        return axes.velocity_mps((self.rd_box[1] + self.rd_box[3]) / 2)

    def box(self, view: View) -> Box | None:
        """Return the box in a view, None where the view is not there."""
        return self.rd_box if view == "range_doppler" else self.ra_box


def no_mask(view: View) -> Mask | None:
    """Stand in for a source that has no masks."""
    return None


@dataclass(frozen=True)
class Frame:
    """One frame of a sequence.

    Parameters
    ----------
    sequence
        Name of its sequence.
    frame
        Its six digits.
    objects
        Its objects, in the order of the box files; empty in 43 % of the real frames.
    load_mask
        Reads the class mask of a view when it is first asked for.
    """

    sequence: str
    frame: str
    objects: tuple[RadarObject, ...]
    load_mask: Callable[[View], Mask | None] = field(default=no_mask, repr=False, compare=False)

    @cached_property
    def rd_mask(self) -> Mask | None:
        """Class mask (256, 64), 0 for background; None if the source has none."""
        return self._frozen("range_doppler")

    @cached_property
    def ra_mask(self) -> Mask | None:
        """Class mask (256, 256), 0 for background; None if the source has none."""
        return self._frozen("range_angle")

    def _frozen(self, view: View) -> Mask | None:
        mask = self.load_mask(view)
        if mask is not None:
            mask.flags.writeable = False  # shared by all who ask for the frame
        return mask

    def mask(self, view: View) -> Mask | None:
        """Return the class mask of a view; None if the source has none."""
        return self.rd_mask if view == "range_doppler" else self.ra_mask

    def object_mask(self, index: int, view: View = "range_angle") -> NDArray[np.bool_] | None:
        """Return the pixels of one object.

        The class mask merges objects of a class, so these are the pixels of its class within its
        box grown by `DILATION`; there may be none of them.

        Parameters
        ----------
        index
            Position in `objects`.
        view
            Which map.

        Returns
        -------
        numpy.ndarray or None
            Boolean, shape of the view; None if the mask or the box is not there.
        """
        mask, box = self.mask(view), self.objects[index].box(view)
        if mask is None or box is None:
            return None
        return pixels_in(mask, box, self.objects[index].label)


def window(box: Box, grow: int = DILATION) -> tuple[slice, slice]:
    """Return the slices of a box grown on each side, cut at the first row and column."""
    return (
        slice(max(box[0] - grow, 0), box[2] + grow + 1),
        slice(max(box[1] - grow, 0), box[3] + grow + 1),
    )


def pixels_in(mask: Mask, box: Box, label: int) -> NDArray[np.bool_]:
    """Return which pixels of a class mask have this label and lie in the grown box."""
    inside = np.zeros(mask.shape, np.bool_)
    at = window(box)
    inside[at] = mask[at] == label
    return inside


def paint(pixels: tuple[NDArray[np.intp], ...], labels: NDArray[np.intp], view: View) -> Mask:
    """Draw labelled pixels into a class mask.

    Where classes overlap the lowest label stays on top: the road user that is hurt most.

    Parameters
    ----------
    pixels
        Rows and columns, each (n,), inside the map.
    labels
        Label of each pixel, (n,).
    view
        Which map.

    Returns
    -------
    numpy.ndarray
        uint8 class mask.
    """
    mask = np.zeros(SHAPES[view], np.uint8)
    rows, columns = pixels
    for label in range(len(CLASSES) - 1, 0, -1):
        of_class = labels == label
        mask[rows[of_class], columns[of_class]] = label
    return mask
