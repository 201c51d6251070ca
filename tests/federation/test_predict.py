"""Diagnosing new records with a saved model: the same scores as the run, nothing guessed."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets import DataError, load_table
from federation.predict import predict
from server.model import ModelError, save_model
from server.report import card_of
from strategies.learning.task import feature_map
from tests.peers import federate, settings_of

SETTINGS = settings_of("fedavg", rounds=5, features="log", learning_rate=0.5)
LINES = ["1000025,5,1,1,1,2,1,3,1,1,2", "1017122,8,10,10,8,7,10,9,7,1,4"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    run = federate(SETTINGS)
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, run.weights, card_of(run))
    return folder, run


def diagnosed(model: Path, file: Path, *, as_json: bool = False) -> int:
    return predict(argparse.Namespace(model=str(model), file=str(file), json=as_json))


def written(folder: Path, *lines: str) -> Path:
    path = folder / "new.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_scores_are_the_models_own_on_every_record_of_the_data(
    model: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = model
    table = load_table()
    rows = [f"{n}," + ",".join(f"{v:g}" for v in row) for n, row in enumerate(table.features)]
    assert diagnosed(folder, written(tmp_path, *rows), as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    expected = feature_map(table, SETTINGS)(table.features) @ run.weights
    np.testing.assert_allclose([row["score"] for row in found], expected, rtol=1e-12, atol=1e-15)
    names = ["malignant" if score > 0 else "benign" for score in expected]
    assert [row["diagnosis"] for row in found] == names
    assert [row["record"] for row in found] == [str(n) for n in range(683)]
    right = np.mean((expected > 0) == (table.labels > 0))
    assert right > 0.9  # the model has learnt; a constant answer is at 0.65


def test_text_is_one_line_a_record_and_the_warning_is_not_among_them(
    model: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diagnosed(model[0], written(tmp_path, *LINES)) == 0
    printed = capsys.readouterr()
    rows = [line.split(",") for line in printed.out.splitlines()]
    assert [row[:2] for row in rows] == [["1000025", "benign"], ["1017122", "malignant"]]
    assert "100.0% of 2 records agree with the class in the file" in printed.err
    assert "not a medical device" in printed.err


def test_attributes_are_found_by_name_in_any_order(
    model: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = load_table()
    columns = list(table.feature_names)[::-1]
    values = [f"{value:g}" for value in table.features[3][::-1]]
    path = written(tmp_path, ",".join(["id", *columns]), ",".join(["p", *values]))
    diagnosed(model[0], path, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    expected = feature_map(table, SETTINGS)(table.features[3]) @ model[1].weights
    assert (row["record"], row["score"]) == ("p", pytest.approx(expected))


@pytest.mark.parametrize(
    "line", ["1,5,1,1,1,2,?,3,1,1", "1,5,1,1,1,2,11,3,1,1", "1,5,1", "", "1,5,1,1,1,2,x,3,1,1"]
)
def test_a_malformed_record_is_refused_by_file_and_line(
    line: str, model: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "9,5,1,1,1,2,1,3,1,1", line, "8,5,1,1,1,2,1,3,1,1")
    with pytest.raises(DataError, match=r"new\.csv:2: "):
        diagnosed(model[0], path)
    assert capsys.readouterr().out == ""


def test_a_model_whose_parts_differ_in_number_is_refused(
    model: tuple[Path, Any], tmp_path: Path
) -> None:
    card = json.loads((model[0] / "model.json").read_text())
    save_model(tmp_path, np.ones(4), card)
    with pytest.raises(ModelError, match="weights, feature map and attributes differ in number"):
        diagnosed(tmp_path, written(tmp_path, LINES[0]))


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no usable model"):
        diagnosed(tmp_path, written(tmp_path, LINES[0]))
