"""What strategies remember from one round to the next, taken out and put back layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from flwr.serverapp.strategy import Strategy
from flwr.serverapp.strategy.fedopt import FedOpt

from strategies.wrappers.base import StrategyWrapper

State = Mapping[str, Any]
"""Plain values, bytes and NumPy arrays under text keys."""
_AFRESH = ("FedAvg", "FedMedian", "FedTrimmedAvg", "FedProx", "QFedAvg")
"""Flower's strategies that carry nothing over, beside those we derive from."""
_FEDOPT = ("current_arrays", "m_t", "v_t")


@runtime_checkable
class Stateful(Protocol):
    """What remembers something between rounds: a layer, a ledger, the clients of a simulation."""

    def state(self) -> State:
        """Return everything that later rounds depend on."""

    def restore(self, state: Any) -> None:
        """Put back what :meth:`state` returned, into an object made alike."""


@runtime_checkable
class Journal(Protocol):
    """What only ever learns more: the additions of each round are kept once, with that round."""

    def additions(self) -> Any:
        """Return what was learnt since the last call, as plain values and bytes."""

    def replay(self, additions: Any) -> None:
        """Learn again what :meth:`additions` returned of a round."""


class Layers:
    """All layers of a nested strategy as one :class:`Stateful`.

    Parameters
    ----------
    strategy : Strategy
        The outermost. Layers with ``state`` and ``restore`` are kept, and the moments of Flower's
        FedOpt family (FedAdam and the like); every other layer of ours and of Flower's FedAvg
        family starts each round afresh.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategies = _nested(strategy)

    def additions(self) -> list[Any]:
        """Return what each layer learnt since the last call, None of one that keeps no journal."""
        return [one.additions() if isinstance(one, Journal) else None for one in self.strategies]

    def replay(self, additions: Any) -> None:
        """Let each layer learn again what it learnt in a round."""
        for one, learnt in zip(self.strategies, additions, strict=True):
            if isinstance(one, Journal):
                one.replay(learnt)

    def unkept(self) -> str:
        """Return the class of a layer that may remember what nobody can keep, '' for none."""
        for layer in self.strategies:
            name = type(layer).__name__
            ours = type(layer).__module__.startswith("strategies.")
            if not (ours or isinstance(layer, Stateful | FedOpt) or name in _AFRESH):
                return name
        return ""

    def state(self) -> State:
        """Return the state of each layer, outermost first, by its class's name."""
        return {"layers": [[type(one).__name__, _state_of(one)] for one in self.strategies]}

    def restore(self, state: Any) -> None:
        """Put the state of each layer back.

        Raises
        ------
        ValueError
            When it is the state of other layers.
        """
        kept = [(str(name), part) for name, part in state["layers"]]
        names = [type(one).__name__ for one in self.strategies]
        if [name for name, _ in kept] != names:
            raise ValueError(f"state of {[name for name, _ in kept]} does not fit {names}")
        for one, (_, part) in zip(self.strategies, kept, strict=True):
            _restore(one, part)


def _nested(strategy: Strategy) -> Sequence[Strategy]:
    found = [strategy]
    while isinstance(found[-1], StrategyWrapper):
        found.append(found[-1].inner)
    return found


def _state_of(layer: Strategy) -> State:
    if isinstance(layer, Stateful):
        return layer.state()
    if isinstance(layer, FedOpt):
        return {name: getattr(layer, name) for name in _FEDOPT}
    return {}


def _restore(layer: Strategy, state: State) -> None:
    if isinstance(layer, Stateful):
        layer.restore(state)
    elif isinstance(layer, FedOpt):
        for name in _FEDOPT:
            setattr(layer, name, state[name])
