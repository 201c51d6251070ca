"""A user's own strategy by import path: found, fed, and blamed for what is its own fault."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.cli import main
from strategies.presets import compose
from strategies.settings import SettingsError
from strategies.wrappers.aggregation import build_aggregation
from strategies.wrappers.base import innermost

MODULE = """
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import FedAvg, FedMedian

class Mine(FedMedian):
    pass

class Few(FedAvg):
    def __init__(self, fraction_train=0.5):
        super().__init__(fraction_train=fraction_train, min_available_nodes=0)

class Raises(FedAvg):
    def aggregate_train(self, server_round, replies):
        raise KeyError("my own bug")

class Misnames(FedAvg):
    def aggregate_train(self, server_round, replies):
        arrays, metrics = super().aggregate_train(server_round, replies)
        return ArrayRecord({"weights": arrays["model"]}), metrics

class NotFinite(FedAvg):
    def aggregate_train(self, server_round, replies):
        import numpy as np
        from flwr.app import Array
        arrays, metrics = super().aggregate_train(server_round, replies)
        return ArrayRecord({"model": Array(np.full(10, np.nan))}), metrics

class Needs(FedAvg):
    def __init__(self, secret):
        pass

def make():
    return Mine()

def three():
    return 3
"""
SHORT = ["simulate", "--rounds", "2", "--clients", "7", "--out", "out"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "userspkg").mkdir()
    (tmp_path / "userspkg" / "mod.py").write_text(MODULE)
    (tmp_path / "userspkg" / "broken.py").write_text("import nothing_of_that_name\n")
    (tmp_path / "datasets").mkdir()  # a folder of that name must not hide ours
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "userspkg"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["Mine", "make"])
def test_a_class_or_a_function_is_the_innermost_strategy(here: Path, name: str) -> None:
    settings = compose(f"userspkg.mod:{name}", {})
    assert (settings.privacy, settings.aggregation) == ("none", f"userspkg.mod:{name}")
    assert type(innermost(build_aggregation(settings))).__name__ == "Mine"


def test_it_gets_the_arguments_that_it_takes(here: Path) -> None:
    found = innermost(build_aggregation(compose("userspkg.mod:Few", {})))
    assert found.fraction_train == 1.0  # type: ignore[attr-defined]


def test_a_median_of_ones_own_equals_ours(here: Path) -> None:
    figures = []
    for flags in (["--strategy", "userspkg.mod:Mine"], ["--strategy", "fedmedian"]):
        assert main([*SHORT, *flags, "--quiet"]) == 0
        text = (here / "out" / "result.json").read_text()
        figures.append(text[text.index("weights_sha256") :].split(",")[0])
    assert figures[0] == figures[1]


def test_noise_wraps_it_and_is_not_topped_up(here: Path) -> None:
    assert main([*SHORT, "--aggregation", "userspkg.mod:Mine", "--privacy", "dp-gd"]) == 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("userspkg.nomod:Mine", "cannot import userspkg.nomod: ModuleNotFoundError"),
        ("userspkg.broken:Mine", "No module named 'nothing_of_that_name'"),
        ("userspkg.mod:Mime", "has no strategy 'Mime'; it has"),
        ("userspkg.mod:three", "makes a int, not a flwr.serverapp.strategy.Strategy"),
        ("userspkg.mod:Needs", "cannot be made without arguments: TypeError"),
        ("userspkg.mod:", "unknown value 'userspkg.mod:'"),
        (":Mine", "unknown value ':Mine'"),
    ],
)
@pytest.mark.parametrize("command", ["simulate", "compare"])
def test_what_cannot_be_imported_or_made_is_one_line(
    here: Path, path: str, said: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--aggregation", path, "--out", "out"]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Raises", "userspkg.mod:Raises failed: KeyError: 'my own bug' (mod.py, line"),
        (
            "Misnames",
            "it merged to arrays {'weights': (10,)} where {'model': (10,)} were broadcast",
        ),
        ("NotFinite", "values that are not finite"),
    ],
)
def test_its_faults_fail_the_run_in_one_line(
    here: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SHORT, "--aggregation", f"userspkg.mod:{name}", "--quiet"]) == 1
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not (here / "out" / "result.json").exists()


def test_an_unknown_strategy_is_still_told_the_nearest(here: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'fedavg'"):
        compose("fedavgg", {})
