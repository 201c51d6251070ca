"""Diagnose new records with a saved model."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.records import read_records
from server.model import load_model, map_of


def predict(options: argparse.Namespace) -> int:
    """Print one diagnosis a record: its name, the class and the score."""
    weights, card = load_model(Path(options.model))
    mapping = map_of(card)
    records = read_records(options.file, tuple(card["attributes"]), card["dataset"])
    features = mapping(records.features)
    if features.shape[1] != len(weights):
        raise DataError(f"{options.file}: {features.shape[1] - 1} attributes, not the model's")
    scores = np.add.reduce(features * weights, axis=1)
    classes = np.where(scores > 0, card["classes"]["positive"], card["classes"]["negative"])
    rows = [
        {"record": name, "diagnosis": str(label), "score": float(score)}
        for name, label, score in zip(records.names, classes, scores, strict=True)
    ]
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    for row in rows:
        sys.stdout.write(f"{row['record']},{row['diagnosis']},{row['score']:.6g}\n")
    if records.labels is not None:
        right = float(np.mean((scores > 0) == (records.labels > 0)))
        sys.stderr.write(f"{right:.1%} of {len(rows)} records agree with the class in the file\n")
    sys.stderr.write("research only: not a medical device\n")
    return 0
