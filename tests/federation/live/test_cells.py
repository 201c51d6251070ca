"""A comparison's board: counts, who is running, who leads, against numbers by hand."""

from federation.live.cells import Cells

PLAN = [("a", {"epsilon": 1}), ("a", {"epsilon": 1}), ("b", {"epsilon": 1}), ("b", {"epsilon": 1})]


def done(strategy: str, accuracy: float | None) -> dict[str, object]:
    cell = {"epsilon": 1}
    return {"strategy": strategy, "swept": cell, "cell": cell, "final": {"accuracy": accuracy}}


def test_counts_and_who_is_running() -> None:
    cells = Cells(PLAN, workers=3)
    assert [(c["done"], c["running"]) for c in cells.board()["cells"]] == [(0, 2), (0, 1)]
    cells.finished(done("a", 0.5))
    cells.failed("a", {"epsilon": 1})
    board = cells.board()
    assert (board["total"], board["done"], board["failed"]) == (4, 1, 1)
    assert [(c["done"], c["failed"], c["running"]) for c in board["cells"]] == [
        (1, 1, 0),
        (0, 0, 2),
    ]
    assert [c["running"] for c in cells.board(ended=True)["cells"]] == [0, 0]


def test_the_best_mean_leads_with_its_interval() -> None:
    cells = Cells(PLAN)
    for strategy, accuracy in (("a", 0.80), ("a", 0.90), ("b", 0.95), ("b", None)):
        cells.finished(done(strategy, accuracy))
    first, second = cells.board()["leaders"]
    assert (first["strategy"], first["mean"], first["n"], first["ci95_low"]) == ("b", 0.95, 1, None)
    assert second["strategy"] == "a"
    assert abs(second["mean"] - 0.85) < 1e-12
    # t(0.975, 1) = 12.706, std = 0.0707, n = 2: half = 12.706 * 0.05
    assert abs(second["ci95_high"] - second["mean"] - 12.706 * 0.05) < 1e-3


def test_a_market_goes_by_welfare() -> None:
    cells = Cells([("m", {})])
    cells.finished({"strategy": "m", "cell": {}, "final": {"adjusted_welfare": 7, "welfare": 9}})
    board = cells.board()
    assert board["metric"] == "adjusted_welfare"
    assert board["leaders"][0]["mean"] == 7
