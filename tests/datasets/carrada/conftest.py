"""Roots for the tests: a small one written by hand, a generated one, and the real one if given."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from datasets.carrada.generator import write_root
from datasets.carrada.reader import Carrada, open_root

SEQUENCE = "2001-02-03-04-05-06"


class RootBuilder:
    """Writes files of a root, one at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sequence = root / SEQUENCE
        self.sequence.mkdir(parents=True)

    def json(self, name: str, value: object) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
        return path

    def boxes(self, view: str, frames: object) -> Path:
        return self.json(f"{SEQUENCE}/annotations/box/{view}_light.json", frames)

    def dense(self, frame: str, view: str, array: np.ndarray, **how: object) -> Path:
        path = self.sequence / "annotations" / "dense" / frame / f"{view}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array, **how)
        return path

    def frames(self, *frames: str) -> Path:
        return self.json("light_dataset_frame_oriented.json", {SEQUENCE: list(frames)})

    def open(self) -> Carrada:
        return open_root(self.root)


@pytest.fixture
def builder(tmp_path: Path) -> RootBuilder:
    """An empty sequence to add files to."""
    return RootBuilder(tmp_path / "Carrada")


@pytest.fixture
def annotated(builder: RootBuilder) -> RootBuilder:
    """Three frames; the middle one has a pedestrian and a car."""
    builder.frames("000004", "000005", "000006")
    builder.boxes(
        "range_doppler",
        {"000005": {"boxes": [[100, 30, 104, 33], [10, 0, 12, 5]], "labels": [1, 3]}},
    )
    builder.boxes(
        "range_angle",
        {"000005": {"boxes": [[152, 120, 156, 130], [244, 1, 246, 3]], "labels": [1, 3]}},
    )
    return builder


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Carrada:
    """The whole generated data set of seed 0."""
    root = tmp_path_factory.mktemp("generated") / "Carrada"
    write_root(root, 0)
    return open_root(root)


@pytest.fixture(scope="session", params=["generated", "real"])
def data(request: pytest.FixtureRequest) -> Carrada:
    """The generated root and, where CARRADA_ROOT says where it is, a real one."""
    if request.param == "generated":
        return request.getfixturevalue("generated")
    root = os.environ.get("CARRADA_ROOT")
    if not root:
        pytest.skip("CARRADA_ROOT is not set")
    return open_root(root)
