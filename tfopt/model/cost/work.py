"""What formulas are functions of, a call of a layer by its shapes, and what they give: its work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras

from tfopt.model.sizes import item_bytes

__all__ = ["Call", "NoFormula", "Operand", "UnknownShape", "Work", "contraction", "elementwise"]


class UnknownShape(Exception):
    """A shape depends on values: nothing can be counted without running."""


class NoFormula(Exception):
    """A formula does not cover this way of calling its layer."""


@dataclass(frozen=True)
class Operand:
    """A tensor or a variable. `needs_gradient`: the backward pass computes a gradient for it."""

    shape: tuple[int | None, ...] | None
    dtype: str
    needs_gradient: bool = False

    @property
    def lengths(self) -> tuple[int, ...]:
        """The shape, known in full; UnknownShape where it is not."""
        if self.shape is None or None in self.shape:
            raise UnknownShape
        return tuple(length for length in self.shape if length is not None)

    @property
    def size(self) -> int:
        """How many values it holds."""
        return math.prod(self.lengths)

    @property
    def bytes(self) -> int:
        """The bytes of its values."""
        return self.size * item_bytes(self.dtype)


@dataclass(frozen=True)
class Call:
    """One call of a layer: its arguments by name, as structures of operands, its outputs and its own weights.

    `trained` has the ids of the variables that this step trains: none in inference.
    """

    layer: Any
    arguments: Mapping[str, Any]
    outputs: tuple[Operand, ...]
    weights: tuple[Operand, ...] = ()
    trained: frozenset[int] = field(default=frozenset())

    @cached_property
    def inputs(self) -> tuple[Operand, ...]:
        """The tensors among the arguments, in order."""
        return operands(self.arguments)

    @property
    def input(self) -> Operand:
        """The first tensor among the arguments."""
        return self.inputs[0]

    @property
    def output(self) -> Operand:
        """The first output."""
        return self.outputs[0]

    @property
    def training(self) -> bool:
        """Whether the layer was called in training mode."""
        return bool(self.arguments.get("training"))

    @property
    def backward(self) -> bool:
        """Whether a gradient comes back to it."""
        return any(output.needs_gradient for output in self.outputs)

    def trains(self, variable: Any) -> bool:
        """Whether the gradient for a variable of the layer is computed (None: there is no such variable)."""
        return self.backward and id(variable) in self.trained


def operands(structure: Any) -> tuple[Operand, ...]:
    """The operands in a structure."""
    return tuple(leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, Operand))


@dataclass(frozen=True)
class Work:
    """Arithmetic and memory traffic of one call.

    `macs` are multiply-accumulates of matrix products and convolutions (two operations each), `other` the rest of the
    forward operations, `backward` all operations of the gradients that this call computes. `moved` and
    `backward_moved` are bytes; None where each operand is read once and each result written once. `keeps` is false
    where the gradient does not need the inputs again. `looked_up` are values of a table that the gradient is for, where
    it is for no others.
    """

    macs: int = 0
    other: int = 0
    backward: int = 0
    moved: int | None = None
    backward_moved: int | None = None
    keeps: bool = True
    looked_up: int = 0

    def __add__(self, more: Work) -> Work:
        return Work(
            self.macs + more.macs,
            self.other + more.other,
            self.backward + more.backward,
            _sum(self.moved, more.moved),
            _sum(self.backward_moved, more.backward_moved),
            self.keeps or more.keeps,
            self.looked_up + more.looked_up,
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def contraction(macs: int, *gradients: bool) -> Work:
    """A matrix product or convolution. The gradient for each factor that needs one costs as much as the product."""
    return Work(macs=macs, backward=2 * macs * sum(gradients))


def elementwise(call: Call, size: int, forward: int = 1, backward: int = 1) -> Work:
    """Operations on each of `size` values; `backward` of them per value where a gradient comes back."""
    return Work(other=forward * size, backward=backward * size * call.backward)
