"""What a layer does to ways from channel to channel: one transfer per layer class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.pathways.top_paths.best import Best, gathered, pick
from tfopt.pathways.top_paths.wiring import Made, Tensor, tensors_in

__all__ = ["Call", "Transfer", "Unavailable", "Units", "log10", "transfer", "transfer_for"]


class Unavailable(Exception):
    """No ways can be told through a layer; the message says why, without naming it."""


@dataclass(frozen=True, eq=False)
class Units:
    """The best ways to the units of one tensor: its channels, along `axis` (counted with the batch). Where channels
    were flattened, `place` has the unit that each index along the axis belongs to."""

    best: Best
    axis: int
    place: np.ndarray | None = None

    def indexed(self) -> Units:
        """With a unit of its own for each index along the axis."""
        return self if self.place is None else Units(pick(self.best, self.place), self.axis)

    def along(self, axis: int, size: int) -> Units:
        """With units along an axis: where they were along another, each leads to all of these."""
        return self if axis == self.axis else Units(gathered(self.best, size), axis)


@dataclass(frozen=True)
class Call:
    """One call, for its transfer: `states` has the ways to the tensors known so far, `last` says that nothing but a
    change of shape follows."""

    made: Made
    states: Mapping[Tensor, Units | str]
    k: int
    last: bool

    @property
    def layer(self) -> Any:
        """The layer or operation."""
        return self.made.operation

    @property
    def tensors(self) -> list[Tensor]:
        """The floating-point tensors among the arguments."""
        return list(tensors_in(self.made.args, self.made.kwargs))

    @property
    def output(self) -> Tensor:
        """The first floating-point tensor that comes out."""
        return next(tensors_in(self.made.outputs))

    @property
    def x(self) -> Units:
        """The ways to the first tensor."""
        if not self.tensors:
            raise Unavailable("it takes no floating-point tensor")
        return self.units(self.tensors[0])

    def units(self, tensor: Tensor) -> Units:
        """The ways to a tensor."""
        found = self.states.get(tensor, "it takes a tensor that was computed outside of layers")
        if isinstance(found, str):
            raise Unavailable(found)
        return found


Transfer = Callable[[Call], Units | list[Units]]
"""Gives the ways to what a call makes, or to each of several."""

_TRANSFERS: dict[type, Transfer] = {}


def transfer(*classes: type) -> Callable[[Transfer], Transfer]:
    """Register a function as the transfer of layer classes and their subclasses."""

    def register(function: Transfer) -> Transfer:
        _TRANSFERS.update(dict.fromkeys(classes, function))
        return function

    return register


def transfer_for(kind: type) -> Transfer | None:
    """The transfer of a class or of the nearest class above it, unless somebody gave that another `call`."""
    for ancestor in kind.__mro__:
        if ancestor in _TRANSFERS:
            changed = getattr(kind, "call", None) is not getattr(ancestor, "call", None)
            return None if changed else _TRANSFERS[ancestor]
    return None


def log10(weights: np.ndarray) -> np.ndarray:
    """log10 |w|, −∞ where a weight is zero; any dtype.

    Raises:
        Unavailable: some are NaN or infinite.
    """
    with np.errstate(divide="ignore"):
        logarithms = np.log10(np.abs(np.asarray(weights, np.float64)))
    if not np.all(logarithms < np.inf):
        raise Unavailable("it has weights that are NaN or infinite")
    return logarithms
