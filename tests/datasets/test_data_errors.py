"""Messages stay on one line and name the nearest choice."""

import pytest

from datasets.errors import DataError, check_choice, shown


def test_a_hostile_text_stays_on_one_line() -> None:
    assert str(DataError("a\nb\x1b[31m\udc80")) == "a\\nb\\x1b[31m\\udc80"


def test_data_error_is_a_value_error() -> None:
    assert issubclass(DataError, ValueError)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("drip", "unknown missing 'drip': did you mean 'drop'? choose from drop, median"),
        ("zzz", "unknown missing 'zzz': choose from drop, median"),
        (None, "unknown missing None: choose from drop, median"),
    ],
)
def test_unknown_choice(given: object, wanted: str) -> None:
    with pytest.raises(DataError) as caught:
        check_choice("missing", given, ("drop", "median"))
    assert str(caught.value) == wanted


def test_long_values_and_lists_are_cut() -> None:
    assert len(shown("x" * 10_000)) < 50
    assert len(shown(list(range(10_000)))) < 100
    with pytest.raises(DataError) as caught:
        check_choice("column", "y" * 100_000, ["x" * 100_000, *map(str, range(5_000))])
    assert len(str(caught.value)) < 300
