"""The trained model on disk: weights as .npz, and a JSON card that says what they are."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from strategies.learning.features import FeatureMap

WEIGHTS_FILE, CARD_FILE = "model.npz", "model.json"
MAX_MODEL_BYTES = 64 * 2**20


class ModelError(ValueError):
    """A saved model that cannot be used; the message is one line for the user."""


def weights_sha256(weights: NDArray[np.float64]) -> str:
    """Return the hash of the weights' little-endian float64 bytes."""
    return sha256(np.ascontiguousarray(weights, dtype="<f8").tobytes()).hexdigest()


def save_model(directory: Path, weights: NDArray[np.float64], card: Mapping[str, Any]) -> None:
    """Write ``model.npz`` and ``model.json`` into an existing directory."""
    np.savez(directory / WEIGHTS_FILE, weights=np.asarray(weights, dtype=np.float64))
    full = {**card, "weights_sha256": weights_sha256(weights)}
    (directory / CARD_FILE).write_text(json.dumps(full, indent=2, allow_nan=False) + "\n")


def load_model(directory: Path) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Read a model back and hold it to its card.

    Raises
    ------
    ModelError
        When a file is missing, unreadable, too large, or does not match the card's hash.
    """
    try:
        if (directory / WEIGHTS_FILE).stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"{directory / WEIGHTS_FILE}: too large for a model")
        card = json.loads((directory / CARD_FILE).read_text())
        with np.load(directory / WEIGHTS_FILE, allow_pickle=False) as stored:
            weights = np.asarray(stored["weights"], dtype=np.float64)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, BadZipFile, EOFError) as fault:
        raise ModelError(
            f"{directory} holds no usable model ({_short(fault)}); name the --out of a run"
        ) from fault
    if not isinstance(card, dict) or card.get("weights_sha256") != weights_sha256(weights):
        raise ModelError(
            f"{directory / WEIGHTS_FILE} does not match its card {CARD_FILE}: not used"
        )
    return weights, card


def map_of(card: Mapping[str, Any]) -> FeatureMap:
    """Return the feature map that a card describes.

    Raises
    ------
    ModelError
        When the card does not describe one.
    """
    try:
        spec = card["features"]
        return FeatureMap(
            spec["map"], tuple(spec["low"]), tuple(spec["high"]), spec["bias"], spec["scale"]
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise ModelError(f"the model's card describes no feature map ({_short(fault)})") from fault


def _short(fault: Exception) -> str:
    return str(fault).splitlines()[0][:120] if str(fault) else type(fault).__name__
