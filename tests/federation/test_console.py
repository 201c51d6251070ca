"""What the terminal shows is whole, however narrow it is."""

from io import StringIO

from rich.console import Console
from rich.table import Table

from federation.console import data_title, print_whole


def test_a_table_wider_than_the_terminal_keeps_its_figures() -> None:
    console = Console(file=StringIO(), width=20, highlight=False)
    table = Table()
    figures = ("54.2 \u00b1237.4", "98.9 \u00b114.3", "0.34 \u00b10.69")
    for number in range(3):
        table.add_column(f"metric {number}", no_wrap=True)
    table.add_row(*figures)
    print_whole(console, table)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(figure in printed for figure in figures)
    assert console.width == 20


def test_generated_scenes_are_not_called_carrada() -> None:
    generated = {"dataset": "carrada", "data": "", "schema": ""}
    assert data_title(generated) == "generated CARRADA scenes"
    assert data_title(generated | {"data": "/data/Carrada"}) == "CARRADA"


def test_a_synthetic_market_sells_no_scenes() -> None:
    market = {"dataset": "carrada", "data": "", "schema": "", "task": "twin"}
    assert data_title(market | {"market": "synthetic"}) == "the synthetic market"
    assert data_title(market | {"market": "payload"}) == "generated CARRADA scenes"
