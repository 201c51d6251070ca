"""Diagnose new records with a saved model."""

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np

from datasets.records import read_records
from server.model import ModelError, load_model, map_of, reading_of


def predict(options: argparse.Namespace) -> int:
    """Print one diagnosis a record: its name, the class and the score."""
    weights, card = load_model(Path(options.model))
    mapping, reading = map_of(card), reading_of(card)
    if not len(weights) == mapping.dimension == len(reading.attributes) + 1:
        raise ModelError(f"{options.model}: weights, feature map and attributes differ in number")
    records = read_records(options.file, reading.attributes, reading.dataset)
    scores = np.add.reduce(mapping(records.features) * weights, axis=1)
    classes = np.where(scores > 0, reading.positive, reading.negative)
    rows = [
        {"record": name, "diagnosis": str(label), "score": float(score)}
        for name, label, score in zip(records.names, classes, scores, strict=True)
    ]
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows([row["record"], row["diagnosis"], f"{row['score']:.6g}"] for row in rows)
    if records.labels is not None:
        right = float(np.mean((scores > 0) == (records.labels > 0)))
        sys.stderr.write(f"{right:.1%} of {len(rows)} records agree with the class in the file\n")
    sys.stderr.write("research only: not a medical device\n")
    return 0
