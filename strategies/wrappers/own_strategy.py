"""A Flower strategy of the user's own, by import path: ``--aggregation mypkg.mod:MyStrategy``.

It takes FedAvg's place as the innermost strategy: noise, reputation and auction wrap it, and
it sees only checked replies. How it weighs them is its own affair, so sigma_2 is 0 around it.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from inspect import Parameter, signature
from typing import Any, TypeVar

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from strategies.setting_fields import SettingsError
from strategies.wrappers.base import StrategyWrapper
from strategies.wrappers.vectors import to_vector

Result = TypeVar("Result")


class OwnStrategyFailed(RuntimeError):
    """A strategy of the user's own raised, or merged to what is no model; one line."""


def own_strategy(path: str, offered: Mapping[str, Any]) -> Strategy:
    """Return the strategy that ``module:Name`` makes.

    Parameters
    ----------
    path : str
        Name is a class or a function that returns a Flower ``Strategy``. The module is looked
        for among the installed ones and in the current directory, after everything else.
    offered : mapping
        Arguments of Flower's FedAvg with which it never waits for nodes; Name gets those that
        it takes.

    Raises
    ------
    SettingsError
        With one line: what could not be imported or made, and the error.
    """
    module_name, _, name = path.partition(":")
    here = os.getcwd()  # noqa: PTH109 - sys.path holds text
    if here not in sys.path:
        sys.path.append(here)  # last: a folder named datasets must not hide ours
    try:
        module = import_module(module_name)
    except Exception as fault:  # the user's module may raise anything
        raise SettingsError(f"{path}: cannot import {module_name}: {_told(fault)}") from fault
    make = getattr(module, name, None)
    if not callable(make):
        offers = ", ".join(_callables(module)) or "nothing of the kind"
        raise SettingsError(f"{path}: {module_name} has no strategy {name!r}; it has {offers}")
    try:
        found = make(**_accepted(make, offered))
    except Exception as fault:
        raise SettingsError(f"{path}: cannot be made without arguments: {_told(fault)}") from fault
    if not isinstance(found, Strategy):
        raise SettingsError(
            f"{path} makes a {type(found).__name__}, not a flwr.serverapp.strategy.Strategy: "
            "Flower's older flwr.server.strategy does not work with the Message API"
        )
    return Guarded(found, path)


class Guarded(StrategyWrapper):
    """Report what goes wrong in somebody's strategy as theirs, in one line.

    Parameters
    ----------
    inner : Strategy
        The user's.
    path : str
        Its import path, for the message.
    """

    def __init__(self, inner: Strategy, path: str) -> None:
        super().__init__(inner)
        self.path = path
        self._shapes: dict[str, tuple[int, ...]] = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the user's strategy whom to train with what."""
        self._shapes = {name: tuple(array.shape) for name, array in arrays.items()}
        ask = super().configure_train
        return self._tried(lambda: list(ask(server_round, arrays, config, grid)))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Let the user's strategy merge, and see to it that the result is a model."""
        merge = super().aggregate_train
        return self._tried(lambda: self._checked(merge(server_round, replies)))

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the user's strategy who evaluates."""
        ask = super().configure_evaluate
        return self._tried(lambda: list(ask(server_round, arrays, config, grid)))

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Let the user's strategy merge the evaluations."""
        merge = super().aggregate_evaluate
        return self._tried(lambda: merge(server_round, replies))

    def _checked(
        self, result: tuple[ArrayRecord | None, MetricRecord | None]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        arrays, metrics = result
        if arrays is None:
            return None, metrics
        shapes = {name: tuple(array.shape) for name, array in arrays.items()}
        if shapes != self._shapes:
            raise ValueError(f"it merged to arrays {shapes} where {self._shapes} were broadcast")
        if not all(np.isfinite(to_vector(array)).all() for array in arrays.values()):
            raise ValueError("it merged to a model with values that are not finite")
        return arrays, metrics

    def _tried(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except OwnStrategyFailed:
            raise
        except Exception as fault:
            raise OwnStrategyFailed(f"{self.path} failed: {_told(fault)}{_where(fault)}") from fault


def _where(fault: Exception) -> str:
    last = fault.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return ""
    return f" ({os.path.basename(last.tb_frame.f_code.co_filename)}, line {last.tb_lineno})"  # noqa: PTH119


def _accepted(make: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    taken = signature(make).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken.values()):
        return dict(offered)
    return {name: value for name, value in offered.items() if name in taken}


def _callables(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Strategy) and not name.startswith("_")
    ]


def _told(fault: Exception) -> str:
    text = " ".join(str(fault).split())
    return f"{type(fault).__name__}: {text}"[:300]
