"""The trained model on disk: weights as .npz, and a JSON card that says what they are."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from flwr.app import Array
from numpy.typing import NDArray

from datasets.errors import DataError
from datasets.files import read_bytes, read_text
from server.replies import read_vector
from strategies.learning.features import FeatureMap
from strategies.learning.one_versus_rest import BINARY
from strategies.wrappers.vectors import NUMPY, npy_header

WEIGHTS_FILE, CARD_FILE = "model.npz", "model.json"
CARD_HASH = "card_sha256"
MAX_MODEL_BYTES = 64 * 2**20


_UNREADABLE = (
    OSError, ValueError, KeyError, BadZipFile, EOFError, RecursionError, NotImplementedError,
    RuntimeError, zlib.error,
)  # fmt: skip
"""What JSON, a zip archive and its members may raise when somebody made them up."""


class ModelError(ValueError):
    """A saved model that cannot be used; the message is one line for the user."""


def weights_sha256(weights: NDArray[np.float64]) -> str:
    """Return the hash of the weights' little-endian float64 bytes."""
    return sha256(np.ascontiguousarray(weights, dtype="<f8").tobytes()).hexdigest()


def card_sha256(card: Mapping[str, Any]) -> str:
    """Return the hash of all that a card says but this hash: features and classes among it."""
    said = {key: value for key, value in card.items() if key != CARD_HASH}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()


def save_model(directory: Path, weights: NDArray[np.float64], card: Mapping[str, Any]) -> None:
    """Write ``model.npz`` and ``model.json`` into an existing directory."""
    np.savez(directory / WEIGHTS_FILE, weights=np.asarray(weights, dtype=np.float64))
    full = {**card, "weights_sha256": weights_sha256(weights)}
    full[CARD_HASH] = card_sha256(full)
    (directory / CARD_FILE).write_text(json.dumps(full, indent=2, allow_nan=False) + "\n")


def load_model(directory: Path) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Read a model back and hold it to its card.

    Raises
    ------
    ModelError
        When a file is missing, unreadable, too large, or does not match the card's hashes.
    """
    try:
        card = json.loads(read_text(directory / CARD_FILE, MAX_MODEL_BYTES))
        with ZipFile(BytesIO(read_bytes(directory / WEIGHTS_FILE, MAX_MODEL_BYTES))) as archive:
            if archive.getinfo("weights.npy").file_size > MAX_MODEL_BYTES:
                raise ModelError(f"{directory / WEIGHTS_FILE}: too large for a model")
            data = archive.read("weights.npy")
        count = max(0, len(data) - len(npy_header(0))) // 8
        weights = read_vector(Array("float64", (count,), NUMPY, data), count)
    except ModelError:
        raise
    except DataError as fault:
        raise ModelError(
            f"{directory} holds no usable model ({fault}); name the --out of a run"
        ) from fault
    except _UNREADABLE as fault:
        raise ModelError(
            f"{directory} holds no usable model ({_short(fault)}); name the --out of a run"
        ) from fault
    if not np.isfinite(weights).all():
        raise ModelError(f"{directory / WEIGHTS_FILE}: its weights are not finite")
    if not isinstance(card, dict) or card.get("weights_sha256") != weights_sha256(weights):
        raise ModelError(
            f"{directory / WEIGHTS_FILE} does not match its card {CARD_FILE}: not used"
        )
    if card.get(CARD_HASH) != card_sha256(card):
        raise ModelError(
            f"{directory / CARD_FILE} was altered, or is of an earlier version of this program "
            f"(its {CARD_HASH} does not fit): not used; run again"
        )
    return weights, card


@dataclass(frozen=True)
class Reading:
    """How a card says records are read and named.

    Parameters
    ----------
    dataset : str
        Name of the data set the model was trained on.
    attributes : tuple of str
        Its attributes, in the order of the weights.
    classes : tuple of str
        Its classes: (negative, positive), or more than two in the order of the weights.
    """

    dataset: str
    attributes: tuple[str, ...]
    classes: tuple[str, ...]


def reading_of(card: Mapping[str, Any]) -> Reading:
    """Return how records for this model are read.

    Raises
    ------
    ModelError
        When the card does not say.
    """
    try:
        names, classes = card["attributes"], card["classes"]
        if isinstance(classes, list) and len(classes) > BINARY:
            classes = tuple(classes)
        else:
            classes = classes["negative"], classes["positive"]
        found = Reading(card["dataset"], tuple(names), classes)
    except (KeyError, TypeError) as fault:
        raise ModelError(f"the model's card names no attributes ({_short(fault)})") from fault
    texts = (found.dataset, *found.attributes, *found.classes)
    if isinstance(names, str) or not all(isinstance(text, str) for text in texts):
        raise ModelError("the model's card names no attributes: data set and names must be text")
    return found


def map_of(card: Mapping[str, Any]) -> FeatureMap:
    """Return the feature map that a card describes.

    Raises
    ------
    ModelError
        When the card does not describe one.
    """
    try:
        spec = card["features"]
        low, high = (tuple(float(value) for value in spec[end]) for end in ("low", "high"))
        bias, scale = float(spec["bias"]), float(spec["scale"])
        if not all(isfinite(value) for value in (*low, *high, bias, scale)):
            raise ValueError("a bound, the bias or the scale is not finite")
        return FeatureMap(spec["map"], low, high, bias, scale)
    except (KeyError, TypeError, ValueError) as fault:
        raise ModelError(f"the model's card describes no feature map ({_short(fault)})") from fault


def _short(fault: Exception) -> str:
    if isinstance(fault, OSError) and fault.filename:
        return f"{Path(fault.filename).name}: {fault.strerror}"
    return str(fault).splitlines()[0][:120] if str(fault) else type(fault).__name__
