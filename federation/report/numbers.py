"""Numbers of a page, each with the place in result.json that it is copied from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
NONE = "\u2013"


@dataclass(frozen=True)
class Number:
    """A number of result.json as the page shows it.

    Parameters
    ----------
    pointer : str
        Its place, a JSON pointer (RFC 6901).
    value : float or int, optional
        Exactly as there; None where it is undefined.
    text : str
        Scaled and rounded for people.
    """

    pointer: str
    value: float | None
    text: str


@dataclass(frozen=True)
class Measure:
    """How a metric is called, scaled and rounded.

    Parameters
    ----------
    name, label, unit : str
        In result.json, in a heading, and behind it.
    scale : float
        Multiplies the value of result.json.
    digits : int
        After the decimal point.
    high : bool
        Whether more is better.
    """

    name: str
    label: str
    unit: str
    scale: float = 100.0
    digits: int = 1
    high: bool = True

    @property
    def heading(self) -> str:
        """Return label and unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


DIAGNOSIS = (
    Measure("accuracy", "accuracy", "%"),
    Measure("sensitivity", "sensitivity", "%"),
    Measure("specificity", "specificity", "%"),
    Measure("auc", "AUC", "%"),
)
RECOGNITION = (
    Measure("accuracy", "accuracy", "%"),
    Measure("balanced_accuracy", "balanced accuracy", "%"),
    Measure("macro_f1", "macro F1", "%"),
)
"""Of more than two classes."""
_CREDITS = "credits a round"
MARKET = (
    Measure("adjusted_welfare", "welfare less tampered deliveries", _CREDITS, 1e-6, 2),
    Measure("attack_rate", "deliveries tampered with", "%", high=False),
    Measure("share_type1", "sold by honest devices (type 1)", "%"),
    Measure("honest_excluded", "honest devices shut out", "%", high=False),
    Measure("payments", "paid to devices", _CREDITS, 1e-6, 2, high=False),
    Measure("surplus", "left to the provider", _CREDITS, 1e-6, 2),
)


def number(result: Any, path: Sequence[str | int], scale: float = 1.0, digits: int = 1) -> Number:
    """Return the number at a path of result.json.

    Raises
    ------
    KeyError, IndexError, TypeError
        When there is none.
    """
    value = result
    for part in path:
        value = value[part]
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    return Number(pointer, value, rounded(value, scale, digits))


def rounded(value: Any, scale: float, digits: int) -> str:
    """Return a value for people; a dash where it is undefined."""
    if value is None:
        return NONE
    text = f"{scale * value:.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else text.lstrip("-")


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, and over how many seeds."""

    mean: Number
    low: Number
    high: Number
    count: Number

    @property
    def known(self) -> bool:
        """Return whether there is an interval: one seed has none."""
        return self.low.value is not None and self.high.value is not None

    @property
    def differs(self) -> bool:
        """Return whether the interval leaves out 0."""
        low, high = self.low.value, self.high.value
        return low is not None and high is not None and (low > 0 or high < 0)


def interval(result: Any, path: Sequence[str | int], measure: Measure) -> Interval:
    """Return the interval of a summary at a path."""

    def shown(name: str) -> Number:
        return number(result, (*path, name), measure.scale, measure.digits)

    count = number(result, (*path, "n"), 1, 0)
    return Interval(shown("mean"), shown("ci95_low"), shown("ci95_high"), count)


def text_of(mapping: Mapping[str, Any]) -> str:
    """Return a cell's values in words."""
    return ", ".join(
        f"{key.replace('_', ' ')} {value:g}"
        if isinstance(value, float)
        else f"{key.replace('_', ' ')} {value}"
        for key, value in mapping.items()
    )
