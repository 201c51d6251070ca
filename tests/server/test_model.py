"""The model on disk: what is saved is read back to the last bit, and nothing else is believed."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.model import ModelError, load_model, map_of, reading_of, save_model, weights_sha256
from server.report import card_of
from strategies.learning.task import feature_map, federation_of
from tests.peers import federate, settings_of

SETTINGS = settings_of(rounds=2, features="log", bias=0.6)
CARD: dict[str, Any] = {
    "dataset": "bcwd",
    "attributes": ["a", "b"],
    "classes": {"negative": "2", "positive": "4"},
    "features": {"map": "log", "low": [1, 1], "high": [10, 10], "bias": 1.0, "scale": 1},
}


def saved(folder: Path, weights: Any = (1.0, -2.5, 3.0), **changes: Any) -> Path:
    save_model(folder, np.asarray(weights, dtype=np.float64), CARD | changes)
    return folder


def test_weights_and_card_are_read_back_as_they_were(tmp_path: Path) -> None:
    run = federate(SETTINGS)
    save_model(tmp_path, run.weights, card_of(run))
    weights, card = load_model(tmp_path)
    assert weights.tobytes() == run.weights.tobytes()
    assert card["weights_sha256"] == weights_sha256(run.weights)
    assert {key: card[key] for key in card if not key.endswith("_sha256")} == json.loads(
        json.dumps(card_of(run))
    )
    assert map_of(card) == feature_map(federation_of(SETTINGS).table, SETTINGS)
    reading = reading_of(card)
    assert (reading.dataset, reading.classes) == ("bcwd", ("benign", "malignant"))
    assert len(reading.attributes) == 9


@pytest.mark.parametrize(
    "changes",
    [
        {"attributes": ["b", "a"]},
        {"classes": {"negative": "4", "positive": "2"}},
        {"features": CARD["features"] | {"scale": -1}},
        {"privacy": {"epsilon": 0.1}},
        {"card_sha256": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_card_that_was_altered_is_not_believed(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Swapped classes or attributes give other diagnoses by the very same weights."""
    path = saved(tmp_path) / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ModelError, match="was altered"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["model.npz", "model.json"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    (saved(tmp_path) / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(ModelError, match="not a regular file"):
        load_model(tmp_path)


def test_the_hash_is_of_the_little_endian_bytes() -> None:
    from hashlib import sha256

    weights = np.array([1.0, 2.0])
    expected = sha256(bytes.fromhex("000000000000f03f0000000000000040")).hexdigest()
    assert weights_sha256(weights) == weights_sha256(weights.astype(">f8")) == expected


def write_npz(folder: Path, array: Any, name: str = "weights") -> None:
    np.savez(folder / "model.npz", **{name: array})


def zip_bomb(folder: Path) -> None:
    """A member of 128 MiB that packs into a few hundred kilobytes."""
    with zipfile.ZipFile(folder / "model.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.npy", bytes(1 << 27))


def petabyte(folder: Path) -> None:
    from strategies.wrappers.vectors import npy_header

    with zipfile.ZipFile(folder / "model.npz", "w") as archive:
        archive.writestr("weights.npy", npy_header(10**15) + bytes(80))


SPOILERS: dict[str, Callable[[Path], Any]] = {
    "no weights file": lambda d: (d / "model.npz").unlink(),
    "no card": lambda d: (d / "model.json").unlink(),
    "weights are no archive": lambda d: (d / "model.npz").write_bytes(b"PK nothing"),
    "empty weights file": lambda d: (d / "model.npz").write_bytes(b""),
    "card is no JSON": lambda d: (d / "model.json").write_text("{"),
    "card is no text": lambda d: (d / "model.json").write_bytes(b"\xff\xfe"),
    "card is a list": lambda d: (d / "model.json").write_text("[]"),
    "card without end": lambda d: (d / "model.json").write_text("[" * 10**5),
    "card without hash": lambda d: (d / "model.json").write_text(json.dumps(CARD)),
    "other weights": lambda d: write_npz(d, np.array([1.0, -2.5, 3.0000001])),
    "weights of another name": lambda d: write_npz(d, np.ones(3), "w"),
    "a matrix": lambda d: write_npz(d, np.ones((3, 1))),
    "a number": lambda d: write_npz(d, np.float64(3.0)),
    "single precision": lambda d: write_npz(d, np.ones(3, dtype=np.float32)),
    "complex": lambda d: write_npz(d, np.ones(3) * 1j),
    "text": lambda d: write_npz(d, np.array(["1"])),
    "NaN": lambda d: write_npz(d, np.array([np.nan])),
    "pickle": lambda d: write_npz(d, np.array([print], dtype=object)),
    "zip bomb": zip_bomb,
    "claims a petabyte": petabyte,
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
def test_a_spoilt_model_is_refused_in_one_line(
    spoil: Callable[[Path], Any], tmp_path: Path
) -> None:
    spoil(saved(tmp_path))
    with pytest.raises(ModelError) as info:
        load_model(tmp_path)
    assert str(tmp_path) in str(info.value)
    assert "\n" not in str(info.value)


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no usable model .*name the --out of a run"):
        load_model(tmp_path / "nowhere")


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in CARD.items() if k != key}


@pytest.mark.parametrize(
    "features",
    [
        None,
        {},
        "log",
        {**CARD["features"], "map": "cubed"},
        {**CARD["features"], "map": ["log"]},
        {**CARD["features"], "low": [10, 10]},
        {**CARD["features"], "low": ["a", "b"], "high": ["c", "d"]},
        {**CARD["features"], "low": 3},
        {**CARD["features"], "low": [1], "high": [10, 10]},
        {**CARD["features"], "high": [float("inf"), 10]},
        {**CARD["features"], "bias": "x"},
        {**CARD["features"], "bias": None},
        {**CARD["features"], "scale": float("nan")},
        {k: v for k, v in CARD["features"].items() if k != "scale"},
    ],
    ids=str,
)
def test_a_card_without_a_usable_feature_map_is_refused(features: Any) -> None:
    with pytest.raises(ModelError, match="the model's card describes no feature map"):
        map_of(CARD | {"features": features})


@pytest.mark.parametrize(
    "card",
    [
        without("attributes"),
        without("classes"),
        without("dataset"),
        CARD | {"attributes": None},
        CARD | {"attributes": "ab"},
        CARD | {"attributes": [1, 2]},
        CARD | {"classes": ["2", "4"]},
        CARD | {"classes": {"negative": "2"}},
        CARD | {"classes": {"negative": 2, "positive": "4"}},
        CARD | {"dataset": 3},
    ],
    ids=str,
)
def test_a_card_that_does_not_name_its_records_is_refused(card: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="the model's card names no attributes"):
        reading_of(card)
