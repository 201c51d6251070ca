"""Diagnose new records with a saved model."""

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np

from datasets.records import read_records
from server.model import ModelError, load_model, map_of, reading_of
from strategies.learning.one_versus_rest import blocks, hinges_of, predict_classes


def predict(options: argparse.Namespace) -> int:
    """Print one line a record: its name, the class and its score."""
    weights, card = load_model(Path(options.model))
    mapping, reading = map_of(card), reading_of(card)
    hinges = hinges_of(len(reading.classes))
    dimension = mapping.dimension
    if len(weights) != dimension * hinges or dimension != len(reading.attributes) + 1:
        raise ModelError(f"{options.model}: weights, feature map and attributes differ in number")
    records = read_records(options.file, reading.attributes, reading.dataset)
    features = mapping(records.features)
    if hinges == 1:
        scores = np.add.reduce(features * weights, axis=1)
        classes, word = np.array(reading.classes)[(scores > 0).astype(int)], "diagnosis"
    else:
        by_class = np.add.reduce(features[:, None, :] * blocks(weights, hinges), axis=2)
        classes, word = np.array(reading.classes)[predict_classes(by_class) - 1], "class"
        scores = by_class.max(axis=1)
    rows = [
        {"record": name, word: str(label), "score": float(score)}
        for name, label, score in zip(records.names, classes, scores, strict=True)
    ]
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows([row["record"], row[word], f"{row['score']:.6g}"] for row in rows)
    if records.labels is not None:
        right = float(np.mean((scores > 0) == (records.labels > 0)))
        sys.stderr.write(f"{right:.1%} of {len(rows)} records agree with the class in the file\n")
    what = "not a medical device" if hinges == 1 else "not for driving"
    sys.stderr.write(f"research only: {what}\n")
    return 0
