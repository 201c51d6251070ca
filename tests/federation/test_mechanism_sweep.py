"""The sweep of all mechanisms: its table, its targets, its picture."""

import pytest

from federation.mechanism_sweep import missed, privacy_mechanisms, table_of


@pytest.mark.slow
def test_a_small_sweep_has_every_cell_and_reaches_its_targets(tmp_path) -> None:
    result = privacy_mechanisms(range(1, 13), "record", tmp_path, workers=1)
    assert len(result["runs"]) == 12 * 6 * 6
    assert missed(result) == []
    assert table_of(result).count("\n| ") == 8
    assert (tmp_path / "privacy-mechanisms.png").stat().st_size > 20_000


def test_a_mechanism_that_falls_short_is_named() -> None:
    row = {"strategy": "dp-gd", "cell": {"epsilon": 1.0}, "mean": 0.90, "std": 0.02, "n": 100}
    result = {"settings": {"unit": "record"}, "summary": [row]}
    assert missed(result) == ["dp-gd at eps 1: 90.0 % of 96.2 %"]
